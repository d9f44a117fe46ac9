//! Int8 graph to float graph.

use std::collections::BTreeMap;

use dtmm_graph::{Data, ElementType, Graph, Op, QuantParams, Tensor, TensorId, transform};

use crate::{QuantError, Range, Ranges};

/// The float graph with the same weights (`scale * (q - zero_point)`), and the ranges that the int8 activations
/// covered, so that quantising it again needs no calibration. Ports become float; requantising operators go.
///
/// # Errors
/// [`QuantError::Node`] when an integer constant has no quantisation parameters.
pub fn dequantize(graph: &Graph) -> Result<(Graph, Ranges), QuantError> {
    let mut out = graph.clone();
    let mut ranges = BTreeMap::new();
    for i in 0..out.tensors.len() {
        if let Some(range) = covered_range(&out.tensors[i]) {
            ranges.insert(TensorId(i as u32), range);
        }
        let missing = out.tensors[i].data.is_some() && out.tensors[i].quant.is_none();
        if missing
            && out.tensors[i].element_type != ElementType::F32
            && !derive_bias_scale(graph, &mut out, i)
        {
            return Err(no_parameters(graph, TensorId(i as u32)));
        }
        to_float(&mut out.tensors[i]);
    }
    for port in out.inputs.iter_mut().chain(&mut out.outputs) {
        (port.element_type, port.quant) = (ElementType::F32, None);
    }
    bypass_requantization(&mut out);
    Ok((out, Ranges(ranges)))
}

/// What an int8 (or uint8) activation can represent.
fn covered_range(tensor: &Tensor) -> Option<Range> {
    let (low, high) = match tensor.element_type {
        ElementType::I8 => (-128, 127),
        ElementType::U8 => (0, 255),
        _ => return None,
    };
    let q = tensor.quant.as_ref().filter(|q| q.is_per_tensor() && tensor.data.is_none())?;
    let real = |v: i32| (f64::from(q.scale[0]) * f64::from(v - q.zero_point[0])) as f32;
    Some(Range { min: real(low), max: real(high) })
}

/// An int32 bias without parameters has input scale times weight scale.
fn derive_bias_scale(graph: &Graph, out: &mut Graph, i: usize) -> bool {
    let reader =
        graph.nodes.iter().find(|n| n.op.has_weights() && n.inputs.get(2) == Some(&TensorId(i as u32)));
    let Some(node) = reader else { return false };
    let quant = |slot: usize| graph.tensor(node.inputs[slot]).quant.as_ref();
    let (Some(x), Some(w)) = (quant(0), quant(1)) else { return false };
    let scale: Vec<f32> = w.scale.iter().map(|s| s * x.scale[0]).collect();
    out.tensors[i].quant = Some(QuantParams { zero_point: vec![0; scale.len()], scale, axis: 0 });
    true
}

fn no_parameters(graph: &Graph, id: TensorId) -> QuantError {
    let reader = graph.nodes.iter().find(|n| n.inputs.contains(&id));
    QuantError::Node {
        node: reader.map(|n| n.name.clone()).unwrap_or_default(),
        op: reader.map_or("no operator", |n| n.op.name()),
        what: format!("tensor '{}' holds integers without quantisation parameters", graph.tensor(id).name),
    }
}

fn to_float(tensor: &mut Tensor) {
    tensor.element_type = ElementType::F32;
    let Some(q) = tensor.quant.take() else { return };
    let integers: Vec<i32> = match &tensor.data {
        Some(Data::I8(v)) => v.iter().map(|&v| i32::from(v)).collect(),
        Some(Data::U8(v)) => v.iter().map(|&v| i32::from(v)).collect(),
        Some(Data::I32(v)) => v.clone(),
        _ => return,
    };
    let inner: usize = if q.is_per_tensor() { 1 } else { tensor.shape[q.axis + 1..].iter().product() };
    let real = |(i, v): (usize, i32)| {
        let c = i / inner % q.scale.len();
        (f64::from(q.scale[c]) * (f64::from(v) - f64::from(q.zero_point[c]))) as f32
    };
    tensor.data = Some(Data::F32(integers.into_iter().enumerate().map(real).collect()));
}

/// Turns Quantize and Dequantize, which mean nothing between floats, into identities and removes them.
fn bypass_requantization(graph: &mut Graph) {
    for i in 0..graph.nodes.len() {
        if matches!(graph.nodes[i].op, Op::Quantize | Op::Dequantize) {
            let shape = &graph.tensor(graph.nodes[i].output).shape;
            if let Ok(shape) = <[usize; 4]>::try_from(shape.as_slice()) {
                graph.nodes[i].op = Op::Reshape { shape };
            }
        }
    }
    transform::eliminate_identities(graph);
}
