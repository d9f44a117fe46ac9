//! DepthwiseConv2d.

use super::check_len;
use crate::{Conv2d, KernelError, Weights};

/// Depthwise convolution of `x` (NHWC) with dense filters 1HWO into `y` (NHWC); output channel `o` reads input
/// channel `o / (O / C)`.
///
/// # Errors
/// When lengths and shapes disagree, or the weights are not dense.
#[inline(never)]
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
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let first = block.wrapping_mul(BLOCK);
            let sums = sums(p, weights, x, corner, [first, multiplier]);
            for (i, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
                *out = p.linear.finish(first.wrapping_add(i), sum);
            }
        }
    }
    Ok(())
}

/// Output channels that are summed together.
const BLOCK: usize = 16;

/// The sums of output channels `first..first + BLOCK`, of which those beyond the last one mean nothing.
fn sums(
    p: &Conv2d<'_>,
    weights: &[i8],
    x: &[i8],
    [top, left]: [isize; 2],
    [first, multiplier]: [usize; 2],
) -> [i32; BLOCK] {
    let ([_, kw], [dh, dw]) = (p.window.kernel, p.window.dilation);
    let mut sums = [0; BLOCK];
    sums.iter_mut().zip(first..).for_each(|(sum, o)| *sum = p.linear.bias(o));
    for (at, w) in weights.chunks_exact(p.output.c.max(1)).enumerate() {
        let iy = top.wrapping_add_unsigned((at / kw.max(1)).wrapping_mul(dh));
        let ix = left.wrapping_add_unsigned((at % kw.max(1)).wrapping_mul(dw));
        let w = w.get(first..).unwrap_or_default();
        match p.input.pixel(x, iy, ix) {
            Some(pixel) if multiplier == 1 => {
                let values = pixel.get(first..).unwrap_or_default();
                add(&mut sums, w, values.iter().copied());
            }
            Some(pixel) => {
                let values = (first..).map(|o| pixel.get(o / multiplier.max(1)).copied().unwrap_or(0));
                add(&mut sums, w, values);
            }
            None => add(&mut sums, w, core::iter::repeat(p.linear.input_zero_point)),
        }
    }
    sums
}

/// Adds one product to each sum.
fn add(sums: &mut [i32; BLOCK], w: &[i8], values: impl Iterator<Item = i8>) {
    for ((sum, w), value) in sums.iter_mut().zip(w).zip(values) {
        *sum = sum.wrapping_add(i32::from(*w) * i32::from(value));
    }
}
