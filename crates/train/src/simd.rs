//! Loops compiled for several instruction sets, the best one chosen at run time.
//!
//! Results do not depend on the choice: no loop here lets the compiler reorder or contract floating-point operations.

use rayon::prelude::*;

/// Values handled by one task of an elementwise loop.
const CHUNK: usize = 16 * 1024;

/// Runs `f` compiled for the best vector instruction set of this machine.
#[inline(always)]
pub(crate) fn simd<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// `f(d, a)` for each pair, in parallel.
pub(crate) fn zip1(d: &mut [f32], a: &[f32], f: impl Fn(&mut f32, f32) + Sync) {
    d.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).for_each(|(d, a)| {
        simd(
            #[inline(always)]
            || d.iter_mut().zip(a).for_each(|(d, &a)| f(d, a)),
        );
    });
}

/// `f(d, a, b)` for each triple, in parallel.
pub(crate) fn zip2(d: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(&mut f32, f32, f32) + Sync) {
    d.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK)).for_each(|((d, a), b)| {
        simd(
            #[inline(always)]
            || d.iter_mut().zip(a).zip(b).for_each(|((d, &a), &b)| f(d, a, b)),
        );
    });
}

/// `f(d, e, a)` for each triple, in parallel.
pub(crate) fn zip_two(d: &mut [f32], e: &mut [f32], a: &[f32], f: impl Fn(&mut f32, &mut f32, f32) + Sync) {
    let pairs = d.par_chunks_mut(CHUNK).zip(e.par_chunks_mut(CHUNK));
    pairs.zip(a.par_chunks(CHUNK)).for_each(|((d, e), a)| {
        simd(
            #[inline(always)]
            || d.iter_mut().zip(e).zip(a).for_each(|((d, e), &a)| f(d, e, a)),
        );
    });
}

/// `d = a` or `d += a`.
pub(crate) fn store_or_add(d: &mut [f32], a: &[f32], add: bool) {
    if add {
        zip1(d, a, |d, a| *d += a);
    } else {
        zip1(d, a, |d, a| *d = a);
    }
}

/// Clamps in place.
pub(crate) fn clamp(d: &mut [f32], (lo, hi): (f32, f32)) {
    d.par_chunks_mut(CHUNK).for_each(|d| clamp_chunk(d, lo, hi));
}

/// Clamps one task's values in place.
pub(crate) fn clamp_chunk(d: &mut [f32], lo: f32, hi: f32) {
    simd(
        #[inline(always)]
        || d.iter_mut().for_each(|d| *d = d.max(lo).min(hi)),
    );
}

/// Sets `g` to zero where the clamped result `y` is at an end of the interval.
pub(crate) fn mask_clamped(g: &mut [f32], y: &[f32], (lo, hi): (f32, f32)) {
    zip1(g, y, |g, y| *g = if y > lo && y < hi { *g } else { 0.0 });
}

/// Sets `g` to zero where `y` lies outside the interval.
pub(crate) fn mask_outside(g: &mut [f32], y: &[f32], (lo, hi): (f32, f32)) {
    zip1(g, y, |g, y| *g = if y >= lo && y <= hi { *g } else { 0.0 });
}

/// Adds `parts`, each as long as `total`, in order; replaces `total` unless `add`.
pub(crate) fn sum_parts(total: &mut [f32], parts: &[&[f32]], add: bool) {
    total.par_chunks_mut(CHUNK).enumerate().for_each(|(i, total)| {
        let at = i * CHUNK..i * CHUNK + total.len();
        simd(
            #[inline(always)]
            || {
                for (p, part) in parts.iter().enumerate() {
                    let pairs = total.iter_mut().zip(&part[at.clone()]);
                    if p == 0 && !add {
                        pairs.for_each(|(t, v)| *t = *v);
                    } else {
                        pairs.for_each(|(t, v)| *t += v);
                    }
                }
            },
        );
    });
}
