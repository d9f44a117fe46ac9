//! Conv2d.

use super::{check_len, dot, dot_constant};
use crate::fwcs::{BitmapRuns, GapRuns};
use crate::{Conv2d, KernelError, Linear, Weights};

/// Scales and clamps the sum of a filter.
pub(super) type Finish = fn(&Linear<'_>, usize, i32) -> i8;

/// Convolution of `x` (NHWC) with filters OHWI in any storage form into `y` (NHWC).
///
/// # Errors
/// When lengths and shapes disagree.
#[inline(never)]
pub fn conv2d_s8(p: &Conv2d<'_>, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    convolve(p, |l, o, sum| l.finish(o, sum), x, y)
}

/// As [`conv2d_s8`] with another way to scale the sums.
pub(super) fn convolve(p: &Conv2d<'_>, finish: Finish, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    check_len(x, &p.input)?;
    check_len(y, &p.output)?;
    p.linear.check(p.output.c)?;
    match p.linear.weights {
        Weights::Dense(weights) => dense(p, finish, weights, x, y),
        Weights::Bitmap { group, bitmap, runs } => {
            fwcs(p, finish, (group, runs), &BitmapRuns::new(bitmap), x, y)
        }
        Weights::Gaps { group, gaps, runs } => fwcs(p, finish, (group, runs), &GapRuns::new(gaps), x, y),
    }
}

/// Calls `pixel` with the input corner and the output channels of each output pixel.
fn each_pixel(
    p: &Conv2d<'_>,
    y: &mut [i8],
    mut pixel: impl FnMut([isize; 2], &mut [i8]) -> Option<()>,
) -> Result<(), KernelError> {
    let width = p.output.w.max(1);
    for (at, out) in y.chunks_exact_mut(p.output.c.max(1)).enumerate() {
        let corner = p.window.corner(at / width, at % width);
        pixel(corner, out).ok_or(KernelError::ParameterLength)?;
    }
    Ok(())
}

fn dense(p: &Conv2d<'_>, finish: Finish, weights: &[i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let [kh, kw] = p.window.kernel;
    let row_len = kw.saturating_mul(p.input.c);
    let filter_len = kh.saturating_mul(row_len);
    if filter_len == 0 || filter_len.checked_mul(p.output.c) != Some(weights.len()) {
        return Err(KernelError::ParameterLength);
    }
    each_pixel(p, y, |[top, left], out| {
        // Not zipped, as in the softmax: no division by the chunk size.
        let mut filters = weights.chunks_exact(filter_len);
        for (o, out) in out.iter_mut().enumerate() {
            let filter = filters.next()?;
            let mut acc = p.linear.bias(o);
            for (ky, row) in filter.chunks_exact(row_len.max(1)).enumerate() {
                let iy = top.wrapping_add_unsigned(ky.wrapping_mul(p.window.dilation[0]));
                acc = dense_row(p, x, [iy, left], row, acc);
            }
            *out = finish(&p.linear, o, acc);
        }
        Some(())
    })
}

/// Adds one kernel row.
fn dense_row(p: &Conv2d<'_>, x: &[i8], [iy, left]: [isize; 2], row: &[i8], mut acc: i32) -> i32 {
    let c = p.input.c;
    if p.window.dilation[1] == 1
        && let Some(pixels) = contiguous(p, x, iy, left)
    {
        return dot(pixels, row, acc);
    }
    for (kx, w) in row.chunks_exact(c.max(1)).enumerate() {
        let ix = left.wrapping_add_unsigned(kx.wrapping_mul(p.window.dilation[1]));
        acc = match p.input.pixel(x, iy, ix) {
            Some(pixel) => dot(pixel, w, acc),
            None => dot_constant(p.linear.input_zero_point, w, acc),
        };
    }
    acc
}

/// The pixels under an undilated kernel row, when none of them is padding.
fn contiguous<'a>(p: &Conv2d<'_>, x: &'a [i8], iy: isize, left: isize) -> Option<&'a [i8]> {
    let kw = p.window.kernel[1];
    let row = usize::try_from(iy).ok().filter(|&r| r < p.input.h)?;
    let column = usize::try_from(left).ok().filter(|&l| l.saturating_add(kw) <= p.input.w)?;
    let start = row.wrapping_mul(p.input.w).wrapping_add(column).wrapping_mul(p.input.c);
    x.get(start..start.wrapping_add(kw.wrapping_mul(p.input.c)))
}

fn fwcs<I: Iterator<Item = bool> + Clone>(
    p: &Conv2d<'_>,
    finish: Finish,
    (group, runs): (usize, &[i8]),
    index: &I,
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    if group == 0 {
        return Err(KernelError::ParameterLength);
    }
    each_pixel(p, y, |corner, out| {
        let mut index = index.clone();
        let mut runs = runs;
        for (o, out) in out.iter_mut().enumerate() {
            let acc = fwcs_filter(p, group, (&mut index, &mut runs), x, corner, p.linear.bias(o))?;
            *out = finish(&p.linear, o, acc);
        }
        Some(())
    })
}

/// Adds one filter; takes its runs off the front of `index` and `runs`.
fn fwcs_filter<I: Iterator<Item = bool>>(
    p: &Conv2d<'_>,
    group: usize,
    (index, runs): (&mut I, &mut &[i8]),
    x: &[i8],
    [top, left]: [isize; 2],
    mut acc: i32,
) -> Option<i32> {
    let ([kh, kw], [dh, dw]) = (p.window.kernel, p.window.dilation);
    for ky in 0..kh {
        let iy = top.wrapping_add_unsigned(ky.wrapping_mul(dh));
        for kx in 0..kw {
            let ix = left.wrapping_add_unsigned(kx.wrapping_mul(dw));
            let pixel = p.input.pixel(x, iy, ix);
            for first in (0..p.input.c).step_by(group) {
                if !index.next()? {
                    continue;
                }
                let len = group.min(p.input.c - first);
                let (run, rest) = runs.split_at_checked(len)?;
                *runs = rest;
                acc = match pixel {
                    Some(pixel) => dot(pixel.get(first..)?, run, acc),
                    None => dot_constant(p.linear.input_zero_point, run, acc),
                };
            }
        }
    }
    Some(acc)
}
