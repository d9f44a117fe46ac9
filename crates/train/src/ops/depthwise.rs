//! Depthwise convolution: each input channel with its own filters. The filter is 1HWO, as in the graph.

use rayon::prelude::*;

use super::{conv::bias_gradient, slide::Slide};
use crate::{
    exec::{Backward, Forward, Kernel},
    simd::{simd, sum_parts},
};

pub(crate) struct Depthwise {
    slide: Slide,
    /// Output channels per input channel.
    multiplier: usize,
}

impl Depthwise {
    pub fn new(slide: Slide) -> Self {
        Depthwise { multiplier: slide.y[2] / slide.x[2], slide }
    }

    /// Calls `f(offset in x, offset in filter)` for each kernel position inside the input at output pixel `(o, p)`.
    #[inline(always)]
    fn taps(&self, o: usize, p: usize, mut f: impl FnMut(usize, usize)) {
        let [kh, kw] = self.slide.window.kernel;
        let ([_, width, c], ch) = (self.slide.x, self.slide.y[2]);
        for i in 0..kh {
            let Some(iy) = self.slide.row(o, i) else { continue };
            for j in 0..kw {
                if let Some(ix) = self.slide.col(p, j) {
                    f((iy * width + ix) * c, (i * kw + j) * ch);
                }
            }
        }
    }

    #[inline(always)]
    fn forward_sample(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let ([_, ow, ch], c, m) = (self.slide.y, self.slide.x[2], self.multiplier);
        for (q, y) in y.chunks_exact_mut(ch).enumerate() {
            match bias {
                Some(b) => y.copy_from_slice(b),
                None => y.fill(0.0),
            }
            self.taps(q / ow, q % ow, |at, tap| {
                let (x, w) = (&x[at..at + c], &w[tap..tap + ch]);
                if m == 1 {
                    y.iter_mut().zip(x).zip(w).for_each(|((y, x), w)| *y += x * w);
                } else {
                    y.iter_mut().zip(w).enumerate().for_each(|(i, (y, w))| *y += x[i / m] * w);
                }
            });
        }
    }

    #[inline(always)]
    fn weight_gradient(&self, x: &[f32], gy: &[f32], gw: &mut [f32]) {
        let ([_, ow, ch], c, m) = (self.slide.y, self.slide.x[2], self.multiplier);
        for (q, gy) in gy.chunks_exact(ch).enumerate() {
            self.taps(q / ow, q % ow, |at, tap| {
                let (x, gw) = (&x[at..at + c], &mut gw[tap..tap + ch]);
                if m == 1 {
                    gw.iter_mut().zip(x).zip(gy).for_each(|((w, x), g)| *w += x * g);
                } else {
                    gw.iter_mut().zip(gy).enumerate().for_each(|(i, (w, g))| *w += x[i / m] * g);
                }
            });
        }
    }

    #[inline(always)]
    fn input_gradient(&self, w: &[f32], gy: &[f32], gx: &mut [f32]) {
        let ([_, ow, ch], c, m) = (self.slide.y, self.slide.x[2], self.multiplier);
        for (q, gy) in gy.chunks_exact(ch).enumerate() {
            self.taps(q / ow, q % ow, |at, tap| {
                let (gx, w) = (&mut gx[at..at + c], &w[tap..tap + ch]);
                if m == 1 {
                    gx.iter_mut().zip(w).zip(gy).for_each(|((x, w), g)| *x += w * g);
                } else {
                    w.iter().zip(gy).enumerate().for_each(|(i, (w, g))| gx[i / m] += w * g);
                }
            });
        }
    }
}

impl Kernel for Depthwise {
    fn forward(&mut self, io: Forward<'_>) {
        let x = &io.values[io.inputs[0]];
        let w = &io.values[io.inputs[1]];
        let bias = io.inputs.get(2).map(|&b| io.values[b].as_slice());
        let samples = io.out.par_chunks_mut(self.slide.y_len()).zip(x.par_chunks(self.slide.x_len()));
        samples.for_each(|(y, x)| {
            simd(
                #[inline(always)]
                || self.forward_sample(x, w, bias, y),
            );
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        let Backward { values, grads, inputs, gy, groups, scratch, .. } = io;
        if let Some(&b) = inputs.get(2) {
            bias_gradient(grads, b, gy, self.slide.y[2], groups, &mut scratch.partial);
        }
        let (x, w) = (&values[inputs[0]], &values[inputs[1]]);
        let (x_len, y_len) = (self.slide.x_len(), self.slide.y_len());
        let (_, partial) = scratch.parts(groups.count, w.len());
        let parts: Vec<_> = groups.split(x, x_len).into_iter().zip(groups.split(gy, y_len)).collect();
        partial.par_chunks_mut(w.len()).zip(parts).for_each(|(gw, (x, gy))| {
            simd(
                #[inline(always)]
                || {
                    gw.fill(0.0);
                    for (x, gy) in x.chunks_exact(x_len).zip(gy.chunks_exact(y_len)) {
                        self.weight_gradient(x, gy, gw);
                    }
                },
            );
        });
        if let Some((mut gw, add)) = grads.take(inputs[1]) {
            sum_parts(&mut gw, &partial.chunks(w.len()).collect::<Vec<_>>(), add);
            grads.put(inputs[1], gw);
        }
        if let Some((mut gx, add)) = grads.take(inputs[0]) {
            gx.par_chunks_mut(x_len).zip(gy.par_chunks(y_len)).for_each(|(gx, gy)| {
                simd(
                    #[inline(always)]
                    || {
                        if !add {
                            gx.fill(0.0);
                        }
                        self.input_gradient(w, gy, gx);
                    },
                );
            });
            grads.put(inputs[0], gx);
        }
    }
}
