//! Mean over whole axes.

use super::check_len;
use crate::requantize::{multiply, saturate};
use crate::{KernelError, Mean, Shape};

/// Mean of `x` (NHWC) over the axes, kept as size 1 in `y`.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn mean_s8(p: &Mean, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let keep = |reduced, size| if reduced { 1 } else { size };
    let Shape { h, w, c } = p.input;
    let output = Shape { h: keep(p.axes.h, h), w: keep(p.axes.w, w), c: keep(p.axes.c, c) };
    check_len(x, &p.input)?;
    check_len(y, &output)?;
    let per_output = i32::try_from(p.input.elements() / output.elements().max(1)).unwrap_or(i32::MAX);
    let offset = per_output.wrapping_mul(i32::from(p.input_zero_point));
    for (at, out) in y.iter_mut().enumerate() {
        let position = output.position(at);
        let sum = sum(p, x, position).wrapping_sub(offset);
        let scaled = multiply(sum, p.multiplier, p.shift);
        *out = saturate(scaled.wrapping_add(i32::from(p.output_zero_point)));
    }
    Ok(())
}

/// Sum of the elements that the output at `position` averages.
fn sum(p: &Mean, x: &[i8], [h, w, c]: [usize; 3]) -> i32 {
    let range = |reduced, at: usize, size| if reduced { 0..size } else { at..at.wrapping_add(1) };
    let Shape { h: rows, w: columns, c: channels } = p.input;
    let mut sum = 0i32;
    for row in range(p.axes.h, h, rows) {
        for column in range(p.axes.w, w, columns) {
            let start = row.wrapping_mul(columns).wrapping_add(column).wrapping_mul(channels);
            for channel in range(p.axes.c, c, channels) {
                let value = x.get(start.wrapping_add(channel)).copied().unwrap_or(0);
                sum = sum.wrapping_add(i32::from(value));
            }
        }
    }
    sum
}
