//! Convolutions and fully connected layers.

use dtmm_graph::{Activation, Data, Graph, Node, Window};
use dtmm_quant::quantize_multiplier;

use super::arithmetic::activation_clamp;
use super::windowed::window;
use super::{fail, quant};
use crate::PackError;
use crate::program::{Kind, LinearData};

pub(super) fn conv2d(g: &Graph, node: &Node, w: &Window, activation: Activation) -> Result<Kind, PackError> {
    Ok(Kind::Conv2d(window(node, w)?, linear(g, node, activation)?))
}

pub(super) fn depthwise(
    g: &Graph,
    node: &Node,
    w: &Window,
    activation: Activation,
) -> Result<Kind, PackError> {
    let mut data = linear(g, node, activation)?;
    let [_, positions, filters] = data.dims;
    data.dims = [filters, positions, 1];
    data.bias.resize(filters, 0);
    Ok(Kind::Depthwise(window(node, w)?, data))
}

pub(super) fn fully_connected(g: &Graph, node: &Node, activation: Activation) -> Result<Kind, PackError> {
    Ok(Kind::FullyConnected(linear(g, node, activation)?))
}

/// Weights, biases and multipliers; `dims` and the bias' length are those of OHWI or OI weights.
fn linear(graph: &Graph, node: &Node, activation: Activation) -> Result<LinearData, PackError> {
    let weights_id = node.inputs[1];
    let tensor = graph.tensor(weights_id);
    let Some(Data::I8(weights)) = &tensor.data else {
        return Err(fail(node, "the weights must be an int8 constant"));
    };
    let shape = &tensor.shape;
    let dims = match *shape.as_slice() {
        [o, h, w, i] => [o, h * w, i],
        [o, i] => [o, 1, i],
        _ => return Err(fail(node, "the weights must have rank 2 or 4")),
    };
    let bias = match node.inputs.get(2).map(|&b| &graph.tensor(b).data) {
        Some(Some(Data::I32(bias))) => bias.clone(),
        None => vec![0; dims[0]],
        Some(_) => return Err(fail(node, "the bias must be an int32 constant")),
    };
    let clamp = activation_clamp(activation, quant(graph, node, node.output)?);
    Ok(LinearData { weights_id, weights: weights.clone(), dims, bias, scales: scales(graph, node)?, clamp })
}

/// Multipliers as TFLite computes them: in double precision, but the product of input and weight scale of a fully
/// connected layer with one weight scale in single precision.
fn scales(graph: &Graph, node: &Node) -> Result<Vec<(i32, i8)>, PackError> {
    let (x, y) = (quant(graph, node, node.inputs[0])?, quant(graph, node, node.output)?);
    let Some(w) = &graph.tensor(node.inputs[1]).quant else {
        return Err(fail(node, "the weights need quantisation parameters"));
    };
    if w.zero_point.iter().any(|&z| z != 0) {
        return Err(fail(
            node,
            "weights with a zero point other than 0 are not supported; quantise them symmetrically",
        ));
    }
    let tensor = graph.tensor(node.inputs[1]);
    let axis = if matches!(node.op, dtmm_graph::Op::DepthwiseConv2d { .. }) { 3 } else { 0 };
    if !w.is_per_tensor() && (w.axis != axis || tensor.shape.get(axis) != Some(&w.scale.len())) {
        return Err(fail(node, "the weights' scales must be one, or one for each output channel"));
    }
    let fully_connected = matches!(node.op, dtmm_graph::Op::FullyConnected { .. });
    let product = |s: f32| {
        if fully_connected && w.is_per_tensor() {
            f64::from(x.scale * s)
        } else {
            f64::from(x.scale) * f64::from(s)
        }
    };
    let multiplier = |&s: &f32| {
        let (multiplier, shift) = quantize_multiplier(product(s) / f64::from(y.scale));
        (multiplier, shift as i8)
    };
    Ok(w.scale.iter().map(multiplier).collect())
}
