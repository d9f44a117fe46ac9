//! CONV_2D and DEPTHWISE_CONV_2D.

use dtmm_graph::{Data, Op, Tensor, TensorId};

use super::fused;
use super::spread::dilated;
use super::weights::{Role, add_bias, add_weights, weight_dims};
use super::window::{Fields, image_size, window};
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

const CONV: Fields = Fields { padding: 0, stride_w: 1, stride_h: 2, dilation: Some([4, 5]) };
const CONV_ACTIVATION: usize = 3;
const DEPTHWISE: Fields = Fields { padding: 0, stride_w: 1, stride_h: 2, dilation: Some([5, 6]) };
const DEPTHWISE_ACTIVATION: usize = 4;
/// More groups than this would make a graph of thousands of nodes.
const MAX_GROUPS: usize = 256;
const OHWI: Role = Role { name: "the filter", axis: 0 };
const ONE_HWO: Role = Role { name: "the filter", axis: 3 };

pub fn conv2d(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let size = image_size(importer, &x)?;
    let filter = filter_dims(importer, node, OHWI)?;
    let channels = x.dims[3];
    let options = node.options();
    let window = window(&options, &CONV, size, [filter[1], filter[2]])?;
    let window = dilated(importer, node, window)?;
    let op = Op::Conv2d { window, activation: fused(options.i8(CONV_ACTIVATION)?)? };
    if filter[3] == channels {
        return emit(importer, node, op, OHWI, filter[0]);
    }
    let groups = channels / filter[3];
    if !channels.is_multiple_of(filter[3]) || !filter[0].is_multiple_of(groups) {
        return NodeError::invalid(format!("filters of shape {filter:?} do not divide {channels} channels"));
    }
    grouped(importer, node, op, groups)
}

/// A grouped convolution: one convolution for each slice of the channels, joined again.
fn grouped(importer: &mut Importer<'_>, node: &NodeView<'_>, op: Op, groups: usize) -> Result<(), NodeError> {
    if groups > MAX_GROUPS {
        return NodeError::unsupported(format!("{groups} groups (at most {MAX_GROUPS})"));
    }
    let x = importer.activation(node.input(0)?)?;
    let channels = filter_dims(importer, node, OHWI)?[0];
    let whole = operands(importer, node, OHWI, channels)?;
    let (out, shape) = (node.output(0)?, importer.layout(&x.dims)?.shape());
    let width = shape[3] / groups;
    let mut parts = Vec::new();
    for group in 0..groups {
        let (mut begin, mut end) = ([0; 4], shape);
        (begin[3], end[3]) = (group * width, (group + 1) * width);
        let slice = Op::Slice { begin, end, stride: [1; 4] };
        let mut inputs = vec![importer.rearranged(node, x.id, slice)?];
        for &id in &whole[1..] {
            let part = group_of(importer.graph.tensor(id), group, groups);
            importer.model.flat.charge(part.bytes())?;
            inputs.push(importer.graph.add_tensor(part));
        }
        parts.push(importer.add_node(node, out, op.clone(), &inputs)?);
    }
    let last = importer.shape(parts[0]);
    let dims = vec![x.dims[0], last[1], last[2], groups * last[3]];
    importer.emit(node, Op::Concat { axis: 3 }, &parts, dims)
}

/// The filters or biases of one of `groups` equal groups of output channels, which are the first axis.
fn group_of(whole: &Tensor, group: usize, groups: usize) -> Tensor {
    fn part<T: Copy>(v: &[T], group: usize, groups: usize) -> Vec<T> {
        let size = v.len() / groups;
        v[group * size..(group + 1) * size].to_vec()
    }
    let mut tensor = whole.clone();
    tensor.name = format!("{} group {group}", whole.name);
    tensor.shape[0] /= groups;
    tensor.data = whole.data.as_ref().map(|data| match data {
        Data::F32(v) => Data::F32(part(v, group, groups)),
        Data::I8(v) => Data::I8(part(v, group, groups)),
        Data::U8(v) => Data::U8(part(v, group, groups)),
        Data::I32(v) => Data::I32(part(v, group, groups)),
    });
    if let Some(quant) = tensor.quant.as_mut().filter(|q| !q.is_per_tensor()) {
        quant.scale = part(&quant.scale, group, groups);
        quant.zero_point = part(&quant.zero_point, group, groups);
    }
    tensor
}

pub fn depthwise_conv2d(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let size = image_size(importer, &x)?;
    let filter = filter_dims(importer, node, ONE_HWO)?;
    let options = node.options();
    let window = window(&options, &DEPTHWISE, size, [filter[1], filter[2]])?;
    let window = dilated(importer, node, window)?;
    let op = Op::DepthwiseConv2d { window, activation: fused(options.i8(DEPTHWISE_ACTIVATION)?)? };
    emit(importer, node, op, ONE_HWO, filter[3])
}

fn filter_dims(importer: &Importer<'_>, node: &NodeView<'_>, role: Role) -> Result<[usize; 4], NodeError> {
    let dims = weight_dims(importer, node.input(1)?, role)?;
    let rank4 = <[usize; 4]>::try_from(dims.as_slice());
    rank4.map_err(|_| NodeError::Invalid(format!("the filter must have rank 4, found shape {dims:?}")))
}

fn emit(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    op: Op,
    role: Role,
    channels: usize,
) -> Result<(), NodeError> {
    let lead = importer.activation(node.input(0)?)?.dims[0];
    let inputs = operands(importer, node, role, channels)?;
    importer.emit_image(node, op, &inputs, lead)
}

/// Input, filter and, where there is one, bias.
fn operands(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    role: Role,
    channels: usize,
) -> Result<Vec<TensorId>, NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let is_float = importer.is_float(x.id);
    let mut inputs = vec![x.id, add_weights(importer, node.input(1)?, role, is_float)?];
    if let Some(bias) = node.optional(2) {
        inputs.push(add_bias(importer, bias, channels, is_float)?);
    }
    Ok(inputs)
}
