//! Functions of one element.

use dtmm_graph::Op;

use crate::{
    exec::{Backward, Forward, Kernel},
    simd::{zip1, zip2},
};

/// `d = f(x)` and `df/dx` as a function of x.
pub(crate) struct Pointwise {
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Clamp(f32, f32),
    Leaky(f32),
    HardSwish,
    Sigmoid,
    Tanh,
}

impl Pointwise {
    /// For one of the activation operators; anything else is taken for a ReLU.
    pub fn new(op: &Op) -> Self {
        let kind = match *op {
            Op::Clip { min, max } => Kind::Clamp(min, max),
            Op::LeakyRelu { alpha } => Kind::Leaky(alpha),
            Op::HardSwish => Kind::HardSwish,
            Op::Sigmoid => Kind::Sigmoid,
            Op::Tanh => Kind::Tanh,
            _ => Kind::Clamp(0.0, f32::INFINITY),
        };
        Pointwise { kind }
    }
}

impl Kernel for Pointwise {
    fn forward(&mut self, io: Forward<'_>) {
        let (y, x) = (io.out, &io.values[io.inputs[0]]);
        match self.kind {
            Kind::Clamp(lo, hi) => zip1(y, x, |y, x| *y = x.max(lo).min(hi)),
            Kind::Leaky(a) => zip1(y, x, |y, x| *y = if x > 0.0 { x } else { a * x }),
            Kind::HardSwish => zip1(y, x, |y, x| *y = x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            Kind::Sigmoid => zip1(y, x, |y, x| *y = 1.0 / (1.0 + (-x).exp())),
            Kind::Tanh => zip1(y, x, |y, x| *y = x.tanh()),
        }
    }

    fn backward(&mut self, io: Backward<'_>) {
        let (x, y, gy) = (&io.values[io.inputs[0]], io.y, io.gy);
        match self.kind {
            Kind::Clamp(lo, hi) => zip1(gy, x, |g, x| *g = if x > lo && x < hi { *g } else { 0.0 }),
            Kind::Leaky(a) => zip1(gy, x, |g, x| *g = if x > 0.0 { *g } else { a * *g }),
            Kind::HardSwish => zip1(gy, x, |g, x| *g *= hard_swish_slope(x)),
            Kind::Sigmoid => zip2(gy, x, y, |g, _, y| *g *= y * (1.0 - y)),
            Kind::Tanh => zip2(gy, x, y, |g, _, y| *g *= 1.0 - y * y),
        }
        io.grads.pass(io.inputs[0], gy);
    }
}

fn hard_swish_slope(x: f32) -> f32 {
    if x <= -3.0 {
        0.0
    } else if x >= 3.0 {
        1.0
    } else {
        (2.0 * x + 3.0) / 6.0
    }
}
