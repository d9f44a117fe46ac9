//! ADD, SUB, MUL: of two activations, or of one and a constant.

use dtmm_graph::{Activation, Op, TensorId};

use super::fused;
use super::weights::add_operand;
use crate::dims::broadcast;
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

pub fn add(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    binary(importer, node, |activation| Op::Add { activation })
}

pub fn sub(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    binary(importer, node, |activation| Op::Sub { activation })
}

pub fn mul(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    binary(importer, node, |activation| Op::Mul { activation })
}

fn binary(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    op: fn(Activation) -> Op,
) -> Result<(), NodeError> {
    let tensors = [node.input(0)?, node.input(1)?];
    let fixed = tensors.map(|t| importer.is_constant(t));
    // At least one is computed at run time; it says whether constants are float or int8.
    let live = importer.activation(tensors[usize::from(fixed[0])])?;
    let is_float = importer.is_float(live.id);
    let (mut ids, mut dims) = ([live.id; 2], [vec![], vec![]]);
    for i in 0..2 {
        (ids[i], dims[i]) = operand(importer, tensors[i], is_float)?;
    }
    let dims = broadcast(&dims[0], &dims[1])?;
    let op = op(fused(node.options().i8(0)?)?);
    importer.emit(node, op, &ids, dims)
}

fn operand(
    importer: &mut Importer<'_>,
    t: usize,
    is_float: bool,
) -> Result<(TensorId, Vec<usize>), NodeError> {
    if importer.is_constant(t) {
        let dims = importer.required(t, "the operand")?.dims;
        return Ok((add_operand(importer, t, is_float)?, dims));
    }
    let x = importer.activation(t)?;
    Ok((x.id, x.dims))
}
