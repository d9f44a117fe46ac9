//! Patterns of several nodes that the graph has one operator for.

use dtmm_graph::{Activation, Data, Graph, NodeId, Op, TensorId};

/// Puts biases that come as an Add into the operator before, and recognises HardSwish written out.
pub(crate) fn fuse(graph: &mut Graph) {
    while fold_one_bias(graph) {}
    while fuse_one_hard_swish(graph) {}
}

/// The node that writes `tensor`, when nothing else reads it.
fn sole_producer(graph: &Graph, tensor: TensorId) -> Option<NodeId> {
    let output = graph.outputs.iter().any(|p| p.tensor == tensor);
    let readers = graph.nodes.iter().flat_map(|n| &n.inputs).filter(|&&t| t == tensor).count();
    if output || readers != 1 { None } else { graph.nodes.iter().position(|n| n.output == tensor) }
}

/// The activation and the constant of a two-input node, in whichever order.
fn with_constant(graph: &Graph, node: NodeId) -> Option<(TensorId, TensorId)> {
    let &[a, b] = &graph.nodes[node].inputs[..] else { return None };
    match (graph.tensor(a).f32_data(), graph.tensor(b).f32_data()) {
        (None, Some(_)) => Some((a, b)),
        (Some(_), None) => Some((b, a)),
        _ => None,
    }
}

fn fold_one_bias(graph: &mut Graph) -> bool {
    let found = (0..graph.nodes.len()).find_map(|i| bias_of(graph, i).map(|(p, bias)| (i, p, bias)));
    let Some((add, producer, bias)) = found else { return false };
    let count = graph.tensor(bias).len();
    let mut tensor = graph.tensor(bias).clone();
    tensor.shape = vec![count];
    let bias = graph.add_tensor(tensor);
    graph.nodes[producer].inputs.push(bias);
    graph.nodes[producer].output = graph.nodes[add].output;
    graph.nodes.remove(add);
    true
}

/// The weighted node before this Add and the constant, when that is a bias.
fn bias_of(graph: &Graph, add: NodeId) -> Option<(NodeId, TensorId)> {
    if !matches!(graph.nodes[add].op, Op::Add { activation: Activation::None }) {
        return None;
    }
    let (x, bias) = with_constant(graph, add)?;
    let producer = sole_producer(graph, x)?;
    let node = &graph.nodes[producer];
    let channels = *graph.tensor(node.output).shape.last()?;
    let fits = graph.tensor(bias).shape == [1, 1, 1, channels]
        && node.op.has_weights()
        && node.inputs.len() == 2
        && node.op.activation() == Some(Activation::None);
    fits.then_some((producer, bias))
}

/// Finds `x * clip(x + 3, 0, 6) / 6`, in any order of the factors, and `x * clip(x / 6 + 0.5, 0, 1)`.
fn fuse_one_hard_swish(graph: &mut Graph) -> bool {
    let found = (0..graph.nodes.len()).find_map(|i| hard_swish_at(graph, i).map(|x| (i, x)));
    let Some((last, x)) = found else { return false };
    graph.nodes[last].op = Op::HardSwish;
    graph.nodes[last].inputs = vec![x];
    drop_dead_nodes(graph);
    true
}

fn hard_swish_at(graph: &Graph, last: NodeId) -> Option<TensorId> {
    if !matches!(graph.nodes[last].op, Op::Mul { activation: Activation::None }) {
        return None;
    }
    if let Some(x) = product_with_gate(graph, last, 1.0) {
        return Some(x);
    }
    // (x * clip(x + 3, 0, 6)) * (1 / 6)
    let (inner, factor) = with_constant(graph, last)?;
    let sixth = scalar(graph, factor).is_some_and(|v| close(v, 1.0 / 6.0));
    let product = sole_producer(graph, inner).filter(|_| sixth)?;
    product_with_gate(graph, product, 6.0)
}

/// `x` when the node is `x * gate(x)` with a gate that reaches from 0 to `top`.
fn product_with_gate(graph: &Graph, node: NodeId, top: f32) -> Option<TensorId> {
    let n = &graph.nodes[node];
    let &[a, b] = &n.inputs[..] else { return None };
    if !matches!(n.op, Op::Mul { activation: Activation::None }) {
        return None;
    }
    let is_gate = |x: TensorId, gate: TensorId| gate_input(graph, gate) == Some((x, top));
    if is_gate(a, b) {
        Some(a)
    } else if is_gate(b, a) {
        Some(b)
    } else {
        None
    }
}

/// Input and upper end of a hard-sigmoid gate: `clip(x + 3, 0, 6)`, the same over 6, or `clip(x / 6 + 0.5, 0, 1)`.
fn gate_input(graph: &Graph, gate: TensorId) -> Option<(TensorId, f32)> {
    let node = sole_producer(graph, gate)?;
    match graph.nodes[node].op {
        Op::Mul { activation: Activation::None } => {
            let (clipped, factor) = with_constant(graph, node)?;
            let (x, top) = gate_input(graph, clipped)?;
            (top == 6.0 && close(scalar(graph, factor)?, 1.0 / 6.0)).then_some((x, 1.0))
        }
        Op::Clip { min: 0.0, max } => {
            let add = sole_producer(graph, graph.nodes[node].inputs[0])?;
            if !matches!(graph.nodes[add].op, Op::Add { activation: Activation::None }) {
                return None;
            }
            let (inner, shift) = with_constant(graph, add)?;
            let shift = scalar(graph, shift)?;
            if max == 6.0 && shift == 3.0 {
                return Some((inner, 6.0));
            }
            let mul = sole_producer(graph, inner).filter(|_| max == 1.0 && shift == 0.5)?;
            if !matches!(graph.nodes[mul].op, Op::Mul { activation: Activation::None }) {
                return None;
            }
            let (x, factor) = with_constant(graph, mul)?;
            close(scalar(graph, factor)?, 1.0 / 6.0).then_some((x, 1.0))
        }
        _ => None,
    }
}

fn scalar(graph: &Graph, tensor: TensorId) -> Option<f32> {
    match &graph.tensor(tensor).data {
        Some(Data::F32(v)) if v.len() == 1 => Some(v[0]),
        _ => None,
    }
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6
}

/// Removes nodes whose output nothing reads.
pub(crate) fn drop_dead_nodes(graph: &mut Graph) {
    let mut read = vec![false; graph.tensors.len()];
    graph.outputs.iter().for_each(|p| read[p.tensor.index()] = true);
    let mut keep = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if read[node.output.index()] {
            keep[i] = true;
            node.inputs.iter().for_each(|t| read[t.index()] = true);
        }
    }
    let mut keep = keep.into_iter();
    graph.nodes.retain(|_| keep.next().unwrap_or(true));
}
