//! Batch normalisation with a fused clamp.

use rayon::prelude::*;

use crate::{
    exec::{Backward, Dims, Forward, Kernel, Mode, NO_CLAMP},
    groups::Groups,
    simd::simd,
};

/// Part of the batch's statistics that enters the running ones.
const MOMENTUM: f32 = 0.1;

pub(crate) struct BatchNorm {
    channels: usize,
    epsilon: f32,
    mode: Mode,
    mean: Vec<f32>,
    /// One over the standard deviation.
    inverse: Vec<f32>,
    /// Pixels handled as one row: with few channels a row of one pixel is too short for vector loops.
    pixels: usize,
}

/// Values in a row that are enough for vector loops.
const WIDE: usize = 128;

impl BatchNorm {
    /// For samples of height, width, channels `dims`.
    pub fn new(dims: Dims, epsilon: f32) -> Self {
        let (area, channels) = (dims[0] * dims[1], dims[2]);
        let fits = |p: &usize| area % p == 0 && p * channels <= WIDE;
        let pixels = (1..=area).take(WIDE).filter(fits).last().unwrap_or(1);
        let zero = vec![0.0; channels];
        BatchNorm { channels, epsilon, mode: Mode::Inference, mean: zero.clone(), inverse: zero, pixels }
    }

    /// One value per channel, repeated for each pixel of a row.
    fn widen(&self, v: &[f32]) -> Vec<f32> {
        v.repeat(self.pixels)
    }

    /// The sums of rows, as one sum per channel: groups and then pixels added in order.
    fn total(&self, partial: &[f32]) -> Vec<f32> {
        total(&total(partial, self.channels * self.pixels), self.channels)
    }

    /// Mean and variance of the batch, summed group by group.
    fn batch_statistics(&mut self, x: &[f32], groups: Groups, partial: &mut [f32]) -> Vec<f32> {
        let rows = (x.len() / self.channels) as f32;
        let wide = self.channels * self.pixels;
        let parts = groups.split(x, x.len() / groups.batch);
        partial.par_chunks_mut(wide).zip(&parts).for_each(|(sum, x)| column_sums(x, sum));
        self.mean = self.total(partial).into_iter().map(|s| s / rows).collect();
        let mean = &self.widen(&self.mean);
        partial.par_chunks_mut(wide).zip(&parts).for_each(|(sum, x)| column_squares(x, mean, sum));
        self.total(partial).into_iter().map(|s| s / rows).collect()
    }

    fn set_inverse(&mut self, variance: &[f32]) {
        self.inverse = variance.iter().map(|v| 1.0 / (v + self.epsilon).sqrt()).collect();
    }
}

/// The sum of each column of the rows in `x`.
fn column_sums(x: &[f32], sum: &mut [f32]) {
    simd(
        #[inline(always)]
        || {
            sum.fill(0.0);
            for row in x.chunks_exact(sum.len()) {
                sum.iter_mut().zip(row).for_each(|(s, v)| *s += v);
            }
        },
    );
}

/// The sum of squared distances from `mean` of each column.
fn column_squares(x: &[f32], mean: &[f32], sum: &mut [f32]) {
    simd(
        #[inline(always)]
        || {
            sum.fill(0.0);
            for row in x.chunks_exact(sum.len()) {
                sum.iter_mut().zip(row).zip(mean).for_each(|((s, v), m)| *s += (v - m) * (v - m));
            }
        },
    );
}

/// The groups' sums of `len` values added in order.
fn total(partial: &[f32], len: usize) -> Vec<f32> {
    let mut sum = vec![0.0; len];
    for part in partial.chunks_exact(len) {
        sum.iter_mut().zip(part).for_each(|(s, v)| *s += v);
    }
    sum
}

/// `y = clamp(scale * x + shift)`, row by row.
fn affine(x: &[f32], scale: &[f32], shift: &[f32], (lo, hi): (f32, f32), y: &mut [f32]) {
    let c = scale.len();
    simd(
        #[inline(always)]
        || {
            for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                for (((y, x), a), b) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                    *y = (a * x + b).max(lo).min(hi);
                }
            }
        },
    );
}

/// Masks `g` where `y` was clamped; sums `g` and `g · (x − mean)`, the first half and the second half of `sums`.
fn masked_sums(g: &mut [f32], y: &[f32], x: &[f32], mean: &[f32], (lo, hi): (f32, f32), sums: &mut [f32]) {
    let c = mean.len();
    simd(
        #[inline(always)]
        || {
            sums.fill(0.0);
            let (s1, s2) = sums.split_at_mut(c);
            let rows = g.chunks_exact_mut(c).zip(y.chunks_exact(c)).zip(x.chunks_exact(c));
            for ((g, y), x) in rows {
                let each = g.iter_mut().zip(y).zip(x).zip(mean).zip(s1.iter_mut()).zip(s2.iter_mut());
                for (((((g, y), x), m), s1), s2) in each {
                    let v = if *y > lo && *y < hi { *g } else { 0.0 };
                    *g = v;
                    *s1 += v;
                    *s2 += v * (x - m);
                }
            }
        },
    );
}

/// As [`masked_sums`] where nothing was clamped.
fn plain_sums(g: &[f32], x: &[f32], mean: &[f32], sums: &mut [f32]) {
    let c = mean.len();
    simd(
        #[inline(always)]
        || {
            sums.fill(0.0);
            let (s1, s2) = sums.split_at_mut(c);
            for (g, x) in g.chunks_exact(c).zip(x.chunks_exact(c)) {
                for ((((g, x), m), s1), s2) in g.iter().zip(x).zip(mean).zip(s1.iter_mut()).zip(s2.iter_mut())
                {
                    *s1 += g;
                    *s2 += g * (x - m);
                }
            }
        },
    );
}

/// What [`input_gradient`] needs of each channel.
struct Coefficients {
    scale: Vec<f32>,
    mean_g: Vec<f32>,
    slope: Vec<f32>,
}

/// `gx (+)= scale * (g − mean_g − (x − mean) * slope)`.
fn input_gradient(gx: &mut [f32], g: &[f32], x: &[f32], mean: &[f32], k: &Coefficients, add: bool) {
    let c = mean.len();
    simd(
        #[inline(always)]
        || {
            for ((gx, g), x) in gx.chunks_exact_mut(c).zip(g.chunks_exact(c)).zip(x.chunks_exact(c)) {
                let each = gx.iter_mut().zip(g).zip(x).zip(mean).zip(&k.scale).zip(&k.mean_g).zip(&k.slope);
                for ((((((o, g), x), m), a), m1), m2) in each {
                    let v = a * (g - m1 - (x - m) * m2);
                    *o = if add { *o + v } else { v };
                }
            }
        },
    );
}

impl Kernel for BatchNorm {
    fn clamps_forward(&self) -> bool {
        true
    }

    fn clamps_backward(&self) -> bool {
        true
    }

    fn forward(&mut self, io: Forward<'_>) {
        let Forward { values, inputs, out, groups, mode, clamp, scratch } = io;
        self.mode = mode;
        if mode == Mode::Training {
            let x = &values[inputs[0]];
            let rows = (x.len() / self.channels) as f32;
            let (_, partial) = scratch.parts(groups.count, self.channels * self.pixels);
            let variance = self.batch_statistics(x, groups, partial);
            self.set_inverse(&variance);
            let unbiased = rows / (rows - 1.0).max(1.0);
            let follow = |running: &mut f32, v: f32| *running += MOMENTUM * (v - *running);
            values[inputs[3]].iter_mut().zip(&self.mean).for_each(|(r, &m)| follow(r, m));
            values[inputs[4]].iter_mut().zip(&variance).for_each(|(r, &v)| follow(r, v * unbiased));
        } else {
            self.mean.clone_from(&values[inputs[3]]);
            self.set_inverse(&values[inputs[4]].clone());
        }
        let (gamma, beta) = (&values[inputs[1]], &values[inputs[2]]);
        let scale: Vec<f32> = gamma.iter().zip(&self.inverse).map(|(g, i)| g * i).collect();
        let shift: Vec<f32> = beta.iter().zip(&scale).zip(&self.mean).map(|((b, s), m)| b - s * m).collect();
        let (scale, shift) = (self.widen(&scale), self.widen(&shift));
        let unit = out.len() / groups.batch;
        let x = values[inputs[0]].par_chunks(unit);
        out.par_chunks_mut(unit).zip(x).for_each(|(y, x)| affine(x, &scale, &shift, clamp, y));
    }

    fn backward(&mut self, io: Backward<'_>) {
        let Backward { values, grads, inputs, y, gy, groups, clamp, scratch } = io;
        let (c, unit) = (self.channels, y.len() / groups.batch);
        let (x, gamma) = (&values[inputs[0]], &values[inputs[1]]);
        let wide = c * self.pixels;
        let (_, partial) = scratch.parts(groups.count, 2 * wide);
        let mean = &self.widen(&self.mean);
        groups
            .split_mut(gy, unit)
            .into_par_iter()
            .zip(groups.split(y, unit))
            .zip(groups.split(x, unit))
            .zip(partial.par_chunks_mut(2 * wide))
            .for_each(|(((g, y), x), sums)| match clamp {
                NO_CLAMP => plain_sums(g, x, mean, sums),
                _ => masked_sums(g, y, x, mean, clamp, sums),
            });
        let sums = total(partial, 2 * wide);
        let sums = [total(&sums[..wide], c), total(&sums[wide..], c)];
        let d_gamma: Vec<f32> = sums[1].iter().zip(&self.inverse).map(|(s, i)| s * i).collect();
        let per_row = match self.mode {
            Mode::Training => 1.0 / (y.len() / c) as f32,
            Mode::Inference => 0.0,
        };
        let k = Coefficients {
            scale: self.widen(&gamma.iter().zip(&self.inverse).map(|(g, i)| g * i).collect::<Vec<_>>()),
            mean_g: self.widen(&sums[0].iter().map(|s| s * per_row).collect::<Vec<_>>()),
            slope: self
                .widen(&d_gamma.iter().zip(&self.inverse).map(|(s, i)| s * i * per_row).collect::<Vec<_>>()),
        };
        for (i, g) in [(1, &d_gamma[..]), (2, &sums[0][..])] {
            if let Some((mut buffer, add)) = grads.take(inputs[i]) {
                crate::simd::store_or_add(&mut buffer, g, add);
                grads.put(inputs[i], buffer);
            }
        }
        if let Some((mut gx, add)) = grads.take(inputs[0]) {
            let rows = gy.par_chunks(unit).zip(x.par_chunks(unit));
            gx.par_chunks_mut(unit).zip(rows).for_each(|(gx, (g, x))| {
                input_gradient(gx, g, x, mean, &k, add);
            });
            grads.put(inputs[0], gx);
        }
    }
}
