//! MaxPool and AveragePool.

use core::ops::Range;

use super::check_len;
use crate::{KernelError, Pool};

/// Maximum over the window; padding never wins. `x` and `y` NHWC with the same scale and zero point.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn max_pool_s8(p: &Pool, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    each_output(p, &Kind { max: true, padding: None }, x, y)
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
    each_output(p, &Kind { max: false, padding: padding_value }, x, y)
}

/// `sum / count`, rounded to nearest, ties away from zero; 0 for an empty window.
pub(crate) fn rounded_quotient(sum: i32, count: i32) -> i32 {
    let half = count / 2;
    let nudged = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
    nudged.checked_div(count).unwrap_or(0)
}

/// Which of the operators.
struct Kind {
    max: bool,
    /// What padded pixels count as in a mean.
    padding: Option<i8>,
}

impl Kind {
    /// The output for what [`Kind::fold`] gave for `count` values.
    #[inline(never)]
    fn finish(&self, p: &Pool, value: i32, count: i32) -> i8 {
        if self.max {
            return p.clamp.apply(value);
        }
        let (mut value, mut count) = (value, count);
        if let Some(padding) = self.padding {
            let [kh, kw] = p.window.kernel;
            let area = kh.wrapping_mul(kw) as i32;
            value = value.wrapping_add(i32::from(padding).wrapping_mul(area.wrapping_sub(count)));
            count = area;
        }
        p.clamp.apply(rounded_quotient(value, count))
    }
}

/// Folds elements of a slice, so far apart and so many, into a value.
type Fold = fn(&[i8], [usize; 2], i32) -> i32;

/// The largest of `value` and `count` elements of `x` that lie `step` apart.
#[inline(never)]
fn largest(x: &[i8], [step, count]: [usize; 2], mut value: i32) -> i32 {
    let mut at = 0usize;
    for _ in 0..count {
        value = value.max(x.get(at).copied().unwrap_or(i8::MIN).into());
        at = at.wrapping_add(step);
    }
    value
}

/// The sum of `value` and `count` elements of `x` that lie `step` apart.
#[inline(never)]
fn sum(x: &[i8], [step, count]: [usize; 2], mut value: i32) -> i32 {
    let mut at = 0usize;
    for _ in 0..count {
        value = value.wrapping_add(x.get(at).copied().unwrap_or(0).into());
        at = at.wrapping_add(step);
    }
    value
}

/// Computes each output element from the pixels that its window covers.
fn each_output(p: &Pool, kind: &Kind, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    check_len(x, &p.input)?;
    check_len(y, &p.output)?;
    if p.input.c != p.output.c {
        return Err(KernelError::Shape);
    }
    let (fold, first): (Fold, i32) = if kind.max { (largest, i8::MIN.into()) } else { (sum, 0) };
    let (width, channels) = (p.output.w.max(1), p.output.c.max(1));
    let row_len = p.input.w.wrapping_mul(channels);
    for (at, out) in y.chunks_exact_mut(channels).enumerate() {
        let [top, left] = p.window.corner(at / width, at % width);
        let rows = covered(top, p.window.kernel[0], p.input.h);
        let columns = covered(left, p.window.kernel[1], p.input.w);
        // Not more than the input has elements.
        let count = rows.len().wrapping_mul(columns.len()) as i32;
        let start = rows.start.wrapping_mul(row_len).wrapping_add(columns.start.wrapping_mul(channels));
        for (c, out) in out.iter_mut().enumerate() {
            let (mut value, mut from) = (first, start.wrapping_add(c));
            for _ in rows.clone() {
                value = fold(x.get(from..).unwrap_or_default(), [channels, columns.len()], value);
                from = from.wrapping_add(row_len);
            }
            *out = kind.finish(p, value, count);
        }
    }
    Ok(())
}

/// The part of `start..start + len` inside `0..size`.
#[inline(never)]
pub(crate) fn covered(start: isize, len: usize, size: usize) -> Range<usize> {
    let end = usize::try_from(start.wrapping_add_unsigned(len)).unwrap_or(0).min(size);
    usize::try_from(start).unwrap_or(0).min(end)..end
}
