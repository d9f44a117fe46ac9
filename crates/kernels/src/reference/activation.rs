//! Operators on single values: Requantize, Lut, Reshape.

use crate::requantize::multiply;
use crate::{KernelError, Operand, Rescale};

/// Other scale and zero point, and a clamp. `zero_points` of input and output.
///
/// # Errors
/// When input and output differ in length.
pub fn requantize_s8(
    p: &Rescale,
    zero_points: [i8; 2],
    x: Operand<'_>,
    y: &mut [i8],
) -> Result<(), KernelError> {
    let [from, to] = zero_points.map(i32::from);
    each_value(x, y, |v| {
        let scaled = multiply(i32::from(v) - from, p.multiplier, p.shift);
        p.clamp.apply(scaled.wrapping_add(to))
    })
}

/// `table[x as u8]`; the table has 256 values.
///
/// # Errors
/// When input and output differ in length, or the table is shorter.
pub fn lut_s8(table: &[i8], x: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    let table = table.first_chunk::<256>().ok_or(KernelError::ParameterLength)?;
    each_value(x, y, |v| table.get(usize::from(v.cast_unsigned())).copied().unwrap_or(0))
}

/// The same elements in the same order; nothing to do in place.
///
/// # Errors
/// When input and output differ in length.
pub fn reshape_s8(x: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    match x {
        Operand::Output => Ok(()),
        Operand::Slice(x) => {
            // As it goes: the compiler's function for whole slices is larger than all that this saves.
            for (i, y) in y.iter_mut().enumerate() {
                *y = *x.get(i).ok_or(KernelError::ActivationLength)?;
            }
            if x.len() == y.len() { Ok(()) } else { Err(KernelError::ActivationLength) }
        }
    }
}

fn each_value(x: Operand<'_>, y: &mut [i8], f: impl Fn(i8) -> i8) -> Result<(), KernelError> {
    match x {
        Operand::Output => y.iter_mut().for_each(|y| *y = f(*y)),
        Operand::Slice(x) if x.len() == y.len() => y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x)),
        Operand::Slice(_) => return Err(KernelError::ActivationLength),
    }
    Ok(())
}
