//! Symmetric int8 weights and int32 biases.

use dtmm_graph::{Data, ElementType, Graph, NodeId, Op, QuantParams, TensorId};

use crate::quantize::QuantOptions;

/// Largest magnitude of a quantised bias: half of int32, so that sums of products still fit beside it.
const MAX_BIAS: f64 = (1u64 << 30) as f64;

/// The largest magnitude of each output channel divided by 127: 0 for a channel of zeros. `axis` is 0 for OHWI and OI
/// weights, the last for 1HWO.
pub fn weight_scales(values: &[f32], shape: &[usize], axis: usize) -> Vec<f32> {
    let (channels, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let mut max = vec![0.0f32; channels];
    for (i, v) in values.iter().enumerate() {
        let c = i / inner % channels;
        max[c] = max[c].max(v.abs());
    }
    max.into_iter().map(|m| m / 127.0).collect()
}

/// Quantises weights and bias of node `n`, whose input and output scales are given; exact zeros stay exact zeros.
pub(crate) fn quantize_node(graph: &mut Graph, n: NodeId, scales: [f32; 2], options: &QuantOptions) {
    let weights = own_constant(graph, n, 1);
    let axis = if matches!(graph.nodes[n].op, Op::DepthwiseConv2d { .. }) { 3 } else { 0 };
    let tensor = graph.tensor(weights);
    let (values, shape) = (tensor.f32_data().unwrap_or_default().to_vec(), tensor.shape.clone());
    let bias: Vec<f32> =
        graph.nodes[n].inputs.get(2).and_then(|&b| graph.tensor(b).f32_data()).unwrap_or_default().to_vec();
    let mut scale = weight_scales(&values, &shape, axis);
    if matches!(graph.nodes[n].op, Op::FullyConnected { .. }) && !options.per_channel_fully_connected {
        let max = scale.iter().copied().fold(0.0, f32::max);
        scale.fill(max);
    }
    make_usable(&mut scale, &bias, scales);
    let inner: usize = shape[axis + 1..].iter().product();
    let quantized: Vec<i8> = values
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            let s = scale[i / inner % scale.len()];
            (f64::from(v) / f64::from(s)).round().clamp(-127.0, 127.0) as i8
        })
        .collect();
    set(
        graph,
        weights,
        Data::I8(quantized),
        QuantParams { zero_point: vec![0; scale.len()], scale: scale.clone(), axis },
    );
    if !bias.is_empty() {
        quantize_bias(graph, n, &bias, scale.iter().map(|w| scales[0] * w).collect());
    }
}

/// Gives channels of zeros a scale, and raises scales that would make the bias overflow.
fn make_usable(scale: &mut [f32], bias: &[f32], [input, output]: [f32; 2]) {
    let largest = scale.iter().copied().fold(0.0, f32::max);
    let fallback = if largest > 0.0 { largest } else { output / input };
    for (o, s) in scale.iter_mut().enumerate() {
        if *s == 0.0 {
            *s = fallback;
        }
        let least = bias.get(o).map_or(0.0, |b| f64::from(b.abs()) / (f64::from(input) * MAX_BIAS));
        *s = s.max(least as f32).max(f32::MIN_POSITIVE / input.min(1.0));
    }
}

fn quantize_bias(graph: &mut Graph, n: NodeId, bias: &[f32], scale: Vec<f32>) {
    let id = own_constant(graph, n, 2);
    let values = bias
        .iter()
        .zip(&scale)
        .map(|(&b, &s)| {
            (f64::from(b) / f64::from(s)).round().clamp(-2.0 * MAX_BIAS, 2.0 * MAX_BIAS - 1.0) as i32
        })
        .collect();
    set(graph, id, Data::I32(values), QuantParams { zero_point: vec![0; scale.len()], scale, axis: 0 });
}

/// Input `slot` of node `n` as a constant that no other node reads; copied when it was shared.
fn own_constant(graph: &mut Graph, n: NodeId, slot: usize) -> TensorId {
    let id = graph.nodes[n].inputs[slot];
    let readers = graph.nodes.iter().flat_map(|n| &n.inputs).filter(|&&t| t == id).count();
    if readers == 1 {
        return id;
    }
    let copy = graph.tensor(id).clone();
    let id = graph.add_tensor(copy);
    graph.nodes[n].inputs[slot] = id;
    id
}

pub(crate) fn set(graph: &mut Graph, id: TensorId, data: Data, quant: QuantParams) {
    let tensor = graph.tensor_mut(id);
    tensor.element_type = data.element_type();
    debug_assert!(tensor.element_type != ElementType::F32);
    (tensor.data, tensor.quant) = (Some(data), Some(quant));
}
