//! Element-wise arithmetic, means, requantisation, softmax: multipliers and clamps as TFLite's `Prepare` computes them,
//! in single or double precision where it does.

use dtmm_format::{Clamp, Elementwise, Params, Rescale};
use dtmm_graph::{Activation, Graph, Node, Op};
use dtmm_quant::quantize_multiplier;

use super::{Quant, fail, quant};
use crate::PackError;
use crate::program::Kind;

/// Left shift of both inputs of Add and Sub before rescaling.
const LEFT_SHIFT: u8 = 20;
/// Integer bits of the scaled difference in softmax.
const SCALED_DIFF_INTEGER_BITS: u32 = 5;

/// The int8 interval of a fused activation.
pub(super) fn activation_clamp(activation: Activation, q: Quant) -> Clamp {
    let (low, high) = activation.range();
    real_clamp(low, high, q)
}

/// The int8 interval of a real one; infinite ends clamp nothing.
fn real_clamp(low: f32, high: f32, q: Quant) -> Clamp {
    let at = |v: f32| (f64::from((v / q.scale).round()) + f64::from(q.zero_point)).clamp(-128.0, 127.0) as i8;
    let min = if low == f32::NEG_INFINITY { i8::MIN } else { at(low) };
    let max = if high == f32::INFINITY { i8::MAX } else { at(high) };
    Clamp { min, max: max.max(min) }
}

/// Add and Sub.
pub(super) fn add(graph: &Graph, node: &Node, activation: Activation) -> Result<Elementwise, PackError> {
    let (a, b) = (quant(graph, node, node.inputs[0])?, quant(graph, node, node.inputs[1])?);
    let y = quant(graph, node, node.output)?;
    let twice_max = f64::from(2.0 * a.scale.max(b.scale));
    let output = twice_max / f64::from((1u32 << LEFT_SHIFT) as f32 * y.scale);
    let reals = [f64::from(a.scale) / twice_max, f64::from(b.scale) / twice_max, output];
    let pairs = reals.map(quantize_multiplier);
    if pairs[2].1 > 30 - i32::from(LEFT_SHIFT) {
        return Err(fail(node, "the output scale is too small for its inputs"));
    }
    Ok(Elementwise {
        multiplier: pairs.map(|p| p.0),
        shift: pairs.map(|p| p.1 as i8),
        left_shift: LEFT_SHIFT,
        clamp: activation_clamp(activation, y),
    })
}

pub(super) fn mul(graph: &Graph, node: &Node, activation: Activation) -> Result<Rescale, PackError> {
    let (a, b) = (quant(graph, node, node.inputs[0])?, quant(graph, node, node.inputs[1])?);
    let y = quant(graph, node, node.output)?;
    Ok(rescale(f64::from(a.scale * b.scale / y.scale), activation_clamp(activation, y)))
}

/// ReLU, clips and changes of scale.
pub(super) fn requantize(graph: &Graph, node: &Node) -> Result<Kind, PackError> {
    let (x, y) = (quant(graph, node, node.inputs[0])?, quant(graph, node, node.output)?);
    let single = f64::from(x.scale / y.scale);
    let rescale = match node.op {
        Op::Relu => rescale(single, real_clamp(0.0, f32::INFINITY, y)),
        Op::Clip { min, max } => rescale(single, real_clamp(min, max, y)),
        _ => rescale(f64::from(x.scale) / f64::from(y.scale), Clamp::NONE),
    };
    Ok(Kind::Plain(Params::Requantize(rescale)))
}

fn rescale(real: f64, clamp: Clamp) -> Rescale {
    let (multiplier, shift) = quantize_multiplier(real);
    Rescale { multiplier, shift: shift as i8, clamp }
}

/// The division by the number of elements goes into the multiplier, keeping its precision by a shift.
pub(super) fn mean(graph: &Graph, node: &Node, axes: &[usize]) -> Result<Kind, PackError> {
    let (x, y) = (quant(graph, node, node.inputs[0])?, quant(graph, node, node.output)?);
    let shape = &graph.tensor(node.inputs[0]).shape;
    let count: u64 = axes.iter().map(|&a| shape[a] as u64).product();
    let (multiplier, shift) = quantize_multiplier(f64::from(x.scale) / f64::from(y.scale));
    let by = (63 - count.leading_zeros() as i32).min(32).min(31 + shift);
    let multiplier = (i64::from(multiplier) << by.max(0)) / count as i64;
    let axes = axes.iter().fold(0u8, |bits, &a| bits | 1 << (a - 1));
    let multiplier = i32::try_from(multiplier).map_err(|_| fail(node, "its scales are too far apart"))?;
    Ok(Kind::Plain(Params::Mean { axes, multiplier, shift: (shift - by.max(0)) as i8 }))
}

/// Multiplier and shift that bring differences to Q5.26, and the smallest difference that counts.
fn scaled_difference(beta: f32, scale: f32) -> (i32, i32, i32) {
    let fraction_bits = 31 - SCALED_DIFF_INTEGER_BITS;
    let real = f64::from(beta) * f64::from(scale) * f64::from(1u32 << fraction_bits);
    let (multiplier, shift) = quantize_multiplier(real.min(((1i64 << 31) - 1) as f64));
    let largest = f64::from((1u32 << SCALED_DIFF_INTEGER_BITS) - 1) * (1i64 << fraction_bits) as f64;
    let radius = (largest / 2f64.powi(shift)).floor();
    (multiplier, shift, -radius.min(f64::from(i32::MAX)) as i32)
}

pub(super) fn softmax(graph: &Graph, node: &Node, beta: f32) -> Result<Kind, PackError> {
    let x = quant(graph, node, node.inputs[0])?;
    fixed_output(graph, node, Quant { scale: 1.0 / 256.0, zero_point: -128 })?;
    let (multiplier, shift, diff_min) = scaled_difference(beta, x.scale);
    if shift < 0 {
        return Err(fail(node, "the input scale times beta is too small"));
    }
    Ok(Kind::Plain(Params::Softmax { multiplier, shift: shift as i8, diff_min }))
}

pub(super) fn log_softmax(graph: &Graph, node: &Node) -> Result<Kind, PackError> {
    let x = quant(graph, node, node.inputs[0])?;
    fixed_output(graph, node, Quant { scale: 16.0 / 256.0, zero_point: 127 })?;
    let (multiplier, shift, diff_min) = scaled_difference(1.0, x.scale);
    if !(0..=31).contains(&shift) || multiplier == 0 {
        return Err(fail(node, "the input scale is too small"));
    }
    let (reverse_multiplier, reverse_shift) =
        quantize_multiplier(f64::from(1u32 << (31 - shift)) / f64::from(multiplier));
    Ok(Kind::Plain(Params::LogSoftmax {
        multiplier,
        shift: shift as i8,
        reverse_multiplier,
        reverse_shift: reverse_shift as i8,
        diff_min,
    }))
}

fn fixed_output(graph: &Graph, node: &Node, expected: Quant) -> Result<(), PackError> {
    let found = quant(graph, node, node.output)?;
    if found == expected {
        return Ok(());
    }
    Err(fail(
        node,
        &format!(
            "the output must have scale {} and zero point {}, found {} and {}",
            expected.scale, expected.zero_point, found.scale, found.zero_point
        ),
    ))
}
