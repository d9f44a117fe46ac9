//! Add, Sub and Mul with broadcast.

use super::check_len;
use crate::requantize::multiply;
use crate::{Elementwise, KernelError, Operand};

/// Sum of both inputs (NHWC), broadcast to `y`.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn add_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    binary(p, a, b, y, |a, b| scaled(p, 0, a).wrapping_add(scaled(p, 1, b)))
}

/// First input less the second (NHWC), broadcast to `y`.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn sub_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    binary(p, a, b, y, |a, b| scaled(p, 0, a).wrapping_sub(scaled(p, 1, b)))
}

/// Product of both inputs (NHWC), broadcast to `y`.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn mul_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    binary(p, a, b, y, |a, b| a.wrapping_mul(b))
}

/// Input `which`, less its zero point, on the common scale.
fn scaled(p: &Elementwise, which: usize, value: i32) -> i32 {
    let multiplier = p.multiplier.get(which).copied().unwrap_or(0);
    let shift = p.shift.get(which).copied().unwrap_or(0);
    multiply(value.wrapping_shl(u32::from(p.left_shift)), multiplier, shift)
}

/// Combines each pair of elements, less their zero points, and scales the result to the output.
fn binary(
    p: &Elementwise,
    a: Operand<'_>,
    b: Operand<'_>,
    y: &mut [i8],
    combine: impl Fn(i32, i32) -> i32,
) -> Result<(), KernelError> {
    check_len(y, &p.output)?;
    let strides = [strides(p, 0, a)?, strides(p, 1, b)?];
    let zero_points = p.input_zero_points.map(i32::from);
    let [.., multiplier] = p.multiplier;
    let [.., shift] = p.shift;
    for (at, out) in y.iter_mut().enumerate() {
        let position = p.output.position(at);
        let a = element(a, strides[0], position, *out)? - zero_points[0];
        let b = element(b, strides[1], position, *out)? - zero_points[1];
        let scaled = multiply(combine(a, b), multiplier, shift);
        *out = p.clamp.apply(scaled.wrapping_add(i32::from(p.output_zero_point)));
    }
    Ok(())
}

/// Steps of an input on h, w and c: 0 where it is repeated.
fn strides(p: &Elementwise, which: usize, x: Operand<'_>) -> Result<[usize; 3], KernelError> {
    let shape = if which == 0 { p.inputs[0] } else { p.inputs[1] };
    match x {
        Operand::Slice(x) => check_len(x, &shape)?,
        Operand::Output if shape == p.output => {}
        Operand::Output => return Err(KernelError::Shape),
    }
    let ([h, w, c], [oh, ow, oc]) = (shape.dims(), p.output.dims());
    let stride = |size: usize, out: usize, step: usize| match size {
        1 => Ok(0),
        _ if size == out => Ok(step),
        _ => Err(KernelError::Shape),
    };
    Ok([stride(h, oh, w.wrapping_mul(c))?, stride(w, ow, c)?, stride(c, oc, 1)?])
}

fn element(
    x: Operand<'_>,
    [sh, sw, sc]: [usize; 3],
    [h, w, c]: [usize; 3],
    out: i8,
) -> Result<i32, KernelError> {
    let Operand::Slice(x) = x else { return Ok(i32::from(out)) };
    let at = h.wrapping_mul(sh).wrapping_add(w.wrapping_mul(sw)).wrapping_add(c.wrapping_mul(sc));
    x.get(at).map(|v| i32::from(*v)).ok_or(KernelError::ActivationLength)
}
