//! What the kernels of the cores without vector instructions do: rows of outputs, tiles of four of them, a row buffer of
//! cells. Follows `crates/kernels/src/tiled` and `cortex_m`.

use crate::layer::{Form, Layer, Stored, TAKE, Window};
use crate::work::{Feature, Work};

const LANES: usize = 4;
const BLOCK: usize = 4;

/// A convolution as rows of outputs.
struct Rows {
    window: Window,
    input: [usize; 3],
    /// Outputs of each row but perhaps the last.
    width: usize,
    /// Rows of outputs.
    count: usize,
    /// Outputs of all rows.
    outputs: usize,
}

impl Rows {
    fn new(layer: &Layer) -> Self {
        let (window, input, [h, w, _]) = (layer.window, layer.input(), layer.output);
        if window != Window::POINT || input[..2] != [h, w] {
            return Rows { window, input, width: w, count: h, outputs: h * w };
        }
        let piece = match input[2] {
            0..=64 => 32,
            65..=256 => 16,
            _ => 8,
        };
        let (outputs, width) = (h * w, piece.min(h * w).max(1));
        let count = outputs.div_ceil(width);
        Rows { window, input: [count, width, input[2]], width, count, outputs }
    }

    /// Tiles of all rows: of four neighbouring outputs; of two and two outputs half a row apart; the same, those behind the
    /// last output of a row included.
    fn tiles(&self) -> [usize; 3] {
        let half = self.width.div_ceil(2).next_multiple_of(2);
        let row = |outputs: usize| [outputs.div_ceil(LANES), outputs.min(half).div_ceil(2), half / 2];
        let (whole, rest) = (self.outputs / self.width.max(1), self.outputs % self.width.max(1));
        let (each, last) = (row(self.width), if rest > 0 { row(rest) } else { [0; 3] });
        std::array::from_fn(|i| whole * each[i] + last[i])
    }

    /// Input rows brought into the row buffer: rows of pixels, and rows of padding.
    fn fills(&self) -> [usize; 2] {
        let [kh, _] = self.window.kernel;
        let mut slots = vec![isize::MIN; kh];
        let mut fills = [0; 2];
        for row in 0..self.count {
            let top = (row * self.window.stride[0]) as isize - self.window.padding[0] as isize;
            for ky in 0..kh {
                let at = top + (ky * self.window.dilation[0]) as isize;
                let slot =
                    if self.window.dilation[0] == 1 { at.rem_euclid(kh as isize) as usize } else { ky };
                if slots[slot] != at {
                    slots[slot] = at;
                    fills[usize::from(!(0..self.input[0] as isize).contains(&at))] += 1;
                }
            }
        }
        fills
    }

    /// The planes of one row of pixels with `channels` channels each, of pixels `apart` columns apart where two share a
    /// cell: planes, cells of the fast loop, cells made one by one, cells of padding.
    fn cells(&self, width: usize, channels: usize, outputs: usize, apart: usize) -> [usize; 4] {
        let (stride, pad, c) = (self.window.stride[1].max(1), self.window.padding[1], self.input[2]);
        let reach = (self.window.kernel[1] - 1) * self.window.dilation[1];
        let (phases, cells) = ((reach + 1).min(stride), outputs + reach / stride);
        let mut counts = [0; 4];
        for plane in (0..c.next_multiple_of(BLOCK)).step_by(channels) {
            for phase in 0..phases {
                let fast = if plane + channels <= c {
                    let start = pad.saturating_sub(phase).div_ceil(stride).min(cells);
                    let beyond = (width + pad).saturating_sub(phase + apart * stride);
                    beyond.div_ceil(stride).clamp(start, cells) - start
                } else {
                    0
                };
                let blank = apart == 0 && fast > 0;
                counts[0] += 1;
                counts[1] += fast;
                counts[if blank { 3 } else { 2 }] += cells - fast;
            }
        }
        counts
    }
}

/// A convolution.
pub(crate) fn conv(layer: &Layer, stored: &Stored, work: &mut Work) {
    let rows = Rows::new(layer);
    let (count, filters) = (rows.count as f64, layer.output[2] as f64);
    let channels = rows.input[2];
    fill(&rows, work);
    work.add(Feature::Outputs, layer.pixels() as f64 * filters);
    work.add(Feature::Rows, count);
    work.add(Feature::RowTaps, count * rows.window.positions() as f64);
    work.add(Feature::RowKernelRows, count * rows.window.kernel[0] as f64);
    work.add(Feature::RowFilters, count * filters);
    if !channels.is_multiple_of(BLOCK) || (stored.group < channels && !stored.group.is_multiple_of(BLOCK)) {
        return padded(&rows, filters, stored, work);
    }
    match stored.form {
        Form::Dense => {}
        Form::Bitmap if stored.group >= channels => {
            work.add(Feature::RowWholes, count * stored.bits);
            work.add(Feature::RowRuns, count * stored.runs);
        }
        form => {
            let bits = if form == Form::Bitmap { Feature::RowBits } else { Feature::RowGaps };
            work.add(bits, count * stored.bits);
            work.add(Feature::RowKept, count * stored.kept);
            work.add(Feature::RowPositions, count * filters * rows.window.positions() as f64);
            work.add(Feature::RowRuns, count * stored.runs);
        }
    }
    let blocks = [stored.tailed, stored.blocks, stored.tail_blocks, stored.odd_blocks];
    tiled(&rows, (filters, stored.runs), blocks, work);
}

/// The inner loop: runs and blocks of all filters against each tile.
fn tiled(rows: &Rows, (filters, runs): (f64, f64), blocks: [f64; 4], work: &mut Work) {
    let [tailed, blocks, tail_blocks, odd_blocks] = blocks;
    let [fours, pairs, all] = rows.tiles().map(|n| n as f64);
    work.add(Feature::TileFilters, fours * filters);
    work.add(Feature::TileRuns, fours * runs);
    work.add(Feature::TileTailed, fours * tailed);
    work.add(Feature::TileBlocks, fours * blocks);
    work.add(Feature::TileTailBlocks, fours * tail_blocks);
    work.add(Feature::PairTileFilters, pairs * filters);
    work.add(Feature::PairTileRuns, pairs * runs);
    work.add(Feature::PairTileBlocks, pairs * blocks);
    work.add(Feature::PairTileOddBlocks, pairs * odd_blocks);
    work.add(Feature::IdleTileFilters, (all - pairs) * filters);
    work.add(Feature::IdleTileRuns, (all - pairs) * runs);
    work.add(Feature::IdleTileBlocks, (all - pairs) * blocks);
}

/// Weights that are copied between zeros, so that each position has whole blocks.
fn padded(rows: &Rows, filters: f64, stored: &Stored, work: &mut Work) {
    let count = rows.count as f64;
    let (blocks, positions) = (rows.input[2].div_ceil(BLOCK), rows.window.positions());
    let per = |n: usize| stored.positions * n as f64;
    match stored.form {
        Form::Dense => {}
        Form::Bitmap => work.add(Feature::RowPaddedBits, count * stored.bits),
        Form::Gaps => work.add(Feature::RowGaps, count * stored.bits),
    }
    work.add(Feature::RowPadded, count * filters * (positions * blocks) as f64);
    work.add(Feature::RowPaddedFilters, count * filters);
    work.add(Feature::RowPaddedTails, count * stored.kept_tails);
    work.add(Feature::RowPaddedPositions, count * filters * positions as f64);
    work.add(Feature::RowPaddedRuns, count * stored.kept);
    work.add(Feature::RowPaddedWeights, count * stored.weights);
    work.add(Feature::RowRuns, count * stored.positions);
    let blocks = [usize::from(!blocks.is_multiple_of(4)), blocks, blocks % 4, blocks % 2];
    tiled(rows, (filters, stored.positions), blocks.map(per), work);
}

fn fill(rows: &Rows, work: &mut Work) {
    let fills = rows.fills();
    work.add(Feature::Fills, fills[0] as f64);
    // The last piece of a pointwise convolution may be shorter.
    let rest = if rows.window == Window::POINT { rows.outputs % rows.width.max(1) } else { 0 };
    let whole = fills[0] - usize::from(rest > 0);
    let outputs = rows.width.next_multiple_of(LANES);
    let half = rows.width.div_ceil(2).next_multiple_of(2);
    for (times, width) in [(whole, rows.input[1]), (usize::from(rest > 0), rest)] {
        let times = times as f64;
        let [planes, fast, slow, blank] = rows.cells(width, BLOCK, outputs, 0).map(|n| n as f64);
        work.add(Feature::Planes, times * planes);
        work.add(Feature::Cells, times * fast);
        work.add(Feature::SlowCells, times * slow);
        work.add(Feature::BlankCells, times * blank);
        let [planes, fast, slow, _] = rows.cells(width, 2, half, half).map(|n| n as f64);
        work.add(Feature::PairPlanes, times * planes);
        if rows.window.stride[1] > 1 {
            work.add(Feature::SteppedPlanes, times * planes);
        }
        work.add(Feature::PairCells, times * fast);
        work.add(Feature::SlowPairCells, times * slow);
    }
    let [_, fast, slow, blank] = rows.cells(rows.input[1], BLOCK, outputs, 0).map(|n| n as f64);
    work.add(Feature::BlankCells, fills[1] as f64 * (fast + slow + blank));
}

/// A fully connected layer: rows of inputs, each brought into blocks.
pub(crate) fn fully_connected(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (rows, filters) = (layer.pixels() as f64, layer.output[2] as f64);
    work.add(Feature::Outputs, rows * filters);
    work.add(Feature::Rows, rows);
    work.add(Feature::Prepared, rows * (layer.input()[2] / BLOCK) as f64);
    match stored.form {
        Form::Dense => {}
        Form::Bitmap => work.add(Feature::RowBits, rows * stored.bits),
        Form::Gaps => {
            work.add(Feature::RowGaps, rows * stored.bits);
            work.add(Feature::RowKept, rows * stored.kept);
        }
    }
    // Runs of several at a position are met some at a time, what is left by itself.
    let (channels, group) = (layer.input()[2], stored.group.max(1));
    let several = group < channels && group.is_multiple_of(BLOCK);
    let blocks = group / BLOCK;
    let (runs, rests) = if several { (stored.kept - stored.rests, stored.rests) } else { (0.0, stored.kept) };
    if several {
        work.add(Feature::DotTakes, rows * filters * (channels / group).div_ceil(TAKE) as f64);
        work.add(Feature::DotBusyTakes, rows * stored.busy_takes);
        work.add(Feature::DotRuns, rows * runs);
        work.add(Feature::DotTailed, rows * runs * f64::from(u8::from(!blocks.is_multiple_of(4))));
        work.add(Feature::DotTailBlocks, rows * runs * (blocks % 4) as f64);
    }
    if !several || !channels.is_multiple_of(group) {
        let rest = if several { channels % group } else { group };
        let tailed = f64::from(u8::from(!rest.is_multiple_of(BLOCK)));
        work.add(Feature::DotRests, rows * filters);
        work.add(Feature::DotRestRuns, rows * rests);
        work.add(Feature::DotTailRuns, rows * rests * tailed);
        work.add(Feature::DotTailBlocks, rows * rests * (rest / BLOCK % 4) as f64);
    }
    work.add(Feature::DotBlocks, rows * stored.blocks);
    work.add(Feature::DotTailChannels, rows * stored.tail_channels);
}

/// A depthwise convolution: pixel by pixel, four channels at a time along a list of kernel positions.
pub(crate) fn depthwise(layer: &Layer, work: &mut Work) {
    let ([h, w, c], [oh, ow, oc], window) = (layer.input(), layer.output, layer.window);
    let positions = window.positions();
    let covered = |axis, n: usize, size| (0..n).map(move |i| window.covered(axis, i, size));
    let (rows, columns): (Vec<_>, Vec<_>) = (covered(0, oh, h).collect(), covered(1, ow, w).collect());
    let inside = rows.iter().sum::<usize>() * columns.iter().sum::<usize>();
    let whole = |counts: &[usize], axis: usize| counts.iter().filter(|n| **n == window.kernel[axis]).count();
    let edges = oh * ow - whole(&rows, 0) * whole(&columns, 1);
    let pixels = (oh * ow) as f64;
    work.add(Feature::Outputs, pixels * oc as f64);
    work.add(Feature::Macs, (inside * oc) as f64);
    work.add(Feature::Pixels, pixels);
    work.add(Feature::RowTaps, pixels * positions as f64);
    work.add(Feature::DepthTaps, inside as f64);
    let blocks = (c / BLOCK) as f64;
    work.add(Feature::DepthBlocks, pixels * blocks);
    work.add(Feature::DepthBlockTaps, pixels * blocks * positions as f64);
    work.add(Feature::DepthEdges, edges as f64 * blocks);
    work.add(Feature::DepthEdgePixels, edges as f64);
    work.add(Feature::DepthTailTaps, pixels * (c % BLOCK * positions) as f64);
    work.add(Feature::DepthTails, pixels * (c % BLOCK) as f64);
    work.add(Feature::WindowRows, pixels * (window.kernel[0] * oc) as f64);
    work.add(Feature::WindowTaps, pixels * (positions * oc) as f64);
    work.add(Feature::Prepared, c as f64);
}
