//! Folding of batch norms and constant per-channel scales and shifts into the operator before them.

use super::{is_float, sole_producer};
use crate::{Activation, Graph, Node, NodeId, Op, TensorId, Window};

/// `y[c] = scale[c] * x[c] + shift[c]`, then the clamp.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
    activation: Activation,
}

/// Folds each batch norm, and each Mul, Add or Sub with a per-channel constant, into the convolution, depthwise
/// convolution or fully connected operator before it, when that has no other reader and no activation in between. A
/// batch norm without such a producer becomes a 1×1 depthwise convolution, which is exact wherever it stands (a batch
/// norm *before* a padded convolution cannot be folded into it: the padding is zero after the norm, not before).
/// Weights that several nodes share are copied first. Float graphs only.
pub fn fold_batch_norm(graph: &mut Graph) {
    let mut i = 0;
    while i < graph.nodes.len() {
        if !fold_into_producer(graph, i) {
            replace_by_depthwise(graph, i);
            i += 1;
        }
    }
}

/// Removes node `i` when it could be folded.
fn fold_into_producer(graph: &mut Graph, i: NodeId) -> bool {
    let Some((x, affine)) = affine_of(graph, &graph.nodes[i]) else { return false };
    let Some(p) = sole_producer(graph, x) else { return false };
    let producer = &graph.nodes[p];
    let foldable = producer.op.has_weights() && producer.op.activation() == Some(Activation::None);
    let all_float = producer.inputs.iter().all(|&t| is_float(graph, t));
    if !foldable || !all_float || graph.tensor(producer.inputs[1]).f32_data().is_none() {
        return false;
    }
    let node = graph.nodes.remove(i);
    scale_weights(graph, p, &affine.scale);
    scale_bias(graph, p, &affine);
    graph.nodes[p].output = node.output;
    if let Some(activation) = graph.nodes[p].op.activation_mut() {
        *activation = affine.activation;
    }
    true
}

/// The node as an affine map of its activation input, if it is one.
fn affine_of(graph: &Graph, node: &Node) -> Option<(TensorId, Affine)> {
    let channels = *graph.tensor(node.output).shape.last()?;
    if let Op::BatchNorm { epsilon } = node.op {
        return Some((node.inputs[0], batch_norm_affine(graph, node, epsilon)?));
    }
    let activation = node.op.activation()?;
    let (x, values) = channel_constant(graph, node, channels)?;
    let constant_first = x != node.inputs[0];
    let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
    let negate = |v: Vec<f32>| v.into_iter().map(|v| -v).collect::<Vec<_>>();
    let (scale, shift) = match node.op {
        Op::Mul { .. } => (values, zeros),
        Op::Add { .. } => (ones, values),
        Op::Sub { .. } if constant_first => (negate(ones), values),
        Op::Sub { .. } => (ones, negate(values)),
        _ => return None,
    };
    Some((x, Affine { scale, shift, activation }))
}

fn batch_norm_affine(graph: &Graph, node: &Node, epsilon: f32) -> Option<Affine> {
    let p = |i: usize| graph.tensor(node.inputs[i]).f32_data();
    let (gamma, beta, mean, variance) = (p(1)?, p(2)?, p(3)?, p(4)?);
    let exact: Vec<f64> = gamma
        .iter()
        .zip(variance)
        .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(epsilon)).sqrt())
        .collect();
    let shift =
        (0..exact.len()).map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * exact[c]) as f32).collect();
    let scale = exact.iter().map(|&s| s as f32).collect();
    Some(Affine { scale, shift, activation: Activation::None })
}

/// The activation input and the per-channel values of a binary operator with a constant `[1, 1, 1, C or 1]`.
fn channel_constant(graph: &Graph, node: &Node, channels: usize) -> Option<(TensorId, Vec<f32>)> {
    let binary = matches!(node.op, Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. });
    let [a, b] = *node.inputs.as_slice() else { return None };
    let (x, constant) = if graph.tensor(b).data.is_some() { (a, b) } else { (b, a) };
    let tensor = graph.tensor(constant);
    let values = tensor.f32_data()?;
    let per_channel =
        tensor.shape.get(..3) == Some(&[1, 1, 1]) && graph.tensor(x).shape == graph.tensor(node.output).shape;
    let is_activation = graph.tensor(x).data.is_none();
    (binary && per_channel && is_activation)
        .then(|| (x, (0..channels).map(|c| values[c % values.len()]).collect()))
}

/// Multiplies the weights of each output channel: OHWI and OI have it first, 1HWO last.
fn scale_weights(graph: &mut Graph, p: NodeId, scale: &[f32]) {
    let weights = own_constant(graph, p, 1);
    let depthwise = matches!(graph.nodes[p].op, Op::DepthwiseConv2d { .. });
    let tensor = graph.tensor_mut(weights);
    let per_filter = tensor.len() / scale.len();
    let Some(values) = tensor.f32_data_mut() else { return };
    for (j, v) in values.iter_mut().enumerate() {
        *v *= if depthwise { scale[j % scale.len()] } else { scale[j / per_filter] };
    }
}

fn scale_bias(graph: &mut Graph, p: NodeId, affine: &Affine) {
    if graph.nodes[p].inputs.len() == 2 {
        let name = format!("{}/bias", graph.nodes[p].name);
        let bias = graph.add_f32(name, vec![affine.shift.len()], affine.shift.clone());
        graph.nodes[p].inputs.push(bias);
        return;
    }
    let bias = own_constant(graph, p, 2);
    let Some(values) = graph.tensor_mut(bias).f32_data_mut() else { return };
    for (c, v) in values.iter_mut().enumerate() {
        *v = *v * affine.scale[c] + affine.shift[c];
    }
}

/// Input `slot` of node `p` as a constant that no other node reads; copied when it was shared.
fn own_constant(graph: &mut Graph, p: NodeId, slot: usize) -> TensorId {
    let id = graph.nodes[p].inputs[slot];
    let readers = graph.nodes.iter().flat_map(|n| &n.inputs).filter(|&&t| t == id).count();
    if readers == 1 {
        return id;
    }
    let copy = graph.tensor(id).clone();
    let id = graph.add_tensor(copy);
    graph.nodes[p].inputs[slot] = id;
    id
}

/// Turns a batch norm that could not be folded into a depthwise convolution with the same numbers.
fn replace_by_depthwise(graph: &mut Graph, i: NodeId) {
    let Op::BatchNorm { epsilon } = graph.nodes[i].op else { return };
    let Some(affine) = batch_norm_affine(graph, &graph.nodes[i], epsilon) else { return };
    let (name, channels) = (graph.nodes[i].name.clone(), affine.scale.len());
    let filter = graph.add_f32(format!("{name}/scale"), vec![1, 1, 1, channels], affine.scale);
    let bias = graph.add_f32(format!("{name}/shift"), vec![channels], affine.shift);
    let node = &mut graph.nodes[i];
    node.op = Op::DepthwiseConv2d { window: Window::new([1, 1]), activation: Activation::None };
    node.inputs = vec![node.inputs[0], filter, bias];
}
