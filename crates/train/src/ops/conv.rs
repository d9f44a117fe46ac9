//! Convolution and fully connected layers: patches times weights.
//!
//! The weights are `[K, O]` with K = (kh, kw, c): every product then runs along contiguous output channels.

use rayon::prelude::*;

use super::slide::Slide;
use crate::{
    exec::{Backward, Forward, Kernel},
    gemm::{Mat, matmul},
    groups::Groups,
    simd::{simd, sum_parts},
};

/// Patch values computed at a time: what stays in a core's second-level cache.
const PATCHES: usize = 128 * 1024;

/// Rows of a product below which going over the weights again costs more than patches that leave that cache.
const ROWS: usize = 256;

/// Weights from which on adding up a sum per group costs more than the parallelism of many groups gains.
const MANY_WEIGHTS: usize = 128 * 1024;

pub(crate) struct Conv {
    slide: Slide,
}

impl Conv {
    pub fn new(slide: Slide) -> Self {
        Conv { slide }
    }

    /// Samples whose patches are computed together.
    fn step(&self) -> usize {
        let pixels = self.slide.pixels().max(1);
        (PATCHES / (self.slide.patch() * pixels)).max(ROWS.div_ceil(pixels)).max(1)
    }

    /// Groups of samples that are summed apart; depends on the layer and the batch only.
    fn groups(&self, groups: Groups) -> Groups {
        if self.slide.patch() * self.slide.y[2] >= MANY_WEIGHTS { groups.at_most(4) } else { groups }
    }

    /// The patches of consecutive samples, in `buffer` unless they are the input itself.
    fn patches<'a>(&self, x: &'a [f32], buffer: &'a mut Vec<f32>) -> &'a [f32] {
        if self.slide.is_pointwise() {
            return x;
        }
        let (x_len, rows_len) = (self.slide.x_len(), self.slide.patch() * self.slide.pixels());
        let len = x.len() / x_len * rows_len;
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
        simd(
            #[inline(always)]
            || {
                for (x, rows) in x.chunks_exact(x_len).zip(buffer.chunks_exact_mut(rows_len)) {
                    self.slide.im2row(x, rows);
                }
            },
        );
        &buffer[..len]
    }

    fn forward_group(&self, x: &[f32], params: Params<'_>, y: &mut [f32], buffer: &mut Vec<f32>) {
        let (o, k, n) = (self.slide.y[2], self.slide.patch(), self.step());
        let chunks = x.chunks(n * self.slide.x_len()).zip(y.chunks_mut(n * self.slide.y_len()));
        for (x, y) in chunks {
            let rows = y.len() / o;
            let patches = self.patches(x, buffer);
            matmul(y, false, Mat::new(patches, rows, k), Mat::new(params.weights, k, o));
            finish(y, params.bias, params.clamp);
        }
    }

    /// One group's part of the weights' gradient, and its inputs' gradient.
    fn backward_group(&self, g: Group<'_>, weights: &[f32], dw: &mut [f32], buffer: &mut Vec<f32>) {
        let (o, k, n) = (self.slide.y[2], self.slide.patch(), self.step());
        let (xs, ys) = (n * self.slide.x_len(), n * self.slide.y_len());
        let mut gx = g.gx.map(|(gx, add)| (gx.chunks_mut(xs), add));
        for (i, (x, gy)) in g.x.chunks(xs).zip(g.gy.chunks(ys)).enumerate() {
            let rows = gy.len() / o;
            let patches = self.patches(x, buffer);
            matmul(dw, i > 0, Mat::new(patches, rows, k).t(), Mat::new(gy, rows, o));
            if let Some((chunks, add)) = &mut gx
                && let Some(gx) = chunks.next()
            {
                self.input_gradient(gy, weights, gx, *add, buffer);
            }
        }
    }

    fn input_gradient(&self, gy: &[f32], weights: &[f32], gx: &mut [f32], add: bool, buffer: &mut [f32]) {
        let (o, k) = (self.slide.y[2], self.slide.patch());
        let rows = gy.len() / o;
        let product = (Mat::new(gy, rows, o), Mat::new(weights, k, o).t());
        if self.slide.is_pointwise() {
            matmul(gx, add, product.0, product.1);
            return;
        }
        matmul(&mut buffer[..rows * k], false, product.0, product.1);
        let rows_len = k * self.slide.pixels();
        for (gx, rows) in gx.chunks_exact_mut(self.slide.x_len()).zip(buffer.chunks_exact(rows_len)) {
            simd(
                #[inline(always)]
                || {
                    if !add {
                        gx.fill(0.0);
                    }
                    self.slide.row2im(gx, rows);
                },
            );
        }
    }
}

#[derive(Clone, Copy)]
struct Params<'a> {
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    clamp: (f32, f32),
}

/// One group's slices; `gx` with whether to add to it.
struct Group<'a> {
    x: &'a [f32],
    gy: &'a [f32],
    gx: Option<(&'a mut [f32], bool)>,
}

/// Adds the bias and clamps.
fn finish(y: &mut [f32], bias: Option<&[f32]>, (lo, hi): (f32, f32)) {
    simd(
        #[inline(always)]
        || {
            if let Some(bias) = bias {
                for row in y.chunks_exact_mut(bias.len()) {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y = (*y + b).max(lo).min(hi));
                }
            } else if (lo, hi) != crate::exec::NO_CLAMP {
                y.iter_mut().for_each(|y| *y = y.max(lo).min(hi));
            }
        },
    );
}

impl Kernel for Conv {
    fn clamps_forward(&self) -> bool {
        true
    }

    fn forward(&mut self, io: Forward<'_>) {
        let Forward { values, inputs, out, groups, clamp, scratch, .. } = io;
        let bias = inputs.get(2).map(|&b| values[b].as_slice());
        let params = Params { weights: &values[inputs[1]], bias, clamp };
        let groups = self.groups(groups);
        let (columns, _) = scratch.parts(groups.count, 0);
        let x = groups.split(&values[inputs[0]], self.slide.x_len());
        let y = groups.split_mut(out, self.slide.y_len());
        y.into_par_iter()
            .zip(x)
            .zip(columns)
            .for_each(|((y, x), buffer)| self.forward_group(x, params, y, buffer));
    }

    fn backward(&mut self, io: Backward<'_>) {
        let Backward { values, grads, inputs, gy, groups, scratch, .. } = io;
        if let Some(&b) = inputs.get(2) {
            bias_gradient(grads, b, gy, self.slide.y[2], groups, &mut scratch.partial);
        }
        let weights = &values[inputs[1]][..];
        let groups = self.groups(groups);
        let (columns, partial) = scratch.parts(groups.count, weights.len());
        let mut gx = grads.take(inputs[0]);
        let gx_parts: Vec<Option<(&mut [f32], bool)>> = match &mut gx {
            Some((gx, add)) => {
                groups.split_mut(gx, self.slide.x_len()).into_iter().map(|p| Some((p, *add))).collect()
            }
            None => (0..groups.count).map(|_| None).collect(),
        };
        let x = groups.split(&values[inputs[0]], self.slide.x_len());
        let gy = groups.split(gy, self.slide.y_len());
        let parts: Vec<Group<'_>> =
            x.into_iter().zip(gy).zip(gx_parts).map(|((x, gy), gx)| Group { x, gy, gx }).collect();
        parts
            .into_par_iter()
            .zip(columns)
            .zip(partial.par_chunks_mut(weights.len()))
            .for_each(|((group, buffer), dw)| self.backward_group(group, weights, dw, buffer));
        if let Some((gx, _)) = gx {
            grads.put(inputs[0], gx);
        }
        if let Some((mut gw, add)) = grads.take(inputs[1]) {
            let parts: Vec<&[f32]> = partial.chunks(weights.len()).collect();
            sum_parts(&mut gw, &parts, add);
            grads.put(inputs[1], gw);
        }
    }
}

/// The gradient of a bias of `o` values: the sum of `gy` over all pixels.
pub(crate) fn bias_gradient(
    grads: &mut crate::exec::Grads,
    bias: usize,
    gy: &[f32],
    o: usize,
    groups: Groups,
    partial: &mut Vec<f32>,
) {
    let Some((mut gb, add)) = grads.take(bias) else { return };
    partial.resize(partial.len().max(groups.count * o), 0.0);
    let sums = &mut partial[..groups.count * o];
    let parts = groups.split(gy, gy.len() / groups.batch);
    sums.par_chunks_mut(o).zip(parts).for_each(|(sum, gy)| {
        simd(
            #[inline(always)]
            || {
                sum.fill(0.0);
                for row in gy.chunks_exact(o) {
                    sum.iter_mut().zip(row).for_each(|(s, g)| *s += g);
                }
            },
        );
    });
    sum_parts(&mut gb, &sums.chunks(o).collect::<Vec<_>>(), add);
    grads.put(bias, gb);
}
