//! Convolution and fully connected layers: patches times weights.
//!
//! The weights are `[K, O]` with K = (kh, kw, c): every product then runs along contiguous output channels.

use std::ops::Range;

use rayon::prelude::*;

use super::{slide::Slide, winograd::Winograd};
use crate::{
    exec::{Backward, Forward, Kernel},
    gemm::{Mat, matmul},
    groups::Groups,
    simd::{simd, sum_parts},
};

/// Patch values computed at a time: what stays in a core's second-level cache.
const PATCHES: usize = 64 * 1024;

/// Rows of a product below which going over the weights again costs more than patches that leave that cache.
const ROWS: usize = 256;

/// Weights from which on adding up a sum per group costs more than the parallelism of many groups gains.
const MANY_WEIGHTS: usize = 128 * 1024;

pub(crate) struct Conv {
    slide: Slide,
    winograd: Option<Winograd>,
}

impl Conv {
    pub fn new(slide: Slide) -> Self {
        Conv { winograd: Winograd::new(slide), slide }
    }

    /// `samples` samples in pieces whose patches are computed together: several samples, or some rows of one.
    fn bands(&self, samples: usize) -> Vec<Band> {
        let [height, width, _] = self.slide.y;
        let row = width * self.slide.patch();
        let rows = (PATCHES / row).max(ROWS.div_ceil(width)).max(1);
        let step = (rows / height).max(1);
        let rows = rows.min(height);
        let band = |sample: usize, row: usize| Band {
            sample,
            samples: step.min(samples - sample),
            row,
            rows: rows.min(height - row),
        };
        let starts = (0..samples).step_by(step);
        starts.flat_map(|sample| (0..height).step_by(rows).map(move |row| band(sample, row))).collect()
    }

    /// Groups of samples that are summed apart; depends on the layer and the batch only.
    fn groups(&self, groups: Groups) -> Groups {
        if self.slide.patch() * self.slide.y[2] >= MANY_WEIGHTS { groups.at_most(4) } else { groups }
    }

    /// Where a band lies in the output of its group.
    fn output(&self, b: Band) -> Range<usize> {
        let [_, width, o] = self.slide.y;
        let start = b.sample * self.slide.y_len() + b.row * width * o;
        start..start + b.samples * b.rows * width * o
    }

    /// Where a band of a pointwise layer lies in the input of its group.
    fn pixels(&self, b: Band) -> Range<usize> {
        let (at, [.., o], [.., c]) = (self.output(b), self.slide.y, self.slide.x);
        at.start / o * c..at.end / o * c
    }

    /// The patches of a band of a group's input, in `buffer` unless they are the input itself.
    fn patches<'a>(&self, x: &'a [f32], b: Band, buffer: &'a mut Vec<f32>) -> &'a [f32] {
        if self.slide.is_pointwise() {
            return &x[self.pixels(b)];
        }
        let (x_len, band_len) = (self.slide.x_len(), b.rows * self.slide.y[1] * self.slide.patch());
        let len = b.samples * band_len;
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
        let samples = x[b.sample * x_len..].chunks_exact(x_len).zip(buffer.chunks_exact_mut(band_len));
        simd(
            #[inline(always)]
            || samples.take(b.samples).for_each(|(x, rows)| self.slide.im2row(x, b.row, rows)),
        );
        &buffer[..len]
    }

    fn forward_group(&self, x: &[f32], params: Params<'_>, y: &mut [f32], buffer: &mut Vec<f32>) {
        if let Some(winograd) = &self.winograd {
            return winograd.forward_group(x, y, buffer, |y| finish(y, params.bias, params.clamp));
        }
        let (o, k) = (self.slide.y[2], self.slide.patch());
        for b in self.bands(x.len() / self.slide.x_len()) {
            let y = &mut y[self.output(b)];
            let rows = y.len() / o;
            let patches = self.patches(x, b, buffer);
            matmul(y, false, Mat::new(patches, rows, k), Mat::new(params.weights, k, o));
            finish(y, params.bias, params.clamp);
        }
    }

    /// One group's part of the weights' gradient, and its inputs' gradient.
    fn backward_group(&self, mut g: Group<'_>, weights: &[f32], dw: &mut [f32], buffer: &mut Vec<f32>) {
        if let Some(winograd) = &self.winograd {
            return winograd.backward_group(g, dw, buffer);
        }
        let (o, k) = (self.slide.y[2], self.slide.patch());
        for (i, b) in self.bands(g.x.len() / self.slide.x_len()).into_iter().enumerate() {
            let gy = &g.gy[self.output(b)];
            let rows = gy.len() / o;
            let patches = self.patches(g.x, b, buffer);
            matmul(dw, i > 0, Mat::new(patches, rows, k).t(), Mat::new(gy, rows, o));
            if let Some((gx, add)) = &mut g.gx {
                self.input_gradient(gy, weights, (gx, *add), b, buffer);
            }
        }
    }

    /// A band's part of its group's input gradient `gx`, with whether to add to what is there.
    fn input_gradient(
        &self,
        gy: &[f32],
        weights: &[f32],
        (gx, add): (&mut [f32], bool),
        b: Band,
        buffer: &mut [f32],
    ) {
        let (o, k) = (self.slide.y[2], self.slide.patch());
        let rows = gy.len() / o;
        let product = (Mat::new(gy, rows, o), Mat::new(weights, k, o).t());
        if self.slide.is_pointwise() {
            matmul(&mut gx[self.pixels(b)], add, product.0, product.1);
            return;
        }
        matmul(&mut buffer[..rows * k], false, product.0, product.1);
        let (x_len, band_len) = (self.slide.x_len(), rows / b.samples * k);
        let samples = gx[b.sample * x_len..].chunks_exact_mut(x_len).zip(buffer.chunks_exact(band_len));
        simd(
            #[inline(always)]
            || {
                for (gx, rows) in samples.take(b.samples) {
                    if !add && b.row == 0 {
                        gx.fill(0.0);
                    }
                    self.slide.row2im(gx, b.row, rows);
                }
            },
        );
    }
}

/// All rows of some samples of a group, or some rows of one.
#[derive(Clone, Copy)]
struct Band {
    sample: usize,
    samples: usize,
    row: usize,
    rows: usize,
}

#[derive(Clone, Copy)]
struct Params<'a> {
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    clamp: (f32, f32),
}

/// One group's slices; `gx` with whether to add to it.
pub(super) struct Group<'a> {
    pub x: &'a [f32],
    pub gy: &'a [f32],
    pub gx: Option<(&'a mut [f32], bool)>,
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
        if let Some(winograd) = &mut self.winograd {
            winograd.set_weights(params.weights);
        }
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
        if let Some(winograd) = &mut self.winograd {
            winograd.set_weights(weights);
        }
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

#[cfg(test)]
mod tests {
    use dtmm_graph::{Padding, Window};

    use super::*;
    use crate::exec::NO_CLAMP;

    /// Small numbers without a pattern.
    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    fn close(a: &[f32], b: &[f32]) {
        let top = b.iter().fold(0.0f32, |top, v| top.max(v.abs()));
        let far = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(a.len() == b.len() && far < 1e-5 * top, "{far} of {top}");
    }

    fn run(conv: &Conv, samples: usize, add: bool) -> [Vec<f32>; 3] {
        let s = conv.slide;
        let weights = values(s.patch() * s.y[2], 1);
        let (x, gy) = (values(samples * s.x_len(), 2), values(samples * s.y_len(), 3));
        let bias = values(s.y[2], 4);
        let (mut y, mut gx) = (vec![f32::NAN; gy.len()], vec![if add { 0.5 } else { f32::NAN }; x.len()]);
        let (mut dw, mut buffer) = (vec![f32::NAN; weights.len()], vec![f32::NAN; 7]);
        let params = Params { weights: &weights, bias: Some(&bias), clamp: NO_CLAMP };
        conv.forward_group(&x, params, &mut y, &mut buffer);
        buffer.fill(f32::NAN);
        let group = Group { x: &x, gy: &gy, gx: Some((&mut gx, add)) };
        conv.backward_group(group, &weights, &mut dw, &mut buffer);
        [y, gx, dw]
    }

    #[test]
    fn winograd_agrees_with_patches() {
        for (size, padding) in
            [([4, 4], [1; 4]), ([7, 5], [0, 1, 2, 1]), ([6, 9], [1, 0, 0, 2]), ([32, 12], [0; 4])]
        {
            let [top, bottom, left, right] = padding;
            let window = Window { padding: Padding { top, bottom, left, right }, ..Window::new([3, 3]) };
            let y = [size[0] + top + bottom - 2, size[1] + left + right - 2, 48];
            let slide = Slide::new([size[0], size[1], 16], y, window);
            for (samples, add) in [(1, false), (5, true)] {
                let mut fast = Conv::new(slide);
                let winograd = fast.winograd.as_mut().expect("3x3, stride 1, channels by the vector");
                winograd.set_weights(&values(slide.patch() * y[2], 1));
                let plain = run(&Conv { slide, winograd: None }, samples, add);
                run(&fast, samples, add).iter().zip(&plain).for_each(|(a, b)| close(a, b));
            }
        }
    }
}
