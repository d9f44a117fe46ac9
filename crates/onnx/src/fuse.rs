//! Patterns of several nodes that the graph has one operator for.

use dtmm_graph::{Activation, Graph, NodeId, Op, TensorId};

/// Puts biases that come as an Add into the operator before and zero padding into the convolution behind, and
/// recognises HardSwish written out.
pub(crate) fn fuse(graph: &mut Graph) {
    fold_biases(graph);
    fold_padding(graph);
    fuse_hard_swish(graph);
}

/// A graph with who writes and reads each tensor.
struct Wired<'a> {
    graph: &'a Graph,
    producers: Vec<Option<NodeId>>,
    /// Readers of each tensor, model outputs included.
    readers: Vec<usize>,
}

impl<'a> Wired<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut readers: Vec<usize> = graph.consumers().iter().map(Vec::len).collect();
        graph.outputs.iter().for_each(|p| readers[p.tensor.index()] += 1);
        Wired { graph, producers: graph.producers(), readers }
    }

    /// The node that writes `tensor`, when nothing else reads it.
    fn sole_producer(&self, tensor: TensorId) -> Option<NodeId> {
        self.producers[tensor.index()].filter(|_| self.readers[tensor.index()] == 1)
    }

    /// The activation and the constant of a two-input node, in whichever order.
    fn with_constant(&self, node: NodeId) -> Option<(TensorId, TensorId)> {
        let &[a, b] = &self.graph.nodes[node].inputs[..] else { return None };
        match (self.graph.tensor(a).f32_data(), self.graph.tensor(b).f32_data()) {
            (None, Some(_)) => Some((a, b)),
            (Some(_), None) => Some((b, a)),
            _ => None,
        }
    }

    fn is(&self, node: NodeId, op: &Op) -> bool {
        self.graph.nodes[node].op == *op
    }
}

const ADD: Op = Op::Add { activation: Activation::None };
const MUL: Op = Op::Mul { activation: Activation::None };

fn fold_biases(graph: &mut Graph) {
    let wired = Wired::new(graph);
    let found: Vec<(NodeId, NodeId, TensorId)> =
        (0..graph.nodes.len()).filter_map(|i| bias_of(&wired, i).map(|(p, bias)| (i, p, bias))).collect();
    let mut keep = vec![true; graph.nodes.len()];
    for (add, producer, bias) in found {
        let mut tensor = graph.tensor(bias).clone();
        tensor.shape = vec![tensor.len()];
        let bias = graph.add_tensor(tensor);
        let output = graph.nodes[add].output;
        graph.nodes[producer].inputs.push(bias);
        graph.nodes[producer].output = output;
        keep[add] = false;
    }
    let mut keep = keep.into_iter();
    graph.nodes.retain(|_| keep.next().unwrap_or(true));
}

/// The weighted node before this Add and the constant, when that is a bias.
fn bias_of(wired: &Wired, add: NodeId) -> Option<(NodeId, TensorId)> {
    if !wired.is(add, &ADD) {
        return None;
    }
    let graph = wired.graph;
    let (x, bias) = wired.with_constant(add)?;
    let producer = wired.sole_producer(x)?;
    let node = &graph.nodes[producer];
    let channels = *graph.tensor(node.output).shape.last()?;
    let fits = graph.tensor(bias).shape == [1, 1, 1, channels]
        && node.op.has_weights()
        && node.inputs.len() == 2
        && node.op.activation() == Some(Activation::None);
    fits.then_some((producer, bias))
}

/// Keras writes the padding of strided convolutions as a node of its own.
fn fold_padding(graph: &mut Graph) {
    let wired = Wired::new(graph);
    let found: Vec<(NodeId, NodeId)> = (0..graph.nodes.len())
        .filter(|&i| matches!(graph.nodes[i].op, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. }))
        .filter_map(|i| wired.sole_producer(graph.nodes[i].inputs[0]).map(|pad| (i, pad)))
        .collect();
    for (conv, pad) in found {
        let Op::Pad { before: [0, top, left, 0], after: [0, bottom, right, 0], value: 0.0 } =
            graph.nodes[pad].op
        else {
            continue;
        };
        graph.nodes[conv].inputs[0] = graph.nodes[pad].inputs[0];
        if let Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } = &mut graph.nodes[conv].op {
            let p = &mut window.padding;
            (p.top, p.left) = (p.top + top, p.left + left);
            (p.bottom, p.right) = (p.bottom + bottom, p.right + right);
        }
    }
    drop_dead_nodes(graph);
}

/// Finds `x * clip(x + 3, 0, 6) / 6`, in any order of the factors, and `x * clip(x / 6 + 0.5, 0, 1)`.
fn fuse_hard_swish(graph: &mut Graph) {
    let wired = Wired::new(graph);
    let found: Vec<(NodeId, TensorId)> =
        (0..graph.nodes.len()).filter_map(|i| hard_swish_at(&wired, i).map(|x| (i, x))).collect();
    for &(node, x) in &found {
        graph.nodes[node].op = Op::HardSwish;
        graph.nodes[node].inputs = vec![x];
    }
    drop_dead_nodes(graph);
}

fn hard_swish_at(wired: &Wired, last: NodeId) -> Option<TensorId> {
    if !wired.is(last, &MUL) {
        return None;
    }
    if let Some(x) = product_with_gate(wired, last, 1.0) {
        return Some(x);
    }
    // (x * clip(x + 3, 0, 6)) * (1 / 6)
    let (inner, factor) = wired.with_constant(last)?;
    let sixth = close(scalar(wired, factor)?, 1.0 / 6.0);
    let product = wired.sole_producer(inner).filter(|&p| sixth && wired.is(p, &MUL))?;
    product_with_gate(wired, product, 6.0)
}

/// `x` when the product is `x * gate(x)` with a gate that reaches from 0 to `top`.
fn product_with_gate(wired: &Wired, product: NodeId, top: f32) -> Option<TensorId> {
    let &[a, b] = &wired.graph.nodes[product].inputs[..] else { return None };
    let is_gate = |x: TensorId, gate: TensorId| gate_of(wired, gate) == Some((x, top));
    let x = if is_gate(a, b) { a } else { b };
    (is_gate(a, b) || is_gate(b, a)).then_some(x)
}

/// Input and upper end of a hard-sigmoid gate: `clip(x + 3, 0, 6)`, the same over 6, or `clip(x / 6 + 0.5, 0, 1)`.
fn gate_of(wired: &Wired, gate: TensorId) -> Option<(TensorId, f32)> {
    let node = wired.sole_producer(gate)?;
    if !wired.is(node, &MUL) {
        return clip_gate(wired, node);
    }
    let (clipped, factor) = wired.with_constant(node)?;
    let (x, top) = clip_gate(wired, wired.sole_producer(clipped)?)?;
    (top == 6.0 && close(scalar(wired, factor)?, 1.0 / 6.0)).then_some((x, 1.0))
}

fn clip_gate(wired: &Wired, clip: NodeId) -> Option<(TensorId, f32)> {
    let node = &wired.graph.nodes[clip];
    let Op::Clip { min: 0.0, max } = node.op else { return None };
    let add = wired.sole_producer(node.inputs[0]).filter(|&a| wired.is(a, &ADD))?;
    let (inner, shift) = wired.with_constant(add)?;
    let shift = scalar(wired, shift)?;
    if max == 6.0 && shift == 3.0 {
        return Some((inner, 6.0));
    }
    let scale = wired.sole_producer(inner).filter(|&m| wired.is(m, &MUL) && max == 1.0 && shift == 0.5)?;
    let (x, factor) = wired.with_constant(scale)?;
    close(scalar(wired, factor)?, 1.0 / 6.0).then_some((x, 1.0))
}

fn scalar(wired: &Wired, tensor: TensorId) -> Option<f32> {
    match wired.graph.tensor(tensor).f32_data() {
        Some(&[value]) => Some(value),
        _ => None,
    }
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6
}

/// Removes nodes whose output nothing reads.
fn drop_dead_nodes(graph: &mut Graph) {
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
