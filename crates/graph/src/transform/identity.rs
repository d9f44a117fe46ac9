//! Removal of operators that change nothing, and merging of chains of layout changes.

use super::{redirect, remove_dead_nodes, sole_producer};
use crate::{Activation, ElementType, Graph, Node, NodeId, Op, TensorId, Window};

/// Removes operators whose output equals their input (a reshape to the same shape, an empty pad, a full slice, a
/// dequantise followed by a quantise to the same parameters, a ReLU of something that is never negative, …), merges
/// reshape and transpose chains, and turns transposes that only move axes of size 1 into reshapes.
pub fn eliminate_identities(graph: &mut Graph) {
    let mut i = 0;
    while i < graph.nodes.len() {
        merge_with_producer(graph, i);
        transpose_to_reshape(graph, i);
        match same_value(graph, &graph.nodes[i]) {
            Some(source) => {
                let output = graph.nodes.remove(i).output;
                redirect(graph, output, source);
            }
            None => i += 1,
        }
    }
    remove_dead_nodes(graph);
}

/// The earlier tensor that holds the node's result, element for element and with the same meaning.
fn same_value(graph: &Graph, node: &Node) -> Option<TensorId> {
    let x = *node.inputs.first()?;
    let source = if is_identity(graph, node) { x } else { before_dequantize(graph, node)? };
    let (from, to) = (graph.tensor(source), graph.tensor(node.output));
    let same = from.shape == to.shape && from.element_type == to.element_type && from.quant == to.quant;
    // A model output must stay a computed tensor, or the package would have nothing to run.
    let needed = graph.outputs.iter().any(|p| p.tensor == node.output)
        && !graph.nodes.iter().any(|n| n.output == source);
    (same && !needed).then_some(source)
}

fn is_identity(graph: &Graph, node: &Node) -> bool {
    let shape = &graph.tensor(node.inputs[0]).shape;
    match &node.op {
        Op::Reshape { .. } => true,
        Op::Transpose { perm } => *perm == [0, 1, 2, 3],
        Op::Slice { stride, .. } => *stride == [1; 4] || *shape == graph.tensor(node.output).shape,
        Op::Pad { before, after, .. } => before.iter().chain(after).all(|&p| p == 0),
        Op::Concat { .. } => node.inputs.len() == 1,
        Op::Mean { axes } => axes.iter().all(|&a| shape[a] == 1),
        Op::MaxPool { window, activation } | Op::AveragePool { window, activation, .. } => {
            *window == Window::new([1, 1]) && *activation == Activation::None
        }
        Op::ResizeNearest { size, .. } => *size == shape[1..3],
        Op::Clip { min, max } => *min == f32::NEG_INFINITY && *max == f32::INFINITY,
        Op::Relu => is_never_negative(graph, node.inputs[0]),
        Op::Quantize => graph.tensor(node.inputs[0]).element_type != ElementType::F32,
        _ => false,
    }
}

fn is_never_negative(graph: &Graph, id: TensorId) -> bool {
    let Some(producer) = graph.nodes.iter().find(|n| n.output == id) else { return false };
    let clamped = producer.op.activation().is_some_and(|a| a.range().0 >= 0.0);
    clamped || matches!(producer.op, Op::Relu | Op::Sigmoid | Op::Softmax { .. })
}

/// For a quantise: the integer tensor that a dequantise made its input from.
fn before_dequantize(graph: &Graph, node: &Node) -> Option<TensorId> {
    let producer = graph.nodes.iter().find(|n| n.output == node.inputs[0])?;
    (node.op == Op::Quantize && producer.op == Op::Dequantize).then(|| producer.inputs[0])
}

/// Lets node `i` do the work of a producer of the same kind that nobody else reads; the producer is left dead.
fn merge_with_producer(graph: &mut Graph, i: NodeId) {
    let Some(p) = sole_producer(graph, graph.nodes[i].inputs[0]) else { return };
    let merged = match (&graph.nodes[p].op, &graph.nodes[i].op) {
        (Op::Reshape { .. }, Op::Reshape { shape }) => Op::Reshape { shape: *shape },
        (Op::Transpose { perm: first }, Op::Transpose { perm: second }) => {
            Op::Transpose { perm: second.map(|axis| first[axis]) }
        }
        _ => return,
    };
    graph.nodes[i].inputs[0] = graph.nodes[p].inputs[0];
    graph.nodes[i].op = merged;
}

/// Moving an axis of size 1 does not move elements.
fn transpose_to_reshape(graph: &mut Graph, i: NodeId) {
    let node = &graph.nodes[i];
    let Op::Transpose { perm } = node.op else { return };
    let shape = &graph.tensor(node.inputs[0]).shape;
    let large: Vec<usize> = perm.into_iter().filter(|&a| shape[a] > 1).collect();
    let Ok(to) = <[usize; 4]>::try_from(graph.tensor(node.output).shape.as_slice()) else { return };
    if large.is_sorted() {
        graph.nodes[i].op = Op::Reshape { shape: to };
    }
}
