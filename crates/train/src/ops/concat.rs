//! Joining along an axis.

use rayon::prelude::*;

use crate::{
    exec::{Backward, Dims, Forward, Kernel},
    simd::sum_parts,
};

pub(crate) struct Concat {
    parts: Vec<Part>,
    y_len: usize,
}

struct Part {
    /// Contiguous values in the input.
    run: usize,
    /// Distance between runs in the output.
    pitch: usize,
    /// First run in the output.
    start: usize,
    /// Values of one sample.
    len: usize,
    is_activation: bool,
}

impl Concat {
    /// `axis` counts N as 0; each part with whether it is an activation.
    pub fn new(parts: Vec<(Dims, bool)>, axis: usize) -> Self {
        let run = |d: &Dims| d[axis - 1..].iter().product::<usize>();
        let pitch = parts.iter().map(|(d, _)| run(d)).sum();
        let mut start = 0;
        let parts: Vec<Part> = parts
            .iter()
            .map(|(d, is_activation)| {
                let run = run(d);
                start += run;
                let len = d.iter().product();
                Part { run, pitch, start: start - run, len, is_activation: *is_activation }
            })
            .collect();
        Concat { y_len: parts.iter().map(|p| p.len).sum(), parts }
    }
}

impl Part {
    fn copy_in(&self, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(self.run).zip(y.chunks_exact_mut(self.pitch)) {
            y[self.start..self.start + self.run].copy_from_slice(x);
        }
    }

    fn copy_out(&self, gx: &mut [f32], gy: &[f32], add: bool) {
        for (gx, gy) in gx.chunks_exact_mut(self.run).zip(gy.chunks_exact(self.pitch)) {
            let gy = &gy[self.start..self.start + self.run];
            gx.iter_mut().zip(gy).for_each(|(x, g)| *x = if add { *x + g } else { *g });
        }
    }
}

impl Kernel for Concat {
    fn forward(&mut self, io: Forward<'_>) {
        let values = &*io.values;
        io.out.par_chunks_mut(self.y_len).enumerate().for_each(|(n, y)| {
            for (part, &input) in self.parts.iter().zip(io.inputs) {
                let n = if part.is_activation { n } else { 0 };
                part.copy_in(&values[input][n * part.len..(n + 1) * part.len], y);
            }
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        for (part, &input) in self.parts.iter().zip(io.inputs) {
            let Some((mut gx, add)) = io.grads.take(input) else { continue };
            let gy = io.gy.par_chunks(self.y_len);
            if part.is_activation {
                gx.par_chunks_mut(part.len).zip(gy).for_each(|(gx, gy)| part.copy_out(gx, gy, add));
            } else {
                let mut each = vec![0.0; part.len * io.groups.batch];
                each.par_chunks_mut(part.len).zip(gy).for_each(|(gx, gy)| part.copy_out(gx, gy, false));
                sum_parts(&mut gx, &each.chunks(part.len).collect::<Vec<_>>(), add);
            }
            io.grads.put(input, gx);
        }
    }
}
