//! MEAN and REDUCE_MAX.

use dtmm_graph::{Activation as Fused, Op, Window};

use crate::dims::normalize_axis;
use crate::error::NodeError;
use crate::importer::{Activation, Importer, NodeView};

const KEEP_DIMS: usize = 0;

pub fn mean(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let (x, axes, dims) = reduction(importer, node)?;
    if axes.is_empty() {
        return importer.alias(node, 0, x.id, dims);
    }
    importer.emit(node, Op::Mean { axes }, &[x.id], dims)
}

/// The maximum over height and width is a max-pool over the whole image.
pub fn reduce_max(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let (x, axes, dims) = reduction(importer, node)?;
    if axes.contains(&3) {
        return NodeError::unsupported("a maximum over channels");
    }
    let shape = importer.shape(x.id);
    let kernel = [1, 2].map(|a| if axes.contains(&a) { shape[a] } else { 1 });
    let op = Op::MaxPool { window: Window::new(kernel), activation: Fused::None };
    importer.emit(node, op, &[x.id], dims)
}

/// Input, reduced NHWC axes (those longer than 1), output shape.
fn reduction(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
) -> Result<(Activation, Vec<usize>, Vec<usize>), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let layout = importer.layout(&x.dims)?;
    let mut reduced = vec![false; x.dims.len()];
    for axis in importer.index(node.input(1)?, "its axes")? {
        reduced[normalize_axis(axis, x.dims.len())?] = true;
    }
    let mut axes = Vec::new();
    for (axis, _) in reduced.iter().enumerate().filter(|&(a, &r)| r && x.dims[a] > 1) {
        match layout.axis(axis) {
            Some(nhwc @ 1..=3) => axes.push(nhwc),
            _ => return NodeError::unsupported(format!("reducing axis {axis} of shape {:?}", x.dims)),
        }
    }
    axes.sort_unstable();
    let keep = node.options().bool(KEEP_DIMS)?;
    let dims = x.dims.iter().zip(&reduced).filter_map(|(&d, &r)| if r { keep.then_some(1) } else { Some(d) });
    let dims = dims.collect();
    Ok((x, axes, dims))
}
