//! Element-wise operators, batch norm and softmax.

use super::{View, offset, unravel};
use crate::Op;

/// A unary operator without parameters beyond its own; other operators give `v` itself.
pub(super) fn unary(op: &Op, v: f32) -> f32 {
    match op {
        Op::Relu => v.max(0.0),
        Op::Clip { min, max } => v.max(*min).min(*max),
        Op::LeakyRelu { alpha } => {
            if v > 0.0 {
                v
            } else {
                alpha * v
            }
        }
        Op::HardSwish => v * (v + 3.0).clamp(0.0, 6.0) / 6.0,
        Op::Sigmoid => 1.0 / (1.0 + (-v).exp()),
        Op::Tanh => v.tanh(),
        _ => v,
    }
}

/// `f(a, b)` with broadcasting of either side.
pub(super) fn binary(x: &[View], out: &[usize], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let pick = |v: &View, i: [usize; 4]| {
        let clipped: [usize; 4] = std::array::from_fn(|a| i[a].min(v.shape[a] - 1));
        v.data[offset(v.shape, clipped)]
    };
    (0..out.iter().product())
        .map(|flat| {
            let i = unravel(out, flat);
            f(pick(&x[0], i), pick(&x[1], i))
        })
        .collect()
}

/// Inference-mode batch norm: gamma, beta, mean, variance follow the input.
pub(super) fn batch_norm(x: &[View], epsilon: f32) -> Vec<f32> {
    let c = x[0].channels();
    let p = |i: usize, channel: usize| f64::from(x[i].data[channel]);
    let one = |(i, &v): (usize, &f32)| {
        let k = i % c;
        let scale = p(1, k) / (p(4, k) + f64::from(epsilon)).sqrt();
        ((f64::from(v) - p(3, k)) * scale + p(2, k)) as f32
    };
    x[0].data.iter().enumerate().map(one).collect()
}

/// Softmax over the last axis.
pub(super) fn softmax(x: View, beta: f32) -> Vec<f32> {
    let row = |r: &[f32]| {
        let max = r.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f64> = r.iter().map(|v| f64::from((v - max) * beta).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.into_iter().map(move |v| (v / sum) as f32).collect::<Vec<_>>()
    };
    x.data.chunks(x.channels()).flat_map(row).collect()
}

/// Logarithm of the softmax over the last axis.
pub(super) fn log_softmax(x: View) -> Vec<f32> {
    let row = |r: &[f32]| {
        let max = r.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = r.iter().map(|v| f64::from(v - max).exp()).sum();
        r.iter().map(|v| (f64::from(v - max) - sum.ln()) as f32).collect::<Vec<_>>()
    };
    x.data.chunks(x.channels()).flat_map(row).collect()
}
