//! Operators that only move elements.

use rayon::prelude::*;

use crate::exec::{Backward, Dims, Forward, Kernel};

/// The same elements in the same order.
pub(crate) struct Identity;

impl Kernel for Identity {
    fn forward(&mut self, io: Forward<'_>) {
        io.out.copy_from_slice(&io.values[io.inputs[0]]);
    }

    fn backward(&mut self, io: Backward<'_>) {
        io.grads.pass(io.inputs[0], io.gy);
    }
}

/// Each output element is an input element or a constant.
pub(crate) struct Gather {
    x_len: usize,
    /// For each element of an output sample the element of the input sample, or [`NOWHERE`].
    source: Vec<u32>,
    fill: f32,
}

const NOWHERE: u32 = u32::MAX;

impl Gather {
    /// `source` gives for an output position (h, w, c) the input position.
    fn new(x: Dims, y: Dims, fill: f32, source: impl Fn([usize; 3]) -> Option<[usize; 3]>) -> Self {
        let index = |i: usize| {
            let at = [i / y[2] / y[1], i / y[2] % y[1], i % y[2]];
            let inside = source(at).filter(|p| (0..3).all(|a| p[a] < x[a]));
            inside.map_or(NOWHERE, |[h, w, c]| ((h * x[1] + w) * x[2] + c) as u32)
        };
        let source = (0..y.iter().product()).map(index).collect();
        Gather { x_len: x.iter().product(), source, fill }
    }

    pub fn transpose(x: Dims, y: Dims, perm: [usize; 4]) -> Self {
        Self::new(x, y, 0.0, |at| {
            let mut from = [0; 3];
            (0..3).for_each(|a| from[perm[a + 1] - 1] = at[a]);
            Some(from)
        })
    }

    pub fn slice(x: Dims, y: Dims, begin: [usize; 4], stride: [usize; 4]) -> Self {
        Self::new(x, y, 0.0, |at| Some(std::array::from_fn(|a| begin[a + 1] + at[a] * stride[a + 1])))
    }

    pub fn pad(x: Dims, y: Dims, before: [usize; 4], value: f32) -> Self {
        Self::new(x, y, value, |at| {
            let mut from = [0; 3];
            for a in 0..3 {
                from[a] = at[a].checked_sub(before[a + 1])?;
            }
            Some(from)
        })
    }

    pub fn resize(x: Dims, y: Dims, align_corners: bool, half_pixel_centers: bool) -> Self {
        let from = |o: usize, a: usize| nearest(o, x[a], y[a], align_corners, half_pixel_centers);
        Self::new(x, y, 0.0, |[h, w, c]| Some([from(h, 0), from(w, 1), c]))
    }
}

/// The input row or column nearest to output `o`, as TFLite's reference kernel rounds.
fn nearest(o: usize, input: usize, output: usize, align_corners: bool, half_pixel_centers: bool) -> usize {
    let scale = if align_corners && output > 1 {
        (input - 1) as f32 / (output - 1) as f32
    } else {
        input as f32 / output as f32
    };
    let offset = if half_pixel_centers { 0.5 } else { 0.0 };
    let at = (o as f32 + offset) * scale;
    let at = if align_corners { at.round() } else { at.floor() };
    (at.max(0.0) as usize).min(input - 1)
}

impl Kernel for Gather {
    fn forward(&mut self, io: Forward<'_>) {
        let x = io.values[io.inputs[0]].par_chunks(self.x_len);
        io.out.par_chunks_mut(self.source.len()).zip(x).for_each(|(y, x)| {
            for (y, &s) in y.iter_mut().zip(&self.source) {
                *y = if s == NOWHERE { self.fill } else { x[s as usize] };
            }
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        let Some((mut gx, add)) = io.grads.take(io.inputs[0]) else { return };
        let gy = io.gy.par_chunks(self.source.len());
        gx.par_chunks_mut(self.x_len).zip(gy).for_each(|(gx, gy)| {
            if !add {
                gx.fill(0.0);
            }
            for (g, &s) in gy.iter().zip(&self.source).filter(|(_, s)| **s != NOWHERE) {
                gx[s as usize] += g;
            }
        });
        io.grads.put(io.inputs[0], gx);
    }
}
