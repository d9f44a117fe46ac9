//! MaxPool, pixel by pixel into the output.

use core::ops::Range;

use crate::{KernelError, Pool};

/// As [`crate::reference::max_pool_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn max_pool_s8(p: &Pool, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    if x.len() != p.input.elements() || y.len() != p.output.elements() || x.is_empty() || y.is_empty() {
        return Err(KernelError::ActivationLength);
    }
    if p.input.c != p.output.c {
        return Err(KernelError::Shape);
    }
    let ([kh, kw], channels) = (p.window.kernel, p.output.c.max(1));
    let mut outputs = y.chunks_exact_mut(channels);
    for row in 0..p.output.h {
        for column in 0..p.output.w {
            let Some(out) = outputs.next() else { return Ok(()) };
            let [top, left] = p.window.corner(row, column);
            let columns = covered(left, kw, p.input.w);
            out.fill(i8::MIN);
            for row in covered(top, kh, p.input.h) {
                let mut at = row.wrapping_mul(p.input.w).wrapping_add(columns.start).wrapping_mul(channels);
                for _ in columns.clone() {
                    let end = at.wrapping_add(channels);
                    maximum(out, x.get(at..end).unwrap_or_default());
                    at = end;
                }
            }
            for out in out {
                *out = p.clamp.apply((*out).into());
            }
        }
    }
    Ok(())
}

/// The part of `start..start + len` inside `0..size`.
fn covered(start: isize, len: usize, size: usize) -> Range<usize> {
    let end = usize::try_from(start.saturating_add_unsigned(len)).unwrap_or(0).min(size);
    usize::try_from(start).unwrap_or(0).min(end)..end
}

/// The larger one of each pair of values, into `y`.
#[inline(never)]
fn maximum(y: &mut [i8], x: &[i8]) {
    let ((words, y), (values, x)) = (y.as_chunks_mut::<4>(), x.as_chunks::<4>());
    for (y, x) in words.iter_mut().zip(values) {
        *y = larger(*y, *x);
    }
    for (y, x) in y.iter_mut().zip(x) {
        *y = (*y).max(*x);
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
