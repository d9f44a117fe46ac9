//! RESIZE_NEAREST_NEIGHBOR, and TILE as Keras uses it for the same.

use dtmm_graph::Op;

use super::window::image_size;
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

const ALIGN_CORNERS: usize = 0;
const HALF_PIXEL_CENTERS: usize = 1;
/// Pixels along one axis, at most.
const MAX_SIZE: i64 = 1 << 16;

pub fn resize_nearest(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    image_size(importer, &x)?;
    let size = importer.index(node.input(1)?, "the size")?;
    let [h @ 1..=MAX_SIZE, w @ 1..=MAX_SIZE] = size[..] else {
        return NodeError::invalid(format!("the size must be [height, width], found {size:?}"));
    };
    let options = node.options();
    let op = Op::ResizeNearest {
        size: [h as usize, w as usize],
        align_corners: options.bool(ALIGN_CORNERS)?,
        half_pixel_centers: options.bool(HALF_PIXEL_CENTERS)?,
    };
    importer.emit_image(node, op, &[x.id], x.dims[0])
}

/// TILE of one axis of size 1: what stands behind the axis comes several times, as rows of an enlarged image do.
pub fn tile(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let counts = importer.index(node.input(1)?, "the multiples")?;
    if counts.len() != x.dims.len() || counts.iter().any(|c| !(1..=MAX_SIZE).contains(c)) {
        return NodeError::invalid(format!("multiples {counts:?} of shape {:?}", x.dims));
    }
    let mut repeated = (0..counts.len()).filter(|&i| counts[i] > 1);
    let axis = match (repeated.next(), repeated.next()) {
        (None, _) => return importer.alias(node, 0, x.id, x.dims),
        (Some(axis), None) if axis > 0 && x.dims[axis] == 1 => axis,
        _ => return NodeError::unsupported(format!("multiples {counts:?} of shape {:?}", x.dims)),
    };
    let (count, behind) = (counts[axis] as usize, &x.dims[axis + 1..]);
    let (wide, c) = match behind.split_last() {
        Some((&c, wide)) => (wide.iter().product(), c),
        None => (1, 1),
    };
    let rows = importer.graph.tensor(x.id).len() / (wide * c);
    let image = importer.reshaped(node, x.id, [1, rows, wide, c])?;
    // Half-pixel centres: rounding never takes a neighbour's row.
    let op = Op::ResizeNearest { size: [rows * count, wide], align_corners: false, half_pixel_centers: true };
    let mut dims = x.dims;
    dims[axis] = count;
    importer.emit(node, op, &[image], dims)
}
