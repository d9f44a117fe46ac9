//! Maximum and average over a sliding window.

use rayon::prelude::*;

use super::slide::Slide;
use crate::{
    exec::{Backward, Forward, Kernel},
    simd::simd,
};

pub(crate) struct MaxPool {
    slide: Slide,
    /// For each output the kernel position that won; the first one where several are equal.
    winner: Vec<u16>,
}

impl MaxPool {
    pub fn new(slide: Slide) -> Self {
        MaxPool { slide, winner: Vec::new() }
    }
}

/// Calls `f(kernel position, offset in x)` for each position inside the input at output pixel `q`.
#[inline(always)]
fn taps(slide: &Slide, q: usize, mut f: impl FnMut(usize, usize)) {
    let ([kh, kw], [_, width, c], ow) = (slide.window.kernel, slide.x, slide.y[1]);
    for i in 0..kh {
        let Some(iy) = slide.row(q / ow, i) else { continue };
        for j in 0..kw {
            if let Some(ix) = slide.col(q % ow, j) {
                f(i * kw + j, (iy * width + ix) * c);
            }
        }
    }
}

#[inline(always)]
fn max_sample(slide: &Slide, x: &[f32], y: &mut [f32], winner: &mut [u16]) {
    let c = slide.x[2];
    for (q, (y, winner)) in y.chunks_exact_mut(c).zip(winner.chunks_exact_mut(c)).enumerate() {
        let mut first = true;
        taps(slide, q, |k, at| {
            let x = &x[at..at + c];
            if first {
                y.copy_from_slice(x);
                winner.fill(k as u16);
                first = false;
                return;
            }
            for ((y, w), x) in y.iter_mut().zip(winner.iter_mut()).zip(x) {
                let wins = *x > *y;
                *y = if wins { *x } else { *y };
                *w = if wins { k as u16 } else { *w };
            }
        });
        if first {
            // A window wholly inside the padding has no maximum.
            y.fill(0.0);
            winner.fill(u16::MAX);
        }
    }
}

#[inline(always)]
fn max_gradient(slide: &Slide, gx: &mut [f32], gy: &[f32], winner: &[u16]) {
    let c = slide.x[2];
    for (q, (gy, winner)) in gy.chunks_exact(c).zip(winner.chunks_exact(c)).enumerate() {
        taps(slide, q, |k, at| {
            for ((x, g), w) in gx[at..at + c].iter_mut().zip(gy).zip(winner) {
                *x += if *w == k as u16 { *g } else { 0.0 };
            }
        });
    }
}

impl Kernel for MaxPool {
    fn forward(&mut self, io: Forward<'_>) {
        let (slide, x) = (self.slide, &io.values[io.inputs[0]]);
        self.winner.resize(io.out.len(), 0);
        let outputs = io.out.par_chunks_mut(slide.y_len()).zip(self.winner.par_chunks_mut(slide.y_len()));
        outputs.zip(x.par_chunks(slide.x_len())).for_each(|((y, winner), x)| {
            simd(
                #[inline(always)]
                || max_sample(&slide, x, y, winner),
            );
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        let slide = self.slide;
        let Some((mut gx, add)) = io.grads.take(io.inputs[0]) else { return };
        let outputs = io.gy.par_chunks(slide.y_len()).zip(self.winner.par_chunks(slide.y_len()));
        gx.par_chunks_mut(slide.x_len()).zip(outputs).for_each(|(gx, (gy, winner))| {
            simd(
                #[inline(always)]
                || {
                    if !add {
                        gx.fill(0.0);
                    }
                    max_gradient(&slide, gx, gy, winner);
                },
            );
        });
        io.grads.put(io.inputs[0], gx);
    }
}

pub(crate) struct AveragePool {
    slide: Slide,
    /// For each output pixel one over the number of pixels that count.
    factor: Vec<f32>,
}

impl AveragePool {
    pub fn new(slide: Slide, count_include_pad: bool) -> Self {
        let factor = (0..slide.pixels()).map(|q| 1.0 / counted(&slide, q, count_include_pad).max(1) as f32);
        AveragePool { factor: factor.collect(), slide }
    }
}

/// Pixels that the mean at output pixel `q` is divided by. Rows and columns beyond the padding never count.
fn counted(slide: &Slide, q: usize, include_pad: bool) -> usize {
    let (w, ow) = (&slide.window, slide.y[1]);
    let count = |axis: usize, o: usize, before: usize, after: usize| {
        let reach = before + slide.x[axis] + after;
        (0..w.kernel[axis])
            .map(|k| o * w.stride[axis] + k * w.dilation[axis])
            .filter(|&p| if include_pad { p < reach } else { p >= before && p < before + slide.x[axis] })
            .count()
    };
    count(0, q / ow, w.padding.top, w.padding.bottom) * count(1, q % ow, w.padding.left, w.padding.right)
}

impl Kernel for AveragePool {
    fn forward(&mut self, io: Forward<'_>) {
        let (slide, c) = (&self.slide, self.slide.x[2]);
        let x = io.values[io.inputs[0]].par_chunks(slide.x_len());
        io.out.par_chunks_mut(slide.y_len()).zip(x).for_each(|(y, x)| {
            for (q, (y, factor)) in y.chunks_exact_mut(c).zip(&self.factor).enumerate() {
                y.fill(0.0);
                taps(slide, q, |_, at| y.iter_mut().zip(&x[at..at + c]).for_each(|(y, x)| *y += x));
                y.iter_mut().for_each(|y| *y *= factor);
            }
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        let (slide, c) = (&self.slide, self.slide.x[2]);
        let Some((mut gx, add)) = io.grads.take(io.inputs[0]) else { return };
        let gy = io.gy.par_chunks(slide.y_len());
        gx.par_chunks_mut(slide.x_len()).zip(gy).for_each(|(gx, gy)| {
            if !add {
                gx.fill(0.0);
            }
            for (q, (gy, factor)) in gy.chunks_exact(c).zip(&self.factor).enumerate() {
                taps(slide, q, |_, at| {
                    gx[at..at + c].iter_mut().zip(gy).for_each(|(x, g)| *x += g * factor);
                });
            }
        });
        io.grads.put(io.inputs[0], gx);
    }
}
