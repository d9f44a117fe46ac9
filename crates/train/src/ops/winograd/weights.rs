//! Winograd's map of the weights and its transpose.

use rayon::prelude::*;

use crate::simd::simd;

/// Weights handled at a time.
const CHUNK: usize = 256;

/// The map, row by row.
const G: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// `u = G w Gᵀ`: `w` is `[3, 3, len]`, `u` is `[4, 4, len]`.
pub(super) fn transform(w: &[f32], u: &mut [f32]) {
    u.par_chunks_mut(4 * (w.len() / 9)).zip(&G).for_each(|(u, row)| {
        simd(
            #[inline(always)]
            || transform_row(w, row, u),
        );
    });
}

/// `gw = Gᵀ gu G`: `gu` is `[4, 4, len]`, `gw` is `[3, 3, len]`.
pub(super) fn restore(gu: &[f32], gw: &mut [f32]) {
    simd(
        #[inline(always)]
        || restore_all(gu, gw),
    );
}

/// The part of `u`, `[4, len]`, that belongs to one row of G.
#[inline(always)]
fn transform_row(w: &[f32], row: &[f32; 3], u: &mut [f32]) {
    let len = w.len() / 9;
    for at in (0..len).step_by(CHUNK) {
        let n = CHUNK.min(len - at);
        let mut columns = [[0.0; CHUNK]; 3];
        for (j, column) in columns.iter_mut().enumerate() {
            for (i, &factor) in row.iter().enumerate().filter(|(_, f)| **f != 0.0) {
                add_scaled(&mut column[..n], factor, &w[(3 * i + j) * len + at..][..n]);
            }
        }
        for (b, factors) in G.iter().enumerate() {
            let u = &mut u[b * len + at..][..n];
            u.fill(0.0);
            for (column, &factor) in columns.iter().zip(factors).filter(|(_, f)| **f != 0.0) {
                add_scaled(u, factor, &column[..n]);
            }
        }
    }
}

#[inline(always)]
fn restore_all(gu: &[f32], gw: &mut [f32]) {
    let len = gw.len() / 9;
    for at in (0..len).step_by(CHUNK) {
        let n = CHUNK.min(len - at);
        for j in 0..3 {
            let mut rows = [[0.0; CHUNK]; 4];
            for (a, row) in rows.iter_mut().enumerate() {
                for (b, factors) in G.iter().enumerate().filter(|(_, f)| f[j] != 0.0) {
                    add_scaled(&mut row[..n], factors[j], &gu[(4 * a + b) * len + at..][..n]);
                }
            }
            for i in 0..3 {
                let gw = &mut gw[(3 * i + j) * len + at..][..n];
                gw.fill(0.0);
                for (row, factors) in rows.iter().zip(&G).filter(|(_, f)| f[i] != 0.0) {
                    add_scaled(gw, factors[i], &row[..n]);
                }
            }
        }
    }
}

#[inline(always)]
fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t += factor * f);
}
