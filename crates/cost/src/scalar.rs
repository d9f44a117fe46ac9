//! What the kernels of the cores without vector instructions do: rows of outputs, tiles of four of them, a row buffer of
//! cells. Follows `crates/kernels/src/tiled` and `cortex_m`.

use crate::layer::{Layer, Window};
use crate::stored::{Form, Stored, Stretches};
use crate::work::{Feature, Work};

const LANES: usize = 4;
const BLOCK: usize = 4;

/// A convolution as rows of outputs.
pub(crate) struct Rows {
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
    pub fn new(layer: &Layer) -> Self {
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

    /// Outputs of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Columns from the first to the last one under a kernel row.
    pub fn reach(&self) -> usize {
        (self.window.kernel[1] - 1) * self.window.dilation[1]
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

    /// The runs that the inner loop meets. Kernel rows that follow each other lie side by side in the row buffer, which a
    /// kernel of one column notices, but for the last row's end: there the buffer begins anew. Under a dilation it never
    /// does.
    fn joined(&self, apart: &Stretches, joined: &Stretches) -> Stretches {
        let [kh, kw] = self.window.kernel;
        match (kw, self.window.dilation[0]) {
            (1, 1) => joined.towards(apart, 1.0 / kh as f64),
            (1, _) => *joined,
            _ => *apart,
        }
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

    /// One row of pixels in cells of four channels: phases of columns, planes of these, cells filled, all cells.
    fn widened(&self, width: usize, outputs: usize) -> [usize; 4] {
        let (stride, pad) = (self.window.stride[1].max(1), self.window.padding[1]);
        let (reach, planes) = (self.reach(), self.input[2].div_ceil(BLOCK));
        let (phases, cells) = ((reach + 1).min(stride), outputs + reach / stride);
        let filled = |phase: usize| {
            let start = pad.saturating_sub(phase).div_ceil(stride);
            (width + pad).saturating_sub(phase).div_ceil(stride).min(cells).saturating_sub(start)
        };
        let filled: usize = (0..phases).map(filled).sum();
        [phases, phases * planes, planes * filled, phases * planes * cells]
    }

    /// The planes of one row of pixels with `channels` channels each, of pixels `apart` columns apart that share a cell:
    /// planes, cells of the fast loop, cells made one by one.
    fn cells(&self, width: usize, channels: usize, outputs: usize, apart: usize) -> [usize; 3] {
        let (stride, pad, c) = (self.window.stride[1].max(1), self.window.padding[1], self.input[2]);
        let reach = self.reach();
        let (phases, cells) = ((reach + 1).min(stride), outputs + reach / stride);
        let mut counts = [0; 3];
        for plane in (0..c.next_multiple_of(BLOCK)).step_by(channels) {
            for phase in 0..phases {
                let fast = if plane + channels <= c {
                    let start = pad.saturating_sub(phase).div_ceil(stride).min(cells);
                    let beyond = (width + pad).saturating_sub(phase + apart * stride);
                    beyond.div_ceil(stride).clamp(start, cells) - start
                } else {
                    0
                };
                counts[0] += 1;
                counts[1] += fast;
                counts[2] += cells - fast;
            }
        }
        counts
    }
}

/// A convolution.
pub(crate) fn conv(layer: &Layer, stored: &Stored, work: &mut Work) {
    let rows = Rows::new(layer);
    let (count, filters) = (rows.count as f64, layer.output[2] as f64);
    fill(&rows, work);
    work.add(Feature::Outputs, layer.pixels() as f64 * filters);
    work.add(Feature::Rows, count);
    work.add(Feature::RowTaps, count * rows.window.positions() as f64);
    work.add(Feature::RowKernelRows, count * rows.window.kernel[0] as f64);
    work.add(Feature::RowFilters, count * filters);
    // Weights of the last channels at a position and of the first ones at the next are one run where the row buffer has
    // them side by side.
    let apart = rows.joined(&stored.runs, &stored.joined);
    let runs = listed(layer, count, (stored, &apart), work);
    tiled(&rows, filters, &runs, work);
}

/// A fully connected layer: each pixel is a row of one output.
pub(crate) fn fully_connected(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (rows, filters) = (layer.pixels() as f64, layer.output[2] as f64);
    work.add(Feature::Outputs, rows * filters);
    work.add(Feature::Rows, rows);
    work.add(Feature::Prepared, rows * layer.input()[2].div_ceil(BLOCK) as f64);
    let runs = listed(layer, rows, (stored, &stored.runs), work);
    work.add(Feature::PairDotRuns, rows * runs.count);
    work.add(Feature::PairDotBlocks, rows * runs.blocks);
    work.add(Feature::DotRuns, rows * runs.count);
    work.add(Feature::DotBlocks, rows * runs.blocks);
    work.add(Feature::DotTailed, rows * runs.tailed);
    work.add(Feature::DotTailBlocks, rows * runs.tail_blocks);
}

/// Listing the runs of all filters for so many rows; the runs that the inner loop meets. `joined` are those of groups,
/// where weights are used where they are.
fn listed(layer: &Layer, rows: f64, (stored, joined): (&Stored, &Stretches), work: &mut Work) -> Stretches {
    let [filters, positions, channels] = layer.dims();
    if !channels.is_multiple_of(BLOCK) || (stored.group < channels && !stored.group.is_multiple_of(BLOCK)) {
        padded(layer, rows, stored, work);
        return stored.padded;
    }
    if stored.form == Form::Dense {
        return *joined;
    }
    index(rows, stored, work);
    // Positions that are listed whole are not looked at.
    if stored.group >= channels {
        work.add(Feature::RowWholes, rows * filters as f64);
        work.add(Feature::RowWholeTakes, rows * stored.takes);
        work.add(Feature::RowRuns, rows * stored.runs.count);
        return stored.runs;
    }
    work.add(Feature::RowPositions, rows * (filters * positions) as f64);
    work.add(Feature::RowTakes, rows * stored.position_takes);
    work.add(Feature::RowPieces, rows * stored.pieces);
    work.add(Feature::RowRuns, rows * joined.count);
    *joined
}

/// Reading the run index for so many rows.
fn index(rows: f64, stored: &Stored, work: &mut Work) {
    if stored.form == Form::Gaps {
        work.add(Feature::RowGapReads, rows * stored.reads);
        work.add(Feature::RowGaps, rows * stored.kept);
    } else {
        work.add(Feature::RowBitReads, rows * stored.reads);
    }
}

/// The inner loop: runs and blocks of all filters against each tile.
fn tiled(rows: &Rows, filters: f64, runs: &Stretches, work: &mut Work) {
    let [fours, pairs, all] = rows.tiles().map(|n| n as f64);
    work.add(Feature::TileFilters, fours * filters);
    work.add(Feature::TileRuns, fours * runs.count);
    work.add(Feature::TileTailed, fours * runs.tailed);
    work.add(Feature::TileBlocks, fours * runs.blocks);
    work.add(Feature::TileTailBlocks, fours * runs.tail_blocks);
    work.add(Feature::PairTileFilters, pairs * filters);
    work.add(Feature::PairTileRuns, pairs * runs.count);
    work.add(Feature::PairTileBlocks, pairs * runs.blocks);
    work.add(Feature::PairTileOddBlocks, pairs * runs.odd_blocks);
    work.add(Feature::IdleTileFilters, (all - pairs) * filters);
    work.add(Feature::IdleTileRuns, (all - pairs) * runs.count);
    work.add(Feature::IdleTileBlocks, (all - pairs) * runs.blocks);
}

/// Weights that are copied between zeros, so that each position has whole blocks; for so many rows.
fn padded(layer: &Layer, rows: f64, stored: &Stored, work: &mut Work) {
    let [filters, positions, channels] = layer.dims();
    let (all, one) = ((filters * positions) as f64, (filters.min(1) * positions) as f64);
    work.add(Feature::RowPaddedFilters, rows * filters as f64);
    work.add(Feature::RowPaddedWeights, rows * stored.weights);
    if stored.form == Form::Dense {
        // Those of a row's first filter are listed, the others lie as they do.
        work.add(Feature::RowPositions, rows * one);
        work.add(Feature::RowPaddedPositions, rows * all);
        work.add(Feature::RowPadded, rows * all * channels.next_multiple_of(BLOCK) as f64);
        return;
    }
    index(rows, stored, work);
    work.add(Feature::RowPositions, rows * all);
    work.add(Feature::RowBits, rows * stored.bits);
    work.add(Feature::RowPaddedPositions, rows * stored.padded.count);
    work.add(Feature::RowPaddedRuns, rows * stored.kept);
    work.add(Feature::RowPadded, rows * stored.padding);
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
        let [phases, planes, cells, _] = rows.widened(width, outputs).map(|n| n as f64);
        work.add(Feature::Phases, times * phases);
        work.add(Feature::Planes, times * planes);
        work.add(Feature::Cells, times * cells);
        let [planes, fast, slow] = rows.cells(width, 2, half, half).map(|n| n as f64);
        work.add(Feature::PairPlanes, times * planes);
        if rows.window.stride[1] > 1 {
            work.add(Feature::SteppedPlanes, times * planes);
        }
        work.add(Feature::PairCells, times * fast);
        work.add(Feature::SlowPairCells, times * slow);
    }
    // All rows are padding at first.
    let [.., all] = rows.widened(rows.input[1], outputs);
    work.add(Feature::BlankCells, ((fills[1] + rows.window.kernel[0]) * all) as f64);
}
