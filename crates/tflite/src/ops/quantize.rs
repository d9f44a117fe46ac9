//! QUANTIZE and DEQUANTIZE.

use dtmm_graph::Op;

use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

pub fn quantize(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    importer.emit(node, Op::Quantize, &[x.id], x.dims)
}

pub fn dequantize(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    importer.emit(node, Op::Dequantize, &[x.id], x.dims)
}
