//! Elementwise activations and softmax.

use dtmm_graph::{Activation, Op};

use super::context::{NodeImport, Value, one};
use crate::error::{Fault, bad, unsupported};
use crate::view::{Groups, View};

pub(crate) fn elementwise(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let op = match n.op() {
        "Relu" => Op::Relu,
        "Clip" => clip(n)?,
        "LeakyRelu" => Op::LeakyRelu { alpha: n.attributes.float("alpha", 0.01) },
        "HardSwish" => Op::HardSwish,
        "HardSigmoid" => return hard_sigmoid(n),
        "Sigmoid" => Op::Sigmoid,
        "Tanh" => Op::Tanh,
        other => return bad(format!("'{other}' is no activation")),
    };
    let y = n.emit(op, &[act.tensor])?;
    one(y, act.view)
}

/// Clip with bounds from attributes (before opset 11) or inputs; absent ones are the largest floats.
fn clip(n: &NodeImport) -> Result<Op, Fault> {
    let bound = |i: usize, name: &str, default: f32| match n.constant(i)? {
        Some(c) => c.scalar(),
        None => Ok(n.attributes.float(name, default)),
    };
    let (min, max) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    let (min, max) = (min.max(f32::MIN), max.min(f32::MAX));
    if min > max || min.is_nan() || max.is_nan() {
        return bad(format!("the bounds {min} and {max} are not in order"));
    }
    Ok(if min == 0.0 && max == f32::MAX { Op::Relu } else { Op::Clip { min, max } })
}

/// Min or Max with a scalar constant, which is a one-sided Clip.
pub(crate) fn bound(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let (x, c) = if matches!(n.input(0), Some(Value::Const(_))) { (1, 0) } else { (0, 1) };
    let act = n.act(x)?;
    let c = n.weights(c)?;
    if n.input_count() != 2 || c.values.len() != 1 || c.dims.len() > act.view.rank() {
        return unsupported("only with one activation and one scalar constant");
    }
    let value = c.scalar()?.clamp(f32::MIN, f32::MAX);
    let op = match n.op() {
        "Max" if value == 0.0 => Op::Relu,
        "Max" => Op::Clip { min: value, max: f32::MAX },
        _ => Op::Clip { min: f32::MIN, max: value },
    };
    let y = n.emit(op, &[act.tensor])?;
    one(y, act.view)
}

/// `clamp(alpha * x + beta, 0, 1)` from the operators that there are.
fn hard_sigmoid(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let (alpha, beta) = (n.attributes.float("alpha", 0.2), n.attributes.float("beta", 0.5));
    let activation = Activation::None;
    let alpha = n.add_weights("", vec![1; 4], vec![alpha])?;
    let beta = n.add_weights("", vec![1; 4], vec![beta])?;
    let scaled = n.emit_part("scale", Op::Mul { activation }, &[act.tensor, alpha])?;
    let shifted = n.emit_part("shift", Op::Add { activation }, &[scaled, beta])?;
    let y = n.emit(Op::Clip { min: 0.0, max: 1.0 }, &[shifted])?;
    one(y, act.view)
}

pub(crate) fn softmax(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let rank = act.view.rank();
    let legacy = n.opset() < 13;
    let axis = n.attributes.int("axis", if legacy { 1 } else { -1 });
    let axis = crate::attributes::axis(axis, rank)?;
    let original = act.clone();
    let dims = act.view.dims();
    if legacy && dims[axis + 1..].iter().any(|&d| d != 1) {
        return unsupported(format!("before opset 13 it spans all axes from {axis} on, in shape {dims:?}"));
    }
    let (act, _) = n.with_free_axis(&act, axis)?;
    let groups = last_is(&dims, axis);
    let x = n.arrange(&act, &groups)?;
    let op = if n.op() == "Softmax" { Op::Softmax { beta: 1.0 } } else { Op::LogSoftmax };
    let y = n.emit(op, &[x])?;
    let view: View = original.view.reordered(&act.view.order(&groups));
    one(y, view)
}

/// Roles with `axis` as the channels and the other axes, in order, as rows.
fn last_is(dims: &[usize], axis: usize) -> Groups {
    let others: Vec<usize> = (0..dims.len()).filter(|&a| a != axis && dims[a] != 1).collect();
    match others[..] {
        [h, w] => [vec![], vec![h], vec![w], vec![axis]],
        _ => [vec![], vec![], others, vec![axis]],
    }
}
