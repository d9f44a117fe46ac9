//! DepthwiseConv2d.

use super::check_len;
use crate::{Conv2d, KernelError, Weights};

/// Depthwise convolution of `x` (NHWC) with dense filters 1HWO into `y` (NHWC); output channel `o` reads input
/// channel `o / (O / C)`.
///
/// # Errors
/// When lengths and shapes disagree, or the weights are not dense.
pub fn depthwise_conv2d_s8(p: &Conv2d<'_>, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    check_len(x, &p.input)?;
    check_len(y, &p.output)?;
    p.linear.check(p.output.c)?;
    let [kh, kw] = p.window.kernel;
    let Weights::Dense(weights) = p.linear.weights else { return Err(KernelError::ParameterLength) };
    if kh.saturating_mul(kw).checked_mul(p.output.c) != Some(weights.len()) {
        return Err(KernelError::ParameterLength);
    }
    let multiplier = p.output.c / p.input.c.max(1);
    if multiplier == 0 || !p.output.c.is_multiple_of(p.input.c.max(1)) {
        return Err(KernelError::Shape);
    }
    let width = p.output.w.max(1);
    for (at, out) in y.chunks_exact_mut(p.output.c.max(1)).enumerate() {
        let corner = p.window.corner(at / width, at % width);
        for (o, out) in out.iter_mut().enumerate() {
            *out = p.linear.finish(o, channel(p, weights, x, corner, [o, o / multiplier]));
        }
    }
    Ok(())
}

/// The sum of output channel `o`, which reads input channel `c`.
fn channel(p: &Conv2d<'_>, weights: &[i8], x: &[i8], [top, left]: [isize; 2], [o, c]: [usize; 2]) -> i32 {
    let ([_, kw], [dh, dw]) = (p.window.kernel, p.window.dilation);
    let of_channel = weights.chunks_exact(p.output.c.max(1)).enumerate();
    of_channel.fold(p.linear.bias(o), |acc, (at, w)| {
        let iy = top.wrapping_add_unsigned((at / kw.max(1)).wrapping_mul(dh));
        let ix = left.wrapping_add_unsigned((at % kw.max(1)).wrapping_mul(dw));
        let pixel = p.input.pixel(x, iy, ix).and_then(|pixel| pixel.get(c));
        let value = pixel.copied().unwrap_or(p.linear.input_zero_point);
        let weight = w.get(o).copied().unwrap_or(0);
        acc.wrapping_add(i32::from(value) * i32::from(weight))
    })
}
