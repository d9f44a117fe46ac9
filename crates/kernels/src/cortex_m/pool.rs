//! Pooling, four channels at a time where it is the maximum.

use crate::reference::{covered, rounded_quotient};
use crate::{KernelError, Pool};

/// As [`crate::reference::max_pool_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn max_pool_s8(p: &Pool, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    pool(p, Kind::Max, x, y)
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
    pool(p, padding_value.map_or(Kind::Covered, Kind::Padded), x, y)
}

/// Which of the operators.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Max,
    /// The mean of covered pixels.
    Covered,
    /// The mean of all pixels, of which padded ones have this value.
    Padded(i8),
}

#[inline(never)]
fn pool(p: &Pool, kind: Kind, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
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
            pixel(p, kind, &Area { x, start, step, count: [rows.len(), columns.len()] }, out);
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
    /// The largest values of four channels from `c` on.
    #[inline(never)]
    fn largest(&self, c: usize) -> u32 {
        let mut largest = [i8::MIN; 4];
        self.each(c, |x| largest = x.first_chunk().map_or(largest, |x| larger(largest, *x)));
        u32::from_le_bytes(largest.map(i8::cast_unsigned))
    }

    /// `first` and the values of channel `c`, put together by `fold`.
    #[inline(never)]
    fn fold(&self, c: usize, first: i32, fold: fn(i32, i32) -> i32) -> i32 {
        let mut value = first;
        self.each(c, |x| value = x.first().map_or(value, |x| fold(value, i32::from(*x))));
        value
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

/// All channels of an output pixel.
#[inline(always)]
fn pixel(p: &Pool, kind: Kind, area: &Area<'_>, out: &mut [i8]) {
    let mut c = 0usize;
    let (fours, rest) = if kind == Kind::Max { out.as_chunks_mut::<4>() } else { (&mut [][..], &mut *out) };
    for four in fours {
        *four = area.largest(c).to_le_bytes().map(u8::cast_signed);
        c = c.wrapping_add(4);
    }
    // A mean has the padding in its first value. Through a pointer, because two loops would be twice the code.
    let covered = area.count[0].wrapping_mul(area.count[1]) as i32;
    let all = p.window.kernel[0].wrapping_mul(p.window.kernel[1]) as i32;
    let (fold, first, divisor): (fn(i32, i32) -> i32, _, _) = match kind {
        Kind::Max => (i32::max, i32::MIN, 1),
        Kind::Covered => (i32::wrapping_add, 0, covered),
        Kind::Padded(value) => {
            (i32::wrapping_add, i32::from(value).wrapping_mul(all.wrapping_sub(covered)), all)
        }
    };
    for out in rest {
        *out = crate::requantize::saturate(rounded_quotient(area.fold(c, first, fold), divisor));
        c = c.wrapping_add(1);
    }
    for out in out {
        *out = (*out).min(p.clamp.max).max(p.clamp.min);
    }
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
