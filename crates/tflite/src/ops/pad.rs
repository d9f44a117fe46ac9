//! PAD and PADV2.

use dtmm_graph::Op;

use crate::error::NodeError;
use crate::importer::{Importer, NodeView};
use crate::quantization::quant_params;

/// Elements along one axis, at most: enough for any image.
const MAX_PADDING: i64 = 1 << 16;

pub fn pad(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let amounts = importer.index(node.input(1)?, "the padding")?;
    let value = padding_value(importer, node)?;
    if amounts.len() != 2 * x.dims.len() || amounts.iter().any(|p| !(0..=MAX_PADDING).contains(p)) {
        return NodeError::invalid(format!("padding {amounts:?} does not fit shape {:?}", x.dims));
    }
    let layout = importer.layout(&x.dims)?;
    let (mut before, mut after, mut dims) = ([0; 4], [0; 4], x.dims.clone());
    for (axis, pair) in amounts.as_chunks::<2>().0.iter().enumerate().filter(|(_, p)| **p != [0, 0]) {
        let Some(nhwc @ 1..=3) = layout.axis(axis) else {
            return NodeError::unsupported(format!("padding axis {axis} of shape {:?}", x.dims));
        };
        (before[nhwc], after[nhwc]) = (pair[0] as usize, pair[1] as usize);
        dims[axis] += before[nhwc] + after[nhwc];
    }
    if dims == x.dims {
        return importer.alias(node, 0, x.id, dims);
    }
    importer.emit(node, Op::Pad { before, after, value }, &[x.id], dims)
}

fn padding_value(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<f32, NodeError> {
    let Some(t) = node.optional(2) else { return Ok(0.0) };
    let quant = quant_params(importer.source(t)?)?;
    let values = importer.required(t, "the padding value")?.dequantize(quant.as_ref())?;
    match values[..] {
        [value] => Ok(value),
        _ => NodeError::invalid(format!("the padding value must be one number, found {}", values.len())),
    }
}
