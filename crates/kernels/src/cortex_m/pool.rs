//! Pooling, four channels at a time where it is the maximum.

use crate::reference::{covered, rounded_quotient};
use crate::{KernelError, Pool};

/// As [`crate::reference::max_pool_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn max_pool_s8(p: &Pool, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    each_output(p, x, y, &|area, out| {
        let mut c = 0usize;
        for four in out.chunks_mut(4) {
            for (out, value) in four.iter_mut().zip(area.largest(c)) {
                *out = value.min(p.clamp.max).max(p.clamp.min);
            }
            c = c.wrapping_add(4);
        }
    })
}

/// As [`crate::reference::average_pool_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn average_pool_s8(
    p: &Pool,
    padding_value: Option<i8>,
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let all = p.window.kernel[0].wrapping_mul(p.window.kernel[1]) as i32;
    each_output(p, x, y, &|area, out| {
        let covered = area.count[0].wrapping_mul(area.count[1]) as i32;
        // The padding is in the sum from the start.
        let (first, count) = match padding_value {
            Some(value) => (i32::from(value).wrapping_mul(all.wrapping_sub(covered)), all),
            None => (0, covered),
        };
        for (c, out) in out.iter_mut().enumerate() {
            *out = p.clamp.apply(rounded_quotient(area.sum(c, first), count));
        }
    })
}

/// Calls `pixel` for all channels of each output pixel.
#[inline(never)]
fn each_output(
    p: &Pool,
    x: &[i8],
    y: &mut [i8],
    pixel: &dyn Fn(&Area<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    if !p.input.holds(x, &p.output, y) {
        return Err(KernelError::ActivationLength);
    }
    let ([kh, kw], channels) = (p.window.kernel, p.output.c);
    if p.input.c != channels {
        return Err(KernelError::Shape);
    }
    let mut outputs = y.chunks_exact_mut(channels.max(1));
    for row in 0..p.output.h {
        for column in 0..p.output.w {
            let Some(out) = outputs.next() else { return Ok(()) };
            let [top, left] = p.window.corner(row, column);
            let (rows, columns) = (covered(top, kh, p.input.h), covered(left, kw, p.input.w));
            let start = rows.start.wrapping_mul(p.input.w).wrapping_add(columns.start).wrapping_mul(channels);
            let step = [p.input.w.wrapping_mul(channels), channels];
            pixel(&Area { x, start, step, count: [rows.len(), columns.len()] }, out);
        }
    }
    Ok(())
}

/// The input under an output.
struct Area<'a> {
    x: &'a [i8],
    /// The first element.
    start: usize,
    /// Elements from row to row, from column to column.
    step: [usize; 2],
    /// Rows and columns.
    count: [usize; 2],
}

// On their own, because all in one runs out of registers.
impl Area<'_> {
    /// The largest values of four channels from `c` on; what lies behind a pixel's last channel is to be ignored.
    #[inline(never)]
    fn largest(&self, c: usize) -> [i8; 4] {
        let mut largest = [i8::MIN; 4];
        self.each(c, |x| {
            let four = x.first_chunk().copied().unwrap_or_else(|| first_of(x));
            largest = larger(largest, four);
        });
        largest
    }

    /// `first` and the values of channel `c`.
    #[inline(never)]
    fn sum(&self, c: usize, first: i32) -> i32 {
        let mut sum = first;
        self.each(c, |x| sum = sum.wrapping_add(x.first().copied().unwrap_or(0).into()));
        sum
    }

    /// Calls `add` with the elements from channel `c` of each pixel on.
    #[inline(always)]
    fn each(&self, c: usize, mut add: impl FnMut(&[i8])) {
        let ([down, right], [rows, columns]) = (self.step, self.count);
        let mut row = self.start.wrapping_add(c);
        for _ in 0..rows {
            let mut at = row;
            for _ in 0..columns {
                add(self.x.get(at..).unwrap_or_default());
                at = at.wrapping_add(right);
            }
            row = row.wrapping_add(down);
        }
    }
}

/// Fewer than four values, at the input's end.
#[cold]
#[inline(never)]
fn first_of(x: &[i8]) -> [i8; 4] {
    let word = x.iter().rev().fold(0, |word, byte| word << 8 | u32::from(byte.cast_unsigned()));
    word.to_le_bytes().map(u8::cast_signed)
}

#[cfg(dtmm_isa = "dsp")]
#[allow(unsafe_code)]
#[inline(always)]
fn larger(a: [i8; 4], b: [i8; 4]) -> [i8; 4] {
    let [mut a, b] = [a, b].map(|v| u32::from_le_bytes(v.map(i8::cast_unsigned)));
    // SAFETY: computes with registers and flags only.
    unsafe {
        core::arch::asm!(
            "ssub8 {t}, {a}, {b}",
            "sel {a}, {a}, {b}",
            t = out(reg) _,
            a = inout(reg) a,
            b = in(reg) b,
            options(pure, nomem, nostack),
        );
    }
    a.to_le_bytes().map(u8::cast_signed)
}

#[cfg(not(dtmm_isa = "dsp"))]
#[inline(always)]
fn larger(a: [i8; 4], b: [i8; 4]) -> [i8; 4] {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a, b);
    [a0.max(b0), a1.max(b1), a2.max(b2), a3.max(b3)]
}
