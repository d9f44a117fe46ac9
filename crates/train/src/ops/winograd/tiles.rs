//! Winograd's maps of inputs, outputs and their gradients, a row of tiles at a time: down the columns into four rows of
//! pixels, then across.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::exec::Dims;

/// Rows of tiles, from whichever sample, and how they lie in memory.
#[derive(Clone)]
pub(super) struct Block<'a> {
    /// Rows of tiles, counted through the group's samples.
    pub tiles: Range<usize>,
    /// Rows of tiles of a sample.
    pub rows: usize,
    /// Tiles in a row.
    pub columns: usize,
    pub x: Dims,
    pub y: Dims,
    /// Above and to the left.
    pub padding: [usize; 2],
    /// Channels.
    pub c: usize,
    /// Values from one position to the next.
    pub step: usize,
    /// A row in the padding.
    pub zeros: &'a [f32],
}

impl Block<'_> {
    /// The sample and the row of tiles in it.
    fn place(&self, row: usize) -> (usize, usize) {
        (row / self.rows, row % self.rows)
    }

    /// The input row under row `k` of the tiles in row `ty`.
    fn input_row(&self, ty: usize, k: usize) -> Option<usize> {
        (2 * ty + k).checked_sub(self.padding[0]).filter(|&iy| iy < self.x[0])
    }

    fn line<S: Simd>(&self, simd: S) -> Line<S> {
        Line { simd, columns: self.columns, n: self.c / S::F32_LANES, step: self.step / S::F32_LANES }
    }
}

/// `v = Bᵀ x B`.
pub(super) struct ReadInputs<'a> {
    pub block: Block<'a>,
    pub x: &'a [f32],
    pub v: &'a mut [f32],
    pub rows: &'a mut [f32],
}

impl WithSimd for ReadInputs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (b, [height, width, _]) = (&self.block, self.block.x);
        let line = b.line(simd);
        let (len, left) = (width * line.n, b.padding[1] * line.n);
        let (x, zeros) = (S::as_simd_f32s(self.x).0, &S::as_simd_f32s(b.zeros).0[..len]);
        let (v, rows) = (S::as_mut_simd_f32s(self.v).0, S::as_mut_simd_f32s(self.rows).0);
        rows[..4 * line.wide()].fill(simd.splat_f32s(0.0));
        for (i, r) in b.tiles.clone().enumerate() {
            let (sample, ty) = b.place(r);
            let source = |k: usize| match b.input_row(ty, k) {
                Some(iy) => &x[(sample * height + iy) * len..][..len],
                None => zeros,
            };
            line.inputs_down([source(0), source(1), source(2), source(3)], rows, left);
            line.inputs_across(rows, v, i);
        }
    }
}

/// `gm = A gy Aᵀ`.
pub(super) struct ReadGradients<'a> {
    pub block: Block<'a>,
    pub gy: &'a [f32],
    pub m: &'a mut [f32],
    pub rows: &'a mut [f32],
}

impl WithSimd for ReadGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (b, [height, width, _]) = (&self.block, self.block.y);
        let line = b.line(simd);
        let len = width * line.n;
        let (gy, zeros) = (S::as_simd_f32s(self.gy).0, &S::as_simd_f32s(b.zeros).0[..len]);
        let (m, rows) = (S::as_mut_simd_f32s(self.m).0, S::as_mut_simd_f32s(self.rows).0);
        rows[..4 * line.narrow()].fill(simd.splat_f32s(0.0));
        for (i, r) in b.tiles.clone().enumerate() {
            let (sample, ty) = b.place(r);
            let at = |row: usize| &gy[(sample * height + row) * len..][..len];
            let second = if 2 * ty + 1 < height { at(2 * ty + 1) } else { zeros };
            line.gradients_down([at(2 * ty), second], rows);
            line.gradients_across(rows, m, i);
        }
    }
}

/// `y = Aᵀ m A`; `done` is called for each piece of `y` that is complete.
pub(super) struct WriteOutputs<'a, F> {
    pub block: Block<'a>,
    pub m: &'a [f32],
    pub y: &'a mut [f32],
    pub rows: &'a mut [f32],
    pub done: F,
}

impl<F: Fn(&mut [f32])> WithSimd for WriteOutputs<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (b, [height, width, c]) = (&self.block, self.block.y);
        let line = b.line(simd);
        let (m, rows) = (S::as_simd_f32s(self.m).0, S::as_mut_simd_f32s(self.rows).0);
        for (i, r) in b.tiles.clone().enumerate() {
            let (sample, ty) = b.place(r);
            let count = (height - 2 * ty).min(2);
            let y = &mut self.y[(sample * height + 2 * ty) * width * c..][..count * width * c];
            line.outputs_across(m, rows, i);
            let (first, second) = S::as_mut_simd_f32s(y).0.split_at_mut(width * line.n);
            line.outputs_down(rows, first, second);
            (self.done)(y);
        }
    }
}

/// `gx += B gv Bᵀ`, or `=` unless `add`.
pub(super) struct AddInputGradients<'a> {
    pub block: Block<'a>,
    pub v: &'a [f32],
    pub gx: &'a mut [f32],
    pub add: bool,
    pub rows: &'a mut [f32],
}

impl WithSimd for AddInputGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (b, [height, width, _]) = (&self.block, self.block.x);
        let line = b.line(simd);
        let (len, left) = (width * line.n, b.padding[1] * line.n);
        let (v, rows) = (S::as_simd_f32s(self.v).0, S::as_mut_simd_f32s(self.rows).0);
        let gx = S::as_mut_simd_f32s(self.gx).0;
        for (i, r) in b.tiles.clone().enumerate() {
            let (sample, ty) = b.place(r);
            let gx = &mut gx[sample * height * len..][..height * len];
            if ty == 0 && !self.add {
                gx.fill(simd.splat_f32s(0.0));
            }
            line.input_gradients_across(v, rows, i);
            for k in 0..4 {
                if let Some(iy) = b.input_row(ty, k) {
                    line.input_gradients_down(rows, &mut gx[iy * len..][..len], left, k);
                }
            }
        }
    }
}

/// One row of tiles, in vectors.
struct Line<S> {
    simd: S,
    /// Tiles.
    columns: usize,
    /// Vectors of one pixel.
    n: usize,
    /// Vectors from one position to the next.
    step: usize,
}

impl<S: Simd> Line<S> {
    /// Vectors of a row of inputs: neighbouring tiles share two columns.
    fn wide(&self) -> usize {
        (2 * self.columns + 2) * self.n
    }

    /// Vectors of a row of outputs.
    fn narrow(&self) -> usize {
        2 * self.columns * self.n
    }

    /// Where row `i` of the block's tiles lies in each position.
    fn tiles(&self, i: usize) -> Range<usize> {
        i * self.columns * self.n..(i + 1) * self.columns * self.n
    }

    #[inline(always)]
    fn inputs_down(&self, from: [&[S::f32s]; 4], rows: &mut [S::f32s], left: usize) {
        let len = from[0].len();
        let [x0, x1, x2, x3] = from;
        let (x1, x2, x3) = (&x1[..len], &x2[..len], &x3[..len]);
        let [r0, r1, r2, r3] = four_mut(rows, self.wide(), left..left + len);
        for i in 0..len {
            [r0[i], r1[i], r2[i], r3[i]] = self.input([x0[i], x1[i], x2[i], x3[i]]);
        }
    }

    #[inline(always)]
    fn inputs_across(&self, rows: &[S::f32s], v: &mut [S::f32s], i: usize) {
        let n = self.n;
        for k in 0..4 {
            let row = &rows[k * self.wide()..][..self.wide()];
            let [v0, v1, v2, v3] = four_mut(&mut v[4 * k * self.step..], self.step, self.tiles(i));
            for t in 0..self.columns {
                let [d0, d1, d2, d3] = four(&row[2 * t * n..], n, 0..n);
                let at = t * n..(t + 1) * n;
                let (v0, v1) = (&mut v0[at.clone()], &mut v1[at.clone()]);
                let (v2, v3) = (&mut v2[at.clone()], &mut v3[at]);
                for i in 0..n {
                    [v0[i], v1[i], v2[i], v3[i]] = self.input([d0[i], d1[i], d2[i], d3[i]]);
                }
            }
        }
    }

    #[inline(always)]
    fn gradients_down(&self, [g0, g1]: [&[S::f32s]; 2], rows: &mut [S::f32s]) {
        let len = g0.len();
        let g1 = &g1[..len];
        let [r0, r1, r2, r3] = four_mut(rows, self.narrow(), 0..len);
        for i in 0..len {
            [r0[i], r1[i], r2[i], r3[i]] = self.output_transposed([g0[i], g1[i]]);
        }
    }

    #[inline(always)]
    fn gradients_across(&self, rows: &[S::f32s], m: &mut [S::f32s], i: usize) {
        let n = self.n;
        for k in 0..4 {
            let row = &rows[k * self.narrow()..][..self.narrow()];
            let [m0, m1, m2, m3] = four_mut(&mut m[4 * k * self.step..], self.step, self.tiles(i));
            for t in 0..self.columns {
                let (d0, d1) = row[2 * t * n..][..2 * n].split_at(n);
                let at = t * n..(t + 1) * n;
                let (m0, m1) = (&mut m0[at.clone()], &mut m1[at.clone()]);
                let (m2, m3) = (&mut m2[at.clone()], &mut m3[at]);
                for i in 0..n {
                    [m0[i], m1[i], m2[i], m3[i]] = self.output_transposed([d0[i], d1[i]]);
                }
            }
        }
    }

    #[inline(always)]
    fn outputs_across(&self, m: &[S::f32s], rows: &mut [S::f32s], i: usize) {
        let n = self.n;
        for k in 0..4 {
            let row = &mut rows[k * self.narrow()..][..self.narrow()];
            let [m0, m1, m2, m3] = four(&m[4 * k * self.step..], self.step, self.tiles(i));
            for t in 0..self.columns {
                let (d0, d1) = row[2 * t * n..][..2 * n].split_at_mut(n);
                let at = t * n..(t + 1) * n;
                let (m0, m1, m2, m3) = (&m0[at.clone()], &m1[at.clone()], &m2[at.clone()], &m3[at]);
                for i in 0..n {
                    [d0[i], d1[i]] = self.output([m0[i], m1[i], m2[i], m3[i]]);
                }
            }
        }
    }

    /// `second` is empty where the output ends with the first row.
    #[inline(always)]
    fn outputs_down(&self, rows: &[S::f32s], first: &mut [S::f32s], second: &mut [S::f32s]) {
        let len = first.len();
        let [r0, r1, r2, r3] = four(rows, self.narrow(), 0..len);
        if second.is_empty() {
            for i in 0..len {
                first[i] = self.output([r0[i], r1[i], r2[i], r3[i]])[0];
            }
            return;
        }
        let second = &mut second[..len];
        for i in 0..len {
            [first[i], second[i]] = self.output([r0[i], r1[i], r2[i], r3[i]]);
        }
    }

    /// A tile adds to the two columns that it shares with the tile before and sets the other two.
    #[inline(always)]
    fn input_gradients_across(&self, v: &[S::f32s], rows: &mut [S::f32s], i: usize) {
        let n = self.n;
        for k in 0..4 {
            let row = &mut rows[k * self.wide()..][..self.wide()];
            row[..2 * n].fill(self.simd.splat_f32s(0.0));
            let [v0, v1, v2, v3] = four(&v[4 * k * self.step..], self.step, self.tiles(i));
            for t in 0..self.columns {
                let [d0, d1, d2, d3] = four_mut(&mut row[2 * t * n..], n, 0..n);
                let at = t * n..(t + 1) * n;
                let (v0, v1, v2, v3) = (&v0[at.clone()], &v1[at.clone()], &v2[at.clone()], &v3[at]);
                for i in 0..n {
                    let d = self.input_transposed([v0[i], v1[i], v2[i], v3[i]]);
                    (d0[i], d1[i]) = (self.sum(d0[i], d[0]), self.sum(d1[i], d[1]));
                    (d2[i], d3[i]) = (d[2], d[3]);
                }
            }
        }
    }

    /// Adds row `k` of the tiles' gradients.
    #[inline(always)]
    fn input_gradients_down(&self, rows: &[S::f32s], to: &mut [S::f32s], left: usize, k: usize) {
        let len = to.len();
        let [r0, r1, r2, r3] = four(rows, self.wide(), left..left + len);
        match k {
            0 => {
                for i in 0..len {
                    to[i] = self.sum(to[i], r0[i]);
                }
            }
            1 => {
                for i in 0..len {
                    to[i] = self.sum(to[i], self.sum(self.difference(r1[i], r2[i]), r3[i]));
                }
            }
            2 => {
                for i in 0..len {
                    to[i] = self.sum(to[i], self.sum(self.difference(r1[i], r0[i]), r2[i]));
                }
            }
            _ => {
                for i in 0..len {
                    to[i] = self.difference(to[i], r3[i]);
                }
            }
        }
    }

    #[inline(always)]
    fn sum(&self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.simd.add_f32s(a, b)
    }

    #[inline(always)]
    fn difference(&self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.simd.sub_f32s(a, b)
    }

    /// Bᵀ.
    #[inline(always)]
    fn input(&self, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
        [self.difference(a, c), self.sum(b, c), self.difference(c, b), self.difference(b, d)]
    }

    /// B.
    #[inline(always)]
    fn input_transposed(&self, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
        let (second, third) = (self.difference(b, c), self.difference(b, a));
        [a, self.sum(second, d), self.sum(third, c), self.simd.neg_f32s(d)]
    }

    /// Aᵀ.
    #[inline(always)]
    fn output(&self, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 2] {
        let (first, second) = (self.sum(a, b), self.difference(b, c));
        [self.sum(first, c), self.difference(second, d)]
    }

    /// A.
    #[inline(always)]
    fn output_transposed(&self, [a, b]: [S::f32s; 2]) -> [S::f32s; 4] {
        [a, self.sum(a, b), self.difference(a, b), self.simd.neg_f32s(b)]
    }
}

/// The same range of four parts of length `step`.
#[inline(always)]
fn four<V>(v: &[V], step: usize, at: Range<usize>) -> [&[V]; 4] {
    let part = |k: usize| &v[k * step + at.start..k * step + at.end];
    [part(0), part(1), part(2), part(3)]
}

/// As [`four`], mutable.
#[inline(always)]
fn four_mut<V>(v: &mut [V], step: usize, at: Range<usize>) -> [&mut [V]; 4] {
    let (a, v) = v.split_at_mut(step);
    let (b, v) = v.split_at_mut(step);
    let (c, d) = v.split_at_mut(step);
    [&mut a[at.clone()], &mut b[at.clone()], &mut c[at.clone()], &mut d[at]]
}
