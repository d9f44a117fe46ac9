//! RESIZE_NEAREST_NEIGHBOR.

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
