//! Channels whose value does not depend on the input.

use dtmm_graph::{Activation, Graph, Node, Op, TensorId};

/// For each tensor and each index of its last axis, the value when it is the same for every input and every pixel.
/// Empty for constants of the graph.
pub(crate) fn constant_channels(graph: &Graph) -> Vec<Vec<Option<f32>>> {
    let mut of: Vec<Vec<Option<f32>>> = vec![Vec::new(); graph.tensors.len()];
    for port in &graph.inputs {
        of[port.tensor.index()] = vec![None; channels(graph, port.tensor)];
    }
    for node in &graph.nodes {
        let mut values = node_values(graph, node, &of);
        if let Some(activation) = node.op.activation() {
            values.iter_mut().for_each(|v| *v = v.map(|v| clamp(activation, v)));
        }
        of[node.output.index()] = values;
    }
    of
}

fn channels(graph: &Graph, tensor: TensorId) -> usize {
    graph.tensor(tensor).shape.last().copied().unwrap_or(0)
}

fn clamp(activation: Activation, v: f32) -> f32 {
    let (low, high) = activation.range();
    v.max(low).min(high)
}

fn node_values(graph: &Graph, node: &Node, of: &[Vec<Option<f32>>]) -> Vec<Option<f32>> {
    let n = channels(graph, node.output);
    let unknown = vec![None; n];
    let x = &of[node.inputs[0].index()];
    let map = |f: &dyn Fn(f32) -> f32| -> Vec<Option<f32>> { x.iter().map(|v| v.map(f)).collect() };
    match &node.op {
        Op::Conv2d { window, .. } => linear(graph, node, x, padded(window)).unwrap_or(unknown),
        Op::FullyConnected { .. } => linear(graph, node, x, false).unwrap_or(unknown),
        Op::DepthwiseConv2d { window, .. } => depthwise(graph, node, x, padded(window)).unwrap_or(unknown),
        Op::Add { .. } => binary(graph, node, of, |a, b| Some(a? + b?)),
        Op::Sub { .. } => binary(graph, node, of, |a, b| Some(a? - b?)),
        Op::Mul { .. } => binary(graph, node, of, product),
        Op::Concat { axis: 3 } => node.inputs.iter().flat_map(|t| operand(graph, *t, of)).collect(),
        Op::BatchNorm { epsilon } => batch_norm(graph, node, x, *epsilon).unwrap_or(unknown),
        Op::AveragePool { window, count_include_pad, .. } => {
            let uniform = |v: &f32| *v == 0.0 || !count_include_pad || !padded(window);
            x.iter().map(|v| v.filter(uniform)).collect()
        }
        Op::MaxPool { .. } | Op::ResizeNearest { .. } => x.clone(),
        Op::Mean { axes } if !axes.contains(&3) => x.clone(),
        Op::Slice { begin, end, stride } => {
            x.iter().copied().take(end[3]).skip(begin[3]).step_by(stride[3]).collect()
        }
        Op::Pad { before, after, value } => {
            let spatial = before[1] + before[2] + after[1] + after[2] > 0;
            let inner = x.iter().map(|v| v.filter(|v| !spatial || v == value));
            let pad = |n: usize| std::iter::repeat_n(Some(*value), n);
            pad(before[3]).chain(inner).chain(pad(after[3])).collect()
        }
        Op::Reshape { .. } if !x.is_empty() && n.is_multiple_of(x.len()) => {
            x.iter().copied().cycle().take(n).collect()
        }
        Op::Transpose { perm } if perm[3] == 3 => x.clone(),
        Op::Relu => map(&|v| v.max(0.0)),
        Op::Clip { min, max } => map(&|v| v.max(*min).min(*max)),
        Op::LeakyRelu { alpha } => map(&|v| if v > 0.0 { v } else { alpha * v }),
        Op::HardSwish => map(&|v| v * (v + 3.0).clamp(0.0, 6.0) / 6.0),
        Op::Sigmoid => map(&|v| 1.0 / (1.0 + (-v).exp())),
        Op::Tanh => map(&f32::tanh),
        _ => unknown,
    }
}

fn padded(window: &dtmm_graph::Window) -> bool {
    window.padding != dtmm_graph::Padding::default()
}

/// A filter is constant when every weight that is not zero reads a constant (and, under padding, zero) channel.
fn linear(graph: &Graph, node: &Node, x: &[Option<f32>], padded: bool) -> Option<Vec<Option<f32>>> {
    let weights = graph.tensor(node.inputs[1]);
    let (values, filters) = (weights.f32_data()?, *weights.shape.first()?);
    let size = values.len().checked_div(filters)?;
    let filter = |o: usize| {
        let terms = values[o * size..(o + 1) * size].iter().zip(x.iter().cycle());
        let mut sum = bias(graph, node, o)?;
        for (w, v) in terms.filter(|(w, _)| **w != 0.0) {
            sum += w * v.filter(|v| !padded || *v == 0.0)?;
        }
        Some(sum)
    };
    Some((0..filters).map(filter).collect())
}

fn depthwise(graph: &Graph, node: &Node, x: &[Option<f32>], padded: bool) -> Option<Vec<Option<f32>>> {
    let values = graph.tensor(node.inputs[1]).f32_data()?;
    let filters = channels(graph, node.output);
    let multiplier = filters.checked_div(x.len())?.max(1);
    let filter = |o: usize| {
        let sum: f32 = values.iter().skip(o).step_by(filters).sum();
        let dead = values.iter().skip(o).step_by(filters).all(|w| *w == 0.0);
        let v = x.get(o / multiplier).copied().flatten().filter(|v| !padded || *v == 0.0);
        Some(bias(graph, node, o)? + if dead { 0.0 } else { sum * v? })
    };
    Some((0..filters).map(filter).collect())
}

fn bias(graph: &Graph, node: &Node, o: usize) -> Option<f32> {
    match node.inputs.get(2) {
        Some(&b) => graph.tensor(b).f32_data()?.get(o).copied(),
        None => Some(0.0),
    }
}

fn product(a: Option<f32>, b: Option<f32>) -> Option<f32> {
    if a == Some(0.0) || b == Some(0.0) { Some(0.0) } else { Some(a? * b?) }
}

/// The channel values of an operand; a constant counts when it does not vary over the image.
fn operand(graph: &Graph, tensor: TensorId, of: &[Vec<Option<f32>>]) -> Vec<Option<f32>> {
    let t = graph.tensor(tensor);
    if t.data.is_none() {
        return of[tensor.index()].clone();
    }
    let n = channels(graph, tensor);
    match t.f32_data() {
        Some(values) if values.len() == n => values.iter().copied().map(Some).collect(),
        _ => vec![None; n],
    }
}

fn binary(
    graph: &Graph,
    node: &Node,
    of: &[Vec<Option<f32>>],
    f: impl Fn(Option<f32>, Option<f32>) -> Option<f32>,
) -> Vec<Option<f32>> {
    let (a, b) = (operand(graph, node.inputs[0], of), operand(graph, node.inputs[1], of));
    let pick = |v: &[Option<f32>], i: usize| v.get(if v.len() == 1 { 0 } else { i }).copied().flatten();
    (0..channels(graph, node.output)).map(|i| f(pick(&a, i), pick(&b, i))).collect()
}

fn batch_norm(graph: &Graph, node: &Node, x: &[Option<f32>], epsilon: f32) -> Option<Vec<Option<f32>>> {
    let parameter = |i: usize| graph.tensor(*node.inputs.get(i)?).f32_data();
    let (gamma, beta, mean, variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let normalise = |(c, v): (usize, &Option<f32>)| {
        let v = if gamma[c] == 0.0 { 0.0 } else { (*v)? - mean[c] };
        Some(v * gamma[c] / (variance[c] + epsilon).sqrt() + beta[c])
    };
    Some(x.iter().enumerate().map(normalise).collect())
}
