//! Sum, difference and product of two tensors, with broadcasting.

use dtmm_graph::Op;
use rayon::prelude::*;

use crate::{
    exec::{Backward, Dims, Forward, Kernel},
    simd::{mask_clamped, store_or_add, sum_parts, zip_two, zip1, zip2},
};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Add,
    Sub,
    Mul,
}

pub(crate) struct Binary {
    kind: Kind,
    operands: [Operand; 2],
    y_len: usize,
}

struct Operand {
    /// Values of one sample.
    len: usize,
    /// Has a batch axis.
    is_activation: bool,
    /// For each output element the operand's element; empty when they are the same.
    source: Vec<u32>,
}

impl Operand {
    fn new((x, is_activation): (Dims, bool), y: Dims) -> Self {
        let at = |i: usize| {
            let p = [i / y[2] / y[1], i / y[2] % y[1], i % y[2]];
            let q: Dims = std::array::from_fn(|a| if x[a] == 1 { 0 } else { p[a] });
            ((q[0] * x[1] + q[1]) * x[2] + q[2]) as u32
        };
        let source = if x == y { vec![] } else { (0..y.iter().product()).map(at).collect() };
        Operand { len: x.iter().product(), is_activation, source }
    }

    fn is_whole(&self) -> bool {
        self.is_activation && self.source.is_empty()
    }

    /// The operand's values for sample `n`.
    fn sample<'a>(&self, values: &'a [f32], n: usize) -> &'a [f32] {
        let n = if self.is_activation { n } else { 0 };
        &values[n * self.len..(n + 1) * self.len]
    }

    /// The operand's element for output element `i`.
    fn at(&self, sample: &[f32], i: usize) -> f32 {
        sample[self.source.get(i).map_or(i, |&s| s as usize)]
    }

    /// Adds one sample's gradient, elements of equal source summed in order.
    fn gather(&self, gx: &mut [f32], g: &[f32]) {
        if self.source.is_empty() {
            gx.iter_mut().zip(g).for_each(|(x, g)| *x += g);
        } else {
            self.source.iter().zip(g).for_each(|(&s, g)| gx[s as usize] += g);
        }
    }
}

impl Binary {
    pub fn new(op: &Op, operands: [(Dims, bool); 2], y: Dims) -> Self {
        let kind = match op {
            Op::Sub { .. } => Kind::Sub,
            Op::Mul { .. } => Kind::Mul,
            _ => Kind::Add,
        };
        Binary { kind, operands: operands.map(|o| Operand::new(o, y)), y_len: y.iter().product() }
    }

    /// A sum of two activations of the same shape.
    fn is_plain_add(&self) -> bool {
        self.kind == Kind::Add && self.operands.iter().all(Operand::is_whole)
    }

    /// The gradient with respect to operand `i`, in the output's shape.
    fn operand_gradient(&self, i: usize, io: &Backward<'_>) -> Vec<f32> {
        let mut g = io.gy.clone();
        match (self.kind, i) {
            (Kind::Sub, 1) => zip1(&mut g, io.gy, |g, _| *g = -*g),
            (Kind::Mul, _) => {
                let other = &self.operands[1 - i];
                let values = &io.values[io.inputs[1 - i]];
                g.par_chunks_mut(self.y_len).enumerate().for_each(|(n, g)| {
                    let sample = other.sample(values, n);
                    g.iter_mut().enumerate().for_each(|(k, g)| *g *= other.at(sample, k));
                });
            }
            _ => {}
        }
        g
    }
}

/// Both operands of a sum get the output's gradient, the clamp's mask applied on the way.
fn add_gradient(io: Backward<'_>) {
    let Backward { grads, inputs, y, gy, clamp, .. } = io;
    let (lo, hi) = clamp;
    match grads.take(inputs[0]) {
        Some((mut gx, add)) => {
            zip_two(gy, &mut gx, y, |g, x, y| {
                *g = if y > lo && y < hi { *g } else { 0.0 };
                *x = if add { *x + *g } else { *g };
            });
            grads.put(inputs[0], gx);
        }
        None => mask_clamped(gy, y, clamp),
    }
    grads.pass(inputs[1], gy);
}

impl Kernel for Binary {
    fn clamps_forward(&self) -> bool {
        true
    }

    fn clamps_backward(&self) -> bool {
        self.is_plain_add()
    }

    fn forward(&mut self, io: Forward<'_>) {
        let [a, b] = &self.operands;
        let (lo, hi) = io.clamp;
        let (av, bv) = (&io.values[io.inputs[0]], &io.values[io.inputs[1]]);
        if a.is_whole() && b.is_whole() {
            return match self.kind {
                Kind::Add => zip2(io.out, av, bv, |y, a, b| *y = (a + b).max(lo).min(hi)),
                Kind::Sub => zip2(io.out, av, bv, |y, a, b| *y = (a - b).max(lo).min(hi)),
                Kind::Mul => zip2(io.out, av, bv, |y, a, b| *y = (a * b).max(lo).min(hi)),
            };
        }
        let kind = self.kind;
        io.out.par_chunks_mut(self.y_len).enumerate().for_each(|(n, y)| {
            let (av, bv) = (a.sample(av, n), b.sample(bv, n));
            for (i, y) in y.iter_mut().enumerate() {
                let (a, b) = (a.at(av, i), b.at(bv, i));
                let v = match kind {
                    Kind::Add => a + b,
                    Kind::Sub => a - b,
                    Kind::Mul => a * b,
                };
                *y = v.max(lo).min(hi);
            }
        });
    }

    fn backward(&mut self, io: Backward<'_>) {
        if self.is_plain_add() {
            return add_gradient(io);
        }
        for (i, operand) in self.operands.iter().enumerate() {
            if !io.grads.needs(io.inputs[i]) {
                continue;
            }
            let mut g = self.operand_gradient(i, &io);
            if operand.is_whole() {
                io.grads.pass(io.inputs[i], &mut g);
                continue;
            }
            let Some((mut gx, add)) = io.grads.take(io.inputs[i]) else { continue };
            let mut each = vec![0.0; operand.len * io.groups.batch];
            each.par_chunks_mut(operand.len).zip(g.par_chunks(self.y_len)).for_each(|(gx, g)| {
                operand.gather(gx, g);
            });
            if operand.is_activation {
                store_or_add(&mut gx, &each, add);
            } else {
                sum_parts(&mut gx, &each.chunks(operand.len).collect::<Vec<_>>(), add);
            }
            io.grads.put(io.inputs[i], gx);
        }
    }
}
