//! MAX_POOL_2D and AVERAGE_POOL_2D.

use dtmm_graph::{Activation, Op, Window};

use super::fused;
use super::window::{Fields, image_size, step, window};
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

const POOL: Fields = Fields { padding: 0, stride_w: 1, stride_h: 2, dilation: None };
const FILTER_WIDTH: usize = 3;
const FILTER_HEIGHT: usize = 4;
const ACTIVATION: usize = 5;

pub fn max_pool(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    pool(importer, node, |window, activation| Op::MaxPool { window, activation })
}

pub fn average_pool(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    pool(importer, node, |window, activation| Op::AveragePool {
        window,
        count_include_pad: false,
        activation,
    })
}

fn pool(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    op: fn(Window, Activation) -> Op,
) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let size = image_size(importer, &x)?;
    let options = node.options();
    let kernel = [
        step(options.i32(FILTER_HEIGHT, 0)?, "filter_height")?,
        step(options.i32(FILTER_WIDTH, 0)?, "filter_width")?,
    ];
    let window = window(&options, &POOL, size, kernel)?;
    let op = op(window, fused(options.i8(ACTIVATION)?)?);
    importer.emit_image(node, op, &[x.id], x.dims[0])
}
