//! Softmax and its logarithm over the last axis.

use rayon::prelude::*;

use crate::exec::{Backward, Forward, Kernel};

pub(crate) struct Softmax {
    pub channels: usize,
    /// Factor before the exponential.
    pub beta: f32,
}

impl Kernel for Softmax {
    fn forward(&mut self, io: Forward<'_>) {
        let (c, beta) = (self.channels, self.beta);
        let x = io.values[io.inputs[0]].par_chunks(c);
        io.out.par_chunks_mut(c).zip(x).for_each(|(y, x)| {
            let top = maximum(x);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (beta * (x - top)).exp());
            let sum: f32 = y.iter().sum();
            y.iter_mut().for_each(|y| *y /= sum);
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        let (c, beta) = (self.channels, self.beta);
        io.gy.par_chunks_mut(c).zip(io.y.par_chunks(c)).for_each(|(g, y)| {
            let dot: f32 = g.iter().zip(y).map(|(g, y)| g * y).sum();
            g.iter_mut().zip(y).for_each(|(g, y)| *g = beta * y * (*g - dot));
        });
        io.grads.pass(io.inputs[0], io.gy);
    }
}

pub(crate) struct LogSoftmax {
    pub channels: usize,
}

impl Kernel for LogSoftmax {
    fn forward(&mut self, io: Forward<'_>) {
        let c = self.channels;
        let x = io.values[io.inputs[0]].par_chunks(c);
        io.out.par_chunks_mut(c).zip(x).for_each(|(y, x)| {
            let top = maximum(x);
            let log_sum = x.iter().map(|x| (x - top).exp()).sum::<f32>().ln() + top;
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x - log_sum);
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        let c = self.channels;
        io.gy.par_chunks_mut(c).zip(io.y.par_chunks(c)).for_each(|(g, y)| {
            let sum: f32 = g.iter().sum();
            g.iter_mut().zip(y).for_each(|(g, y)| *g -= y.exp() * sum);
        });
        io.grads.pass(io.inputs[0], io.gy);
    }
}

fn maximum(x: &[f32]) -> f32 {
    x.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b))
}
