//! Mean over some of the axes.

use rayon::prelude::*;

use crate::exec::{Backward, Dims, Forward, Kernel};

pub(crate) struct Mean {
    x_len: usize,
    y_len: usize,
    /// For each element of a sample the output that it enters.
    target: Vec<u32>,
    factor: f32,
}

impl Mean {
    /// `axes` count N as 0.
    pub fn new(x: Dims, axes: &[usize]) -> Self {
        let y: Dims = std::array::from_fn(|a| if axes.contains(&(a + 1)) { 1 } else { x[a] });
        let (x_len, y_len): (usize, usize) = (x.iter().product(), y.iter().product());
        let keep = |i: usize, a: usize| if y[a] == 1 { 0 } else { i };
        let target = (0..x_len).map(|i| {
            let (h, w, c) = (i / x[2] / x[1], i / x[2] % x[1], i % x[2]);
            ((keep(h, 0) * y[1] + keep(w, 1)) * y[2] + keep(c, 2)) as u32
        });
        Mean { target: target.collect(), x_len, y_len, factor: y_len as f32 / x_len as f32 }
    }
}

impl Kernel for Mean {
    fn forward(&mut self, io: Forward<'_>) {
        let x = io.values[io.inputs[0]].par_chunks(self.x_len);
        io.out.par_chunks_mut(self.y_len).zip(x).for_each(|(y, x)| {
            y.fill(0.0);
            x.iter().zip(&self.target).for_each(|(x, &t)| y[t as usize] += x);
            y.iter_mut().for_each(|y| *y *= self.factor);
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        let Some((mut gx, add)) = io.grads.take(io.inputs[0]) else { return };
        gx.par_chunks_mut(self.x_len).zip(io.gy.par_chunks(self.y_len)).for_each(|(gx, gy)| {
            for (x, &t) in gx.iter_mut().zip(&self.target) {
                let v = gy[t as usize] * self.factor;
                *x = if add { *x + v } else { v };
            }
        });
        io.grads.put(io.inputs[0], gx);
    }
}
