//! CONCATENATION.

use dtmm_graph::{Activation, Op};

use super::fused;
use crate::dims::normalize_axis;
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

const AXIS: usize = 0;
const ACTIVATION: usize = 1;

pub fn concat(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let options = node.options();
    if fused(options.i8(ACTIVATION)?)? != Activation::None {
        return NodeError::unsupported("a fused activation");
    }
    let mut parts = Vec::new();
    for t in node.inputs() {
        if importer.is_constant(t) {
            return NodeError::unsupported("a constant among run-time inputs");
        }
        parts.push(importer.activation(t)?);
    }
    let Some(first) = parts.first() else { return NodeError::invalid("it has no input") };
    let axis = normalize_axis(i64::from(options.i32(AXIS, 0)?), first.dims.len())?;
    let mut dims = first.dims.clone();
    for part in &parts[1..] {
        let fits =
            part.dims.len() == dims.len() && (0..dims.len()).all(|a| a == axis || part.dims[a] == dims[a]);
        if !fits {
            return NodeError::invalid(format!(
                "shapes {:?} and {:?} do not join along axis {axis}",
                dims, part.dims
            ));
        }
        dims[axis] += part.dims[axis];
    }
    let ids: Vec<_> = parts.iter().map(|p| p.id).collect();
    match importer.layout(&first.dims)?.axis(axis) {
        Some(axis @ 1..=3) => importer.emit(node, Op::Concat { axis }, &ids, dims),
        _ => NodeError::unsupported(format!("axis {axis} of shape {:?}", first.dims)),
    }
}
