//! MaxPool and AveragePool.

use core::ops::Range;

use super::check_len;
use crate::{KernelError, Pool};

/// Maximum over the window; padding never wins. `x` and `y` NHWC with the same scale and zero point.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn max_pool_s8(p: &Pool, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let max = |best: i32, value: i32| best.max(value);
    each_output(p, x, y, i32::from(i8::MIN), max, |best, _| p.clamp.apply(best))
}

/// Mean over the window, rounded to nearest, ties away from zero. With `padding_value`, padded pixels count with it
/// (the zero point); without, only covered pixels are averaged. `x` and `y` NHWC with the same scale and zero point.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn average_pool_s8(
    p: &Pool,
    padding_value: Option<i8>,
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let [kh, kw] = p.window.kernel;
    let area = i32::try_from(kh.saturating_mul(kw)).unwrap_or(i32::MAX);
    each_output(p, x, y, 0, i32::wrapping_add, |sum, count| {
        let mean = match padding_value {
            Some(value) => {
                let padded = i32::from(value).wrapping_mul(area.wrapping_sub(count));
                rounded_quotient(sum.wrapping_add(padded), area)
            }
            None => rounded_quotient(sum, count),
        };
        p.clamp.apply(mean)
    })
}

/// `sum / count`, rounded to nearest, ties away from zero; 0 for an empty window.
pub(crate) fn rounded_quotient(sum: i32, count: i32) -> i32 {
    let half = count / 2;
    let nudged = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
    nudged.checked_div(count).unwrap_or(0)
}

/// Folds the covered values of each output element; `finish` gets the result and their number.
fn each_output(
    p: &Pool,
    x: &[i8],
    y: &mut [i8],
    first: i32,
    fold: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32, i32) -> i8,
) -> Result<(), KernelError> {
    check_len(x, &p.input)?;
    check_len(y, &p.output)?;
    if p.input.c != p.output.c {
        return Err(KernelError::Shape);
    }
    let (width, channels) = (p.output.w.max(1), p.output.c.max(1));
    for (at, out) in y.chunks_exact_mut(channels).enumerate() {
        let [top, left] = p.window.corner(at / width, at % width);
        let rows = covered(top, p.window.kernel[0], p.input.h);
        let columns = covered(left, p.window.kernel[1], p.input.w);
        let count = i32::try_from(rows.len().saturating_mul(columns.len())).unwrap_or(i32::MAX);
        for (c, out) in out.iter_mut().enumerate() {
            let mut value = first;
            for row in rows.clone() {
                let start = row.wrapping_mul(p.input.w).wrapping_add(columns.start).wrapping_mul(channels);
                let pixels = x.get(start..).unwrap_or_default().chunks_exact(channels).take(columns.len());
                value = pixels.filter_map(|pixel| pixel.get(c)).fold(value, |v, x| fold(v, i32::from(*x)));
            }
            *out = finish(value, count);
        }
    }
    Ok(())
}

/// The part of `start..start + len` inside `0..size`.
pub(crate) fn covered(start: isize, len: usize, size: usize) -> Range<usize> {
    let end = usize::try_from(start.saturating_add_unsigned(len)).unwrap_or(0).min(size);
    usize::try_from(start).unwrap_or(0).min(end)..end
}
