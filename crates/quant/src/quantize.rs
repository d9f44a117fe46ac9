//! Float graph to int8 graph.

use std::collections::BTreeMap;

use dtmm_graph::{Data, ElementType, Graph, Node, NodeId, Op, QuantParams, TensorId};
use serde::{Deserialize, Serialize};

use crate::groups::{Groups, same_scale_inputs};
use crate::params::{activation_params, quantize_value};
use crate::weights::{quantize_node, set};
use crate::{QuantError, Range, Ranges};

/// Choices that do not follow from the ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantOptions {
    /// One scale for each output of fully connected layers (TFLite allows both); else one for the whole tensor.
    pub per_channel_fully_connected: bool,
}

impl Default for QuantOptions {
    fn default() -> Self {
        QuantOptions { per_channel_fully_connected: true }
    }
}

/// The int8 graph of a float graph with folded batch norms and fused activations: per-channel symmetric weights,
/// per-tensor asymmetric activations, int32 biases, equal scales around operators that only move values. Tensor ids of
/// the float graph stay valid; ports keep their source layout and become int8.
///
/// # Errors
/// [`QuantError`] for constants that are not finite, missing ranges, batch norms, and graphs that are not float.
pub fn quantize(graph: &Graph, ranges: &Ranges, options: &QuantOptions) -> Result<Graph, QuantError> {
    check(graph, ranges)?;
    let mut out = graph.clone();
    let groups = Groups::of(&out);
    let quantized = activation_quantization(&out, ranges, &groups)?;
    for (&id, params) in &quantized {
        quantize_tensor(&mut out, id, params);
    }
    requantize_fixed_inputs(&mut out);
    for n in 0..out.nodes.len() {
        if out.nodes[n].op.has_weights() {
            let scale_of = |t: TensorId| out.tensor(t).quant.as_ref().map_or(1.0, |q| q.scale[0]);
            let scales = [scale_of(out.nodes[n].inputs[0]), scale_of(out.nodes[n].output)];
            quantize_node(&mut out, n, scales, options);
        }
    }
    let Graph { tensors, inputs, outputs, .. } = &mut out;
    for port in inputs.iter_mut().chain(outputs) {
        port.element_type = ElementType::I8;
        port.quant = tensors[port.tensor.index()].quant.clone();
    }
    Ok(out)
}

fn check(graph: &Graph, ranges: &Ranges) -> Result<(), QuantError> {
    for t in &graph.tensors {
        let bad = t.f32_data().and_then(|v| v.iter().enumerate().find(|(_, v)| !v.is_finite()));
        if let Some((index, &value)) = bad {
            return Err(QuantError::NotFinite { tensor: t.name.clone(), index, value });
        }
    }
    for node in &graph.nodes {
        let fail = |what: &str| {
            Err(QuantError::Node { node: node.name.clone(), op: node.op.name(), what: what.to_owned() })
        };
        let float = |t: &TensorId| graph.tensor(*t).element_type == ElementType::F32;
        match node.op {
            Op::BatchNorm { .. } => return fail("fold batch norms before quantising"),
            _ if !node.inputs.iter().chain([&node.output]).all(float) => {
                return fail("the graph is already quantised; dequantise it first");
            }
            _ if node.op.has_weights()
                && node.inputs[1..].iter().any(|&t| graph.tensor(t).data.is_none()) =>
            {
                return fail("weights and bias must be constants");
            }
            _ => {}
        }
    }
    if ranges.0.is_empty() { Err(QuantError::EmptyCalibration) } else { Ok(()) }
}

/// Parameters of every activation and of every constant that is used as one.
fn activation_quantization(
    graph: &Graph,
    ranges: &Ranges,
    groups: &Groups,
) -> Result<BTreeMap<TensorId, QuantParams>, QuantError> {
    let ids = activations(graph);
    let mut joined: BTreeMap<usize, Range> = BTreeMap::new();
    for &id in ids.iter().filter(|id| groups.fixed(**id).is_none()) {
        let range = range_of(graph, ranges, id)?;
        joined.entry(groups.root(id)).and_modify(|r| *r = r.union(range)).or_insert(range);
    }
    for node in &graph.nodes {
        if let (Op::Pad { value, .. }, Some(range)) = (&node.op, joined.get_mut(&groups.root(node.output))) {
            *range = range.union(Range { min: *value, max: *value });
        }
    }
    let params = |id: TensorId| match groups.fixed(id) {
        Some(fixed) => fixed.clone(),
        None => activation_params(joined[&groups.root(id)]),
    };
    Ok(ids.into_iter().map(|id| (id, params(id))).collect())
}

/// Inputs, node outputs, and constant operands that are not weights.
fn activations(graph: &Graph) -> Vec<TensorId> {
    let inputs = graph.inputs.iter().map(|p| p.tensor);
    let of_node = |n: &Node| {
        let operands = if n.op.has_weights() { &n.inputs[..1] } else { &n.inputs[..] };
        operands.iter().copied().chain([n.output]).collect::<Vec<_>>()
    };
    let mut ids: Vec<TensorId> = inputs.chain(graph.nodes.iter().flat_map(of_node)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn range_of(graph: &Graph, ranges: &Ranges, id: TensorId) -> Result<Range, QuantError> {
    let tensor = graph.tensor(id);
    if let Some(values) = tensor.f32_data() {
        let fold = |f: fn(f32, f32) -> f32| values.iter().copied().fold(0.0, f);
        return Ok(Range { min: fold(f32::min), max: fold(f32::max) });
    }
    ranges.get(id).ok_or_else(|| QuantError::MissingRange { tensor: tensor.name.clone() })
}

fn quantize_tensor(graph: &mut Graph, id: TensorId, params: &QuantParams) {
    let (scale, zero_point) = (params.scale[0], params.zero_point[0]);
    match graph.tensor(id).f32_data() {
        Some(values) => {
            let q = values.iter().map(|&v| quantize_value(v, scale, zero_point)).collect();
            set(graph, id, Data::I8(q), params.clone());
        }
        None => {
            let tensor = graph.tensor_mut(id);
            (tensor.element_type, tensor.quant) = (ElementType::I8, Some(params.clone()));
        }
    }
}

/// A concat input whose parameters the specification fixes gets a Quantize in between.
fn requantize_fixed_inputs(graph: &mut Graph) {
    let mut n = 0;
    while n < graph.nodes.len() {
        for slot in 0..same_scale_inputs(&graph.nodes[n]).len() {
            let (input, output) = (graph.nodes[n].inputs[slot], graph.nodes[n].output);
            if graph.tensor(input).quant != graph.tensor(output).quant {
                insert_quantize(graph, n, slot);
                n += 1;
            }
        }
        n += 1;
    }
}

fn insert_quantize(graph: &mut Graph, n: NodeId, slot: usize) {
    let (input, output) = (graph.nodes[n].inputs[slot], graph.nodes[n].output);
    let mut tensor = graph.tensor(input).clone();
    tensor.name = format!("{}/requantized", tensor.name);
    tensor.quant.clone_from(&graph.tensor(output).quant);
    let (name, to) = (tensor.name.clone(), graph.add_tensor(tensor));
    graph.nodes[n].inputs[slot] = to;
    graph.nodes.insert(n, Node { name, op: Op::Quantize, inputs: vec![input], output: to });
}
