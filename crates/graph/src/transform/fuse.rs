//! Fusion of activations into the operator that computes their input.

use super::{is_float, sole_producer};
use crate::{Activation, Graph, NodeId, Op};

/// Fuses ReLU, ReLU6 and Clip into the producing operator where its result has no other reader and the combined clamp
/// is one that [`Activation`] can say. Float tensors only: an int8 activation rescales.
pub fn fuse_activations(graph: &mut Graph) {
    let mut i = 0;
    while i < graph.nodes.len() {
        if !fuse_into_producer(graph, i) {
            i += 1;
        }
    }
}

/// Removes node `i` when it could be fused.
fn fuse_into_producer(graph: &mut Graph, i: NodeId) -> bool {
    let Some(range) = clamp_range(&graph.nodes[i].op) else { return false };
    let (input, output) = (graph.nodes[i].inputs[0], graph.nodes[i].output);
    if !is_float(graph, input) || !is_float(graph, output) {
        return false;
    }
    let Some(producer) = sole_producer(graph, input) else { return false };
    let Some(before) = graph.nodes[producer].op.activation() else { return false };
    let Some(combined) = clamp(before.range(), range) else { return false };
    let node = &mut graph.nodes[producer];
    node.output = output;
    if let Some(activation) = node.op.activation_mut() {
        *activation = combined;
    }
    graph.nodes.remove(i);
    true
}

fn clamp_range(op: &Op) -> Option<(f32, f32)> {
    match *op {
        Op::Relu => Some((0.0, f32::INFINITY)),
        Op::Clip { min, max } => Some((min, max)),
        _ => None,
    }
}

/// The activation that clamps to `a` and then to `b`.
fn clamp(a: (f32, f32), b: (f32, f32)) -> Option<Activation> {
    let joined = (a.0.max(b.0).min(b.1), a.1.max(b.0).min(b.1));
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1]
        .into_iter()
        .find(|act| act.range() == joined)
}
