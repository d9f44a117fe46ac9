//! CONV_2D and DEPTHWISE_CONV_2D.

use dtmm_graph::{Op, TensorId};

use super::fused;
use super::weights::{Role, add_bias, add_weights, weight_dims};
use super::window::{Fields, image_size, window};
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

const CONV: Fields = Fields { padding: 0, stride_w: 1, stride_h: 2, dilation: Some([4, 5]) };
const CONV_ACTIVATION: usize = 3;
const DEPTHWISE: Fields = Fields { padding: 0, stride_w: 1, stride_h: 2, dilation: Some([5, 6]) };
const DEPTHWISE_ACTIVATION: usize = 4;
const OHWI: Role = Role { name: "the filter", axis: 0 };
const ONE_HWO: Role = Role { name: "the filter", axis: 3 };

pub fn conv2d(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let size = image_size(importer, &x)?;
    let filter = filter_dims(importer, node, OHWI)?;
    let channels = x.dims[3];
    if filter[3] != channels && channels.is_multiple_of(filter[3]) {
        return NodeError::unsupported(format!("{} groups", channels / filter[3]));
    }
    let options = node.options();
    let window = window(&options, &CONV, size, [filter[1], filter[2]])?;
    let op = Op::Conv2d { window, activation: fused(options.i8(CONV_ACTIVATION)?)? };
    emit(importer, node, op, OHWI, filter[0])
}

pub fn depthwise_conv2d(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let size = image_size(importer, &x)?;
    let filter = filter_dims(importer, node, ONE_HWO)?;
    let options = node.options();
    let window = window(&options, &DEPTHWISE, size, [filter[1], filter[2]])?;
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
    let x = importer.activation(node.input(0)?)?;
    let is_float = importer.is_float(x.id);
    let mut inputs: Vec<TensorId> = vec![x.id, add_weights(importer, node.input(1)?, role, is_float)?];
    if let Some(bias) = node.optional(2) {
        inputs.push(add_bias(importer, bias, channels, is_float)?);
    }
    importer.emit_image(node, op, &inputs, x.dims[0])
}
