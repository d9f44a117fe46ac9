//! FULLY_CONNECTED.

use dtmm_graph::Op;

use super::fused;
use super::weights::{Role, add_bias, add_weights, weight_dims};
use crate::dims::element_count;
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

const ACTIVATION: usize = 0;
const WEIGHTS_FORMAT: usize = 1;
const KEEP_NUM_DIMS: usize = 2;
const OI: Role = Role { name: "the weights", axis: 0 };

/// The input is read as rows of as many values as the weights have inputs, whatever its shape.
pub fn fully_connected(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let options = node.options();
    if options.i8(WEIGHTS_FORMAT)? != 0 {
        return NodeError::unsupported("shuffled weights");
    }
    let dims = weight_dims(importer, node.input(1)?, OI)?;
    let [outputs, inputs] = dims[..] else {
        return NodeError::invalid(format!("the weights must be [outputs, inputs], found shape {dims:?}"));
    };
    let total = element_count(&x.dims).unwrap_or(0);
    if !total.is_multiple_of(inputs) {
        return NodeError::invalid(format!("shape {:?} does not divide into rows of {inputs}", x.dims));
    }
    let rows = [total / inputs, inputs];
    let is_float = importer.is_float(x.id);
    let mut operands = vec![x.id];
    if importer.shape(x.id)[3] != inputs {
        let shape = importer.layout(&rows)?.shape();
        operands[0] = importer.reshaped(node, x.id, shape)?;
    }
    operands.push(add_weights(importer, node.input(1)?, OI, is_float)?);
    if let Some(bias) = node.optional(2) {
        operands.push(add_bias(importer, bias, outputs, is_float)?);
    }
    let result = output_dims(&x.dims, rows, outputs, options.bool(KEEP_NUM_DIMS)?)?;
    importer.emit(node, Op::FullyConnected { activation: fused(options.i8(ACTIVATION)?)? }, &operands, result)
}

fn output_dims(x: &[usize], rows: [usize; 2], outputs: usize, keep: bool) -> Result<Vec<usize>, NodeError> {
    match x {
        _ if !keep => Ok(vec![rows[0], outputs]),
        [head @ .., last] if *last == rows[1] => Ok(head.iter().copied().chain([outputs]).collect()),
        _ => NodeError::invalid(format!("keep_num_dims needs a last axis of {}, found shape {x:?}", rows[1])),
    }
}
