//! MaxPool, AveragePool and Mean.

use core::arch::asm;
use core::ops::Range;

use super::memory;
use crate::requantize::{multiply, saturate};
use crate::{Axes, KernelError, Mean, Pool, Shape, reference};

/// As [`reference::max_pool_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn max_pool_s8(p: &Pool, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    check(p, x, y)?;
    let channels = p.output.c;
    let mut at = 0usize;
    for row in 0..p.output.h {
        for column in 0..p.output.w {
            let out = y.get_mut(at..at.wrapping_add(channels)).ok_or(KernelError::Shape)?;
            let window = Covered::new(p, row, column);
            memory::fill(out, i8::MIN);
            for y in window.rows {
                let start =
                    y.wrapping_mul(p.input.w).wrapping_add(window.columns.start).wrapping_mul(channels);
                let end = start.wrapping_add(window.columns.len().wrapping_mul(channels));
                let pixels = x.get(start..end).ok_or(KernelError::Shape)?;
                maximum(pixels, out);
            }
            clamp(out, p.clamp.min, p.clamp.max);
            at = at.wrapping_add(channels);
        }
    }
    Ok(())
}

/// `y` becomes the maximum of itself and each pixel of as many channels in `x`.
fn maximum(x: &[i8], y: &mut [i8]) {
    for pixel in x.chunks_exact(y.len().max(1)) {
        // SAFETY: the predicated loop touches `y.len()` bytes of both.
        unsafe {
            asm!(
                "wlstp.8 lr, {len}, 3f",
                "2: vldrb.8 q0, [{x}], #16
                 vldrb.8 q1, [{y}]
                 vmax.s8 q0, q0, q1
                 vstrb.8 q0, [{y}], #16
                 letp lr, 2b",
                "3:",
                len = in(reg) y.len(),
                x = inout(reg) pixel.as_ptr() => _,
                y = inout(reg) y.as_mut_ptr() => _,
                out("lr") _, out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack),
            );
        }
    }
}

fn clamp(y: &mut [i8], min: i8, max: i8) {
    if (min, max) == (i8::MIN, i8::MAX) {
        return;
    }
    // SAFETY: the predicated loop touches `y.len()` bytes.
    unsafe {
        asm!(
            "vdup.8 q1, {min}
             vdup.8 q2, {max}",
            "wlstp.8 lr, {len}, 3f",
            "2: vldrb.8 q0, [{y}]
             vmin.s8 q0, q0, q2
             vmax.s8 q0, q0, q1
             vstrb.8 q0, [{y}], #16
             letp lr, 2b",
            "3:",
            min = in(reg) i32::from(min),
            max = in(reg) i32::from(max),
            len = in(reg) y.len(),
            y = inout(reg) y.as_mut_ptr() => _,
            out("lr") _, out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}

/// As [`reference::average_pool_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn average_pool_s8(
    p: &Pool,
    padding_value: Option<i8>,
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let channels = p.output.c;
    if channels < 4 {
        return reference::average_pool_s8(p, padding_value, x, y);
    }
    check(p, x, y)?;
    let area = i32::try_from(p.window.kernel[0].saturating_mul(p.window.kernel[1])).unwrap_or(i32::MAX);
    let mut at = 0usize;
    for row in 0..p.output.h {
        for column in 0..p.output.w {
            let out = y.get_mut(at..at.wrapping_add(channels)).ok_or(KernelError::Shape)?;
            let window = Covered::new(p, row, column);
            let count =
                i32::try_from(window.rows.len().saturating_mul(window.columns.len())).unwrap_or(i32::MAX);
            let (extra, divisor) = match padding_value {
                Some(value) => (i32::from(value).wrapping_mul(area.wrapping_sub(count)), area),
                None => (0, count),
            };
            sums(x, &p.input, &window, |c, sum| {
                let mean = reference::rounded_quotient(sum.wrapping_add(extra), divisor);
                if let Some(out) = out.get_mut(c) {
                    *out = p.clamp.apply(mean);
                }
            })
            .ok_or(KernelError::Shape)?;
            at = at.wrapping_add(channels);
        }
    }
    Ok(())
}

/// As [`reference::mean_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn mean_s8(p: &Mean, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let Shape { h, w, c } = p.input;
    if p.axes != (Axes { h: true, w: true, c: false }) || c < 4 {
        return reference::mean_s8(p, x, y);
    }
    if x.len() != p.input.elements() || x.is_empty() || y.len() != c {
        return Err(KernelError::ActivationLength);
    }
    let count = i32::try_from(h.saturating_mul(w)).unwrap_or(i32::MAX);
    let offset = count.wrapping_mul(i32::from(p.input_zero_point));
    sums(x, &p.input, &Covered { rows: 0..h, columns: 0..w }, |channel, sum| {
        let scaled = multiply(sum.wrapping_sub(offset), p.multiplier, p.shift);
        if let Some(y) = y.get_mut(channel) {
            *y = saturate(scaled.wrapping_add(i32::from(p.output_zero_point)));
        }
    })
    .ok_or(KernelError::Shape)
}

fn check(p: &Pool, x: &[i8], y: &[i8]) -> Result<(), KernelError> {
    let fits = |len: usize, shape: &Shape| len == shape.elements() && len > 0;
    if !fits(x.len(), &p.input) || !fits(y.len(), &p.output) {
        return Err(KernelError::ActivationLength);
    }
    if p.input.c == p.output.c { Ok(()) } else { Err(KernelError::Shape) }
}

/// The part of the image under a window.
struct Covered {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Covered {
    fn new(p: &Pool, row: usize, column: usize) -> Self {
        let [top, left] = p.window.corner(row, column);
        let [kh, kw] = p.window.kernel;
        Covered {
            rows: reference::covered(top, kh, p.input.h),
            columns: reference::covered(left, kw, p.input.w),
        }
    }
}

/// Calls `each` with every channel, at least four, and its sum over the window; the last channels of a number that is
/// not a multiple of four come twice.
fn sums(x: &[i8], input: &Shape, window: &Covered, mut each: impl FnMut(usize, i32)) -> Option<()> {
    let last = input.c.checked_sub(4)?;
    let mut first = 0;
    while first < input.c {
        let channel = first.min(last);
        let mut sum = [0; 4];
        for row in window.rows.clone() {
            let pixel = row.wrapping_mul(input.w).wrapping_add(window.columns.start);
            let pixels = x.get(pixel.wrapping_mul(input.c).wrapping_add(channel)..)?;
            add_pixels(pixels, input.c, window.columns.len(), &mut sum)?;
        }
        for (c, sum) in (channel..).zip(sum) {
            each(c, sum);
        }
        first = first.wrapping_add(4);
    }
    Some(())
}

/// Adds the first four bytes at each of `count` steps to the sums.
fn add_pixels(x: &[i8], step: usize, count: usize, sums: &mut [i32; 4]) -> Option<()> {
    let Some(before) = count.checked_sub(1) else { return Some(()) };
    if before.checked_mul(step)?.checked_add(4)? > x.len() {
        return None;
    }
    // SAFETY: checked above.
    unsafe {
        asm!(
            "vldrw.32 q0, [{sums}]",
            "dls lr, {count}",
            "2: vldrb.s32 q1, [r0]
             add r0, {step}
             vadd.i32 q0, q0, q1
             le lr, 2b",
            "vstrw.32 q0, [{sums}]",
            sums = in(reg) sums.as_mut_ptr(),
            count = in(reg) count,
            step = in(reg) step,
            inout("r0") x.as_ptr() => _,
            out("lr") _, out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
    Some(())
}
