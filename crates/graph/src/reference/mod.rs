//! A naive float evaluator, written from the operators' definitions: the oracle that transformations, executors and
//! quantisation are tested against. It is slow on purpose.

mod elementwise;
mod layout;
#[cfg(test)]
mod tests;
mod windowed;

use thiserror::Error;

use crate::{Graph, Node, Op, TensorId};

/// Why a graph cannot be evaluated.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EvaluateError {
    /// The caller's values do not fit the graph's inputs.
    #[error("input '{port}' needs {expected} float values, found {found}")]
    Input {
        /// Port name.
        port: String,
        /// Elements of the port's tensor.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Only float graphs can be evaluated.
    #[error("node '{node}' ({op}) reads tensor '{tensor}', which holds no float values")]
    NotFloat {
        /// Node name.
        node: String,
        /// Operator name.
        op: &'static str,
        /// Tensor name.
        tensor: String,
    },
}

/// A tensor's NHWC shape and its values.
#[derive(Clone, Copy)]
struct View<'a> {
    shape: &'a [usize],
    data: &'a [f32],
}

impl View<'_> {
    /// The value at an NHWC index of a rank-4 tensor.
    fn at(&self, i: [usize; 4]) -> f32 {
        self.data[offset(self.shape, i)]
    }

    fn channels(&self) -> usize {
        *self.shape.last().unwrap_or(&1)
    }
}

fn offset(shape: &[usize], i: [usize; 4]) -> usize {
    ((i[0] * shape[1] + i[1]) * shape[2] + i[2]) * shape[3] + i[3]
}

/// The rank-4 index of element `flat` of a tensor of `shape`.
fn unravel(shape: &[usize], mut flat: usize) -> [usize; 4] {
    let mut index = [0; 4];
    for axis in (0..4).rev() {
        index[axis] = flat % shape[axis];
        flat /= shape[axis];
    }
    index
}

/// Evaluates a verified float graph on one sample. `inputs` holds one NHWC slice for each port of `graph.inputs`; the
/// result holds the value of every tensor, indexed by [`TensorId`] (empty for a tensor that nothing computes).
///
/// # Errors
/// [`EvaluateError`] when an input has the wrong length or a node reads integer data.
pub fn evaluate(graph: &Graph, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, EvaluateError> {
    let mut values: Vec<Vec<f32>> =
        graph.tensors.iter().map(|t| t.f32_data().map(<[f32]>::to_vec).unwrap_or_default()).collect();
    for (i, port) in graph.inputs.iter().enumerate() {
        let (expected, given) = (graph.tensor(port.tensor).len(), inputs.get(i).copied().unwrap_or_default());
        if expected != given.len() {
            let port = port.name.clone();
            return Err(EvaluateError::Input { port, expected, found: given.len() });
        }
        values[port.tensor.index()] = given.to_vec();
    }
    for node in &graph.nodes {
        let views: Vec<View> =
            node.inputs.iter().map(|&t| view(graph, node, &values, t)).collect::<Result<_, _>>()?;
        let result = evaluate_node(&node.op, &views, &graph.tensor(node.output).shape);
        values[node.output.index()] = result;
    }
    Ok(values)
}

/// The values of the graph's outputs, in order, for one sample; see [`evaluate`].
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_outputs(graph: &Graph, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, EvaluateError> {
    let values = evaluate(graph, inputs)?;
    Ok(graph.outputs.iter().map(|p| values[p.tensor.index()].clone()).collect())
}

fn view<'a>(
    graph: &'a Graph,
    node: &Node,
    values: &'a [Vec<f32>],
    id: TensorId,
) -> Result<View<'a>, EvaluateError> {
    let (tensor, data) = (graph.tensor(id), &values[id.index()]);
    if data.len() == tensor.len() {
        return Ok(View { shape: &tensor.shape, data });
    }
    let (node_name, tensor) = (node.name.clone(), tensor.name.clone());
    Err(EvaluateError::NotFloat { node: node_name, op: node.op.name(), tensor })
}

fn evaluate_node(op: &Op, x: &[View], out: &[usize]) -> Vec<f32> {
    let mut y = match op {
        Op::Conv2d { window, .. } => windowed::conv2d(x, window, out),
        Op::DepthwiseConv2d { window, .. } => windowed::depthwise(x, window, out),
        Op::FullyConnected { .. } => windowed::fully_connected(x),
        Op::Add { .. } => elementwise::binary(x, out, |a, b| a + b),
        Op::Sub { .. } => elementwise::binary(x, out, |a, b| a - b),
        Op::Mul { .. } => elementwise::binary(x, out, |a, b| a * b),
        Op::Concat { axis } => layout::concat(x, *axis, out),
        Op::MaxPool { window, .. } => windowed::max_pool(x[0], window, out),
        Op::AveragePool { window, count_include_pad, .. } => {
            windowed::average_pool(x[0], window, *count_include_pad, out)
        }
        Op::Mean { axes } => layout::mean(x[0], axes, out),
        Op::Reshape { .. } | Op::Quantize | Op::Dequantize => x[0].data.to_vec(),
        Op::Transpose { perm } => layout::transpose(x[0], *perm, out),
        Op::Slice { begin, stride, .. } => layout::slice(x[0], *begin, *stride, out),
        Op::Pad { before, value, .. } => layout::pad(x[0], *before, *value, out),
        Op::ResizeNearest { size, align_corners, half_pixel_centers } => {
            layout::resize_nearest(x[0], *size, *align_corners, *half_pixel_centers, out)
        }
        Op::BatchNorm { epsilon } => elementwise::batch_norm(x, *epsilon),
        Op::Softmax { beta } => elementwise::softmax(x[0], *beta),
        Op::LogSoftmax => elementwise::log_softmax(x[0]),
        _ => x[0].data.iter().map(|&v| elementwise::unary(op, v)).collect(),
    };
    if let Some(activation) = op.activation() {
        let (low, high) = activation.range();
        y.iter_mut().for_each(|v| *v = v.max(low).min(high));
    }
    y
}
