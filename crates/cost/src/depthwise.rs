//! What depthwise convolutions do on the cores without vector instructions.

use crate::Kernel;
use crate::division::Divisions;
use crate::layer::Layer;
use crate::work::{Feature, Work};

const BLOCK: usize = 4;

/// Where the windows of a layer lie.
struct Windows {
    /// Output pixels.
    pixels: usize,
    /// Kernel positions on pixels, over all outputs.
    inside: usize,
    /// Pixels whose window reaches into padding.
    edges: usize,
}

impl Windows {
    fn new(layer: &Layer) -> Self {
        let ([h, w, _], [oh, ow, _], window) = (layer.input(), layer.output, layer.window);
        let covered = |axis, n: usize, size| (0..n).map(move |i| window.covered(axis, i, size));
        let (rows, columns): (Vec<_>, Vec<_>) = (covered(0, oh, h).collect(), covered(1, ow, w).collect());
        let whole =
            |counts: &[usize], axis: usize| counts.iter().filter(|n| **n == window.kernel[axis]).count();
        Windows {
            pixels: oh * ow,
            inside: rows.iter().sum::<usize>() * columns.iter().sum::<usize>(),
            edges: oh * ow - whole(&rows, 0) * whole(&columns, 1),
        }
    }
}

/// A depthwise convolution.
pub(crate) fn depthwise(layer: &Layer, work: &mut Work) {
    let windows = Windows::new(layer);
    if layer.kernel == Kernel::DepthwiseMultiplied {
        multiplied(layer, &windows, work);
    } else {
        each_channel(layer, &windows, work);
    }
}

/// With a filter for each channel: pixel by pixel, four channels at a time along a list of kernel positions. Follows
/// `crates/kernels/src/cortex_m/depthwise.rs`.
fn each_channel(layer: &Layer, windows: &Windows, work: &mut Work) {
    let (c, positions) = (layer.output[2], layer.window.positions());
    let pixels = windows.pixels as f64;
    work.add(Feature::Pixels, pixels);
    work.add(Feature::WindowLines, pixels * layer.window.kernel[0] as f64);
    work.add(Feature::RowTaps, pixels * positions as f64);
    work.add(Feature::DepthTaps, windows.inside as f64);
    let blocks = (c / BLOCK) as f64;
    work.add(Feature::DepthBlocks, pixels * blocks);
    work.add(Feature::DepthBlockTaps, pixels * blocks * positions as f64);
    work.add(Feature::DepthEdges, windows.edges as f64 * blocks);
    work.add(Feature::DepthEdgePixels, windows.edges as f64);
    work.add(Feature::DepthTailTaps, pixels * (c % BLOCK * positions) as f64);
    work.add(Feature::DepthTails, pixels * (c % BLOCK) as f64);
    work.add(Feature::Prepared, c as f64);
}

/// Filters of a channel with several that the reference kernel sums together.
const TOGETHER: usize = 16;

/// With several filters for each channel: the reference kernel, 16 filters at a time. Follows
/// `crates/kernels/src/reference/depthwise.rs`.
fn multiplied(layer: &Layer, windows: &Windows, work: &mut Work) {
    let ([.., c], [_, ow, filters], positions) = (layer.input(), layer.output, layer.window.positions());
    let (parts, taps) = (filters.div_ceil(TOGETHER), windows.pixels * positions);
    let outside = taps - windows.inside;
    work.add(Feature::Pixels, windows.pixels as f64);
    work.add(Feature::Outputs, (windows.pixels * filters) as f64);
    work.add(Feature::DepthBlocks, (windows.pixels * parts) as f64);
    work.add(Feature::DepthTaps, (windows.inside * parts) as f64);
    work.add(Feature::DepthEdges, (outside * parts) as f64);
    work.add(Feature::Macs, (windows.inside * filters) as f64);
    work.add(Feature::BlankMacs, (outside * filters) as f64);
    Divisions::of(windows.pixels, ow).add_to(work);
    // For the kernel row, which is the position itself where there is one column, and for the column.
    let columns = layer.window.kernel[1];
    let each = (windows.pixels * parts * columns.min(2)) as f64;
    Divisions::of(positions, columns).times(each).add_to(work);
    let multiplier = filters / c.max(1);
    Divisions::of(filters, multiplier).times(windows.inside as f64).add_to(work);
}
