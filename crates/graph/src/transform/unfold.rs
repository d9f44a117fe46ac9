//! Batch norms for models that come with theirs folded: fine-tuning needs them.

use super::is_float;
use crate::{Activation, Data, ElementType, Graph, Node, NodeId, Op, Tensor, TensorId};

/// Added to the variance of the norms put in.
const EPSILON: f32 = 1e-5;

/// Puts a batch norm that changes nothing behind each convolution and depthwise convolution with float weights; a fused
/// activation becomes a node of its own behind the norm. Returns the tensor in front of each norm: its mean and
/// variance over samples belong into [`set_batch_norm`]. [`super::for_inference`] is the way back.
pub fn unfold_batch_norm(graph: &mut Graph) -> Vec<TensorId> {
    let mut before = Vec::new();
    let mut i = 0;
    while i < graph.nodes.len() {
        if is_convolution(graph, i) {
            let added = split_off(graph, i, &mut before);
            i += added;
        }
        i += 1;
    }
    before
}

/// Gives the norm behind `before` (see [`unfold_batch_norm`]) these statistics, without changing what the graph computes
/// in inference, and scales the filters in front of it to the spread of a fresh layer: behind a norm their scale has no
/// meaning, but the learning rate has one only for weights of a known scale.
pub fn set_batch_norm(graph: &mut Graph, before: TensorId, mean: &[f32], variance: &[f32]) {
    let (Some(conv), Some(norm)) = (
        graph.nodes.iter().position(|n| n.output == before),
        graph
            .nodes
            .iter()
            .position(|n| n.inputs.first() == Some(&before) && matches!(n.op, Op::BatchNorm { .. })),
    ) else {
        return;
    };
    let k = rescale_filters(graph, conv);
    let parameters = graph.nodes[norm].inputs.clone();
    let gamma = variance.iter().map(|v| (v * k * k + EPSILON).sqrt() / k).collect();
    let values: [Vec<f32>; 4] = [
        gamma,
        mean.to_vec(),
        mean.iter().map(|m| m * k).collect(),
        variance.iter().map(|v| v * k * k).collect(),
    ];
    for (&id, values) in parameters[1..].iter().zip(values) {
        graph.tensor_mut(id).data = Some(Data::F32(values));
    }
}

fn is_convolution(graph: &Graph, i: NodeId) -> bool {
    let node = &graph.nodes[i];
    matches!(node.op, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. })
        && node.inputs[1..].iter().all(|&t| is_float(graph, t) && graph.tensor(t).data.is_some())
}

/// Moves the node's output behind a norm and its activation behind that; returns the number of nodes added.
fn split_off(graph: &mut Graph, i: NodeId, before: &mut Vec<TensorId>) -> usize {
    let (name, output) = (graph.nodes[i].name.clone(), graph.nodes[i].output);
    let shape = graph.tensor(output).shape.clone();
    let channels = shape.last().copied().unwrap_or(1);
    let activation = graph.nodes[i]
        .op
        .activation_mut()
        .map_or(Activation::None, |a| std::mem::replace(a, Activation::None));
    let raw = activation_tensor(graph, format!("{name}/raw"), &shape);
    graph.nodes[i].output = raw;
    before.push(raw);
    let mut inputs = vec![raw];
    for (part, value) in [("gamma", (1.0 + EPSILON).sqrt()), ("beta", 0.0), ("mean", 0.0), ("variance", 1.0)]
    {
        inputs.push(graph.add_f32(format!("{name}/{part}"), vec![channels], vec![value; channels]));
    }
    let norm = |output| Node {
        name: format!("{name}/norm"),
        op: Op::BatchNorm { epsilon: EPSILON },
        inputs,
        output,
    };
    let Some(op) = clamp(activation) else {
        graph.nodes.insert(i + 1, norm(output));
        return 1;
    };
    let normed = activation_tensor(graph, format!("{name}/normed"), &shape);
    graph.nodes.insert(i + 1, norm(normed));
    graph.nodes.insert(i + 2, Node { name: format!("{name}/activation"), op, inputs: vec![normed], output });
    2
}

fn clamp(activation: Activation) -> Option<Op> {
    match activation {
        Activation::None => None,
        Activation::Relu => Some(Op::Relu),
        Activation::Relu6 => Some(Op::Clip { min: 0.0, max: 6.0 }),
        Activation::ReluN1To1 => Some(Op::Clip { min: -1.0, max: 1.0 }),
    }
}

fn activation_tensor(graph: &mut Graph, name: String, shape: &[usize]) -> TensorId {
    let (shape, element_type) = (shape.to_vec(), ElementType::F32);
    graph.add_tensor(Tensor { name, shape, element_type, quant: None, data: None })
}

/// Scales filters and bias by the returned factor, so that the filters have the variance 2 / fan-in.
fn rescale_filters(graph: &mut Graph, conv: NodeId) -> f32 {
    let inputs = graph.nodes[conv].inputs.clone();
    let depthwise = matches!(graph.nodes[conv].op, Op::DepthwiseConv2d { .. });
    let shape = graph.tensor(inputs[1]).shape.clone();
    let fan_in = shape[1] * shape[2] * if depthwise { 1 } else { shape[3] };
    let Some(weights) = graph.tensor(inputs[1]).f32_data() else { return 1.0 };
    let square = weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / weights.len() as f64;
    if square <= 0.0 {
        return 1.0;
    }
    let k = (2.0 / fan_in as f64 / square).sqrt() as f32;
    for &id in &inputs[1..] {
        if let Some(values) = graph.tensor_mut(id).f32_data_mut() {
            values.iter_mut().for_each(|v| *v *= k);
        }
    }
    k
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphBuilder;
    use crate::reference::evaluate_outputs;
    use crate::transform::for_inference;

    fn small() -> Graph {
        let mut b = GraphBuilder::new("small");
        let values = |n: usize| (0..n).map(|i| ((i * 37 % 23) as f32 - 11.0) / 400.0).collect::<Vec<f32>>();
        let x = b.input("x", [1, 5, 5, 3]);
        let w = b.constant("w", &[4, 3, 3, 3], values(108));
        let bias = b.constant("b", &[4], values(4));
        let y = b.conv2d("conv", x, w, Some(bias), [1, 1], true, Activation::Relu);
        b.finish(&[y]).unwrap()
    }

    #[test]
    fn neither_the_norms_nor_their_statistics_change_the_output() {
        let x: Vec<f32> = (0..75).map(|i| (i % 11) as f32 - 4.0).collect();
        let expected = evaluate_outputs(&small(), &[&x]).unwrap();
        let mut graph = small();
        let before = unfold_batch_norm(&mut graph);
        graph.verify().unwrap();
        set_batch_norm(&mut graph, before[0], &[0.1, -0.2, 0.0, 0.3], &[0.5, 0.01, 2.0, 1e-6]);
        let mut folded = graph.clone();
        for_inference(&mut folded);
        assert_eq!(folded.nodes.len(), 1);
        for g in [&graph, &folded] {
            let found = evaluate_outputs(g, &[&x]).unwrap();
            for (a, b) in expected[0].iter().zip(&found[0]) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }
    }
}
