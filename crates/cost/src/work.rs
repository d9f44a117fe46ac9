//! What one call of a kernel does, as counts of what its loops do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Something that a kernel does some number of times in a call. Where the kernels of the scalar cores and those of the
/// vector cores are built differently, each has counts of its own ([`Feature::is_in`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// The call itself.
    Call,
    /// Output elements.
    Outputs,
    /// Multiply-accumulates with stored weights.
    Macs,
    /// Stored runs times output pixels.
    Runs,
    /// Input elements.
    Inputs,
    /// Output pixels.
    Pixels,
    /// Inputs of a call that takes several.
    Operands,
    /// Elements in rows of a border.
    BorderRows,
    /// Other elements of a border.
    BorderColumns,
    /// Output elements where an input is repeated.
    Repeated,
    /// Output pixels where an input is repeated.
    RepeatedPixels,
    /// Vectors of 4 elements of pixels where an input is repeated.
    RepeatedQuads,
    /// Vectors of 16 elements.
    Vectors,
    /// Vectors of 4 elements.
    Quads,
    /// Rows of a window, over all output elements.
    WindowRows,
    /// Elements of a window, over all output elements.
    WindowTaps,
    /// Stretches of elements that are copied, or rows of them.
    Pieces,
    /// Channels behind the last whole four of a pixel or stretch.
    Tails,
    /// Rows of a window, over all output pixels.
    WindowLines,
    /// Pixels of a window, over all output pixels.
    WindowPixels,
    /// Vectors of 16 elements of these.
    WindowVectors,
    /// Rows of a window, over all vectors of 4 elements.
    QuadRows,
    /// Whole fours of channels, over all pixels of all windows.
    TapQuads,
    /// Channels behind those, over all pixels of all windows.
    TapTails,
    /// Stretches of at least four pixels in the rows of windows, over all elements.
    LongStretches,
    /// Whole fours of pixels in stretches.
    StretchFours,
    /// Pixels behind those.
    StretchRests,
    /// Words of memory filled.
    FilledWords,
    /// Bytes of memory filled one by one.
    FilledBytes,
    /// Words read of a bitmap, or bytes behind the last whole one.
    BitReads,
    /// Words that a gap index is made into.
    GapReads,
    /// Stored runs in those.
    GapRuns,

    /// Rows of outputs.
    Rows,
    /// Kernel positions, over all rows of outputs.
    RowTaps,
    /// Input rows brought into the row buffer.
    Fills,
    /// Cells of four channels filled with padding.
    BlankCells,
    /// Filters applied to rows.
    RowFilters,
    /// Filters whose kernel positions are listed whole, over all rows.
    RowWholes,
    /// Takes of the index by those.
    RowWholeTakes,
    /// Kernel positions whose groups are listed, over all rows.
    RowPositions,
    /// Takes of the index by those.
    RowTakes,
    /// Groups whose stored ones are copied between zeros, over all rows.
    RowBits,
    /// Words read of a bitmap, or bytes behind the last whole one, over all rows.
    RowBitReads,
    /// Words that a gap index is made into, over all rows.
    RowGapReads,
    /// Stored runs of a gap index, over all rows.
    RowGaps,
    /// Stretches of stored runs met by takes, over all rows.
    RowPieces,
    /// Runs listed, over all rows.
    RowRuns,
    /// Filters whose weights are copied between zeros, over all rows.
    RowPaddedFilters,
    /// Kernel positions whose weights are copied between zeros, over all rows.
    RowPaddedPositions,
    /// Runs copied between zeros, over all rows.
    RowPaddedRuns,
    /// Weights copied between zeros, over all rows.
    RowPaddedWeights,
    /// Bytes written by those, over all rows.
    RowPadded,
    /// Kernel rows, over all rows of outputs.
    RowKernelRows,
    /// Blocks of four channels made ready.
    Prepared,
    /// Kernel positions of depthwise windows that lie on pixels.
    DepthTaps,
    /// Blocks of four channels of depthwise outputs.
    DepthBlocks,
    /// The same, times kernel positions.
    DepthBlockTaps,
    /// Blocks of depthwise outputs whose window reaches into padding.
    DepthEdges,
    /// Pixels whose window reaches into padding.
    DepthEdgePixels,
    /// Channels behind the last whole block, times kernel positions.
    DepthTailTaps,
    /// Channels behind the last whole block.
    DepthTails,
    /// Multiply-accumulates with padding.
    BlankMacs,

    /// Planes of four channels filled.
    Planes,
    /// Columns of these that lie as many apart as the stride.
    Phases,
    /// Cells of four channels filled by the fast loop.
    Cells,
    /// Filters applied to tiles of four neighbouring outputs.
    TileFilters,
    /// Runs met by such tiles.
    TileRuns,
    /// Runs that are no whole fours of blocks, met by such tiles.
    TileTailed,
    /// Blocks of four channels met by such tiles.
    TileBlocks,
    /// Blocks behind the last whole four of a run.
    TileTailBlocks,
    /// Longer ones.
    DotRuns,
    /// Those that are no whole fours of blocks.
    DotTailed,
    /// Blocks of four channels of the longer ones.
    DotBlocks,
    /// Blocks behind the last whole four of a run.
    DotTailBlocks,

    /// Planes of two channels filled.
    PairPlanes,
    /// Planes of two channels filled from every other pixel.
    SteppedPlanes,
    /// Cells of two channels filled by the fast loop.
    PairCells,
    /// Cells of two channels filled one by one.
    SlowPairCells,
    /// Filters applied to tiles of two and two outputs half a row apart.
    PairTileFilters,
    /// Runs met by such tiles.
    PairTileRuns,
    /// Blocks of four channels met by such tiles.
    PairTileBlocks,
    /// Blocks behind the last whole two of a run.
    PairTileOddBlocks,
    /// Filters applied to tiles behind the last output of a row.
    IdleTileFilters,
    /// Runs met by those.
    IdleTileRuns,
    /// Blocks met by those.
    IdleTileBlocks,
    /// Runs of dot products.
    PairDotRuns,
    /// Blocks of four channels of dot products.
    PairDotBlocks,

    /// Divisions whose quotient is not 0.
    Divisions,
    /// Divisions whose quotient is 0.
    ZeroDivisions,
    /// Bits of quotients that are found one after another.
    DivisionSteps,

    /// Filters decoded.
    VectorFilters,
    /// Filters decoded word by word.
    WordFilters,
    /// Parts of kernel rows whose runs are decoded together.
    VectorParts,
    /// Takes of a bitmap.
    VectorTakes,
    /// Runs looked at one by one.
    VectorBits,
    /// Stored ones of those.
    UnevenRuns,
    /// Takes of a gap index.
    VectorGaps,
    /// Stored runs of a gap index.
    VectorGapKept,
    /// Runs decoded.
    VectorRuns,
    /// Words of four weights decoded one by one.
    VectorWords,
    /// Eights of such words decoded at once.
    WordEights,
    /// Runs that have some.
    LongRuns,
    /// Times that the image is walked.
    Passes,
    /// Patches copied.
    Patches,
    /// Rows of patches copied.
    PatchRows,
    /// Rows of patches filled with padding.
    BlankPatchRows,
    /// Vectors of patches copied.
    PatchVectors,
    /// Tiles of four outputs, over all passes.
    VectorTiles,
    /// Filters applied to tiles.
    VectorTileFilters,
    /// Runs met by tiles.
    VectorTileRuns,
    /// Vectors met by tiles.
    VectorTileVectors,
    /// Vectors of gathered words met by tiles.
    VectorTileWords,
    /// Filters applied to tiles by gathering words.
    WordTileFilters,
    /// Takes of the run index.
    Takes,
    /// Those with a stored run.
    BusyTakes,
    /// Runs of 16 channels met one by one.
    Sixteens,
    /// Blocks of depthwise channels.
    DepthwiseParts,
    /// Kernel positions of depthwise weights turned.
    TurnedWeights,
    /// Vectors of these.
    TurnedWeightVectors,
    /// Vectors of turned weights.
    TurnPlanes,
    /// Depthwise windows turned.
    Windows,
    /// Rows of depthwise windows that are turned by themselves.
    EdgeRows,
    /// Kernel positions of the windows of several pixels that are turned by themselves.
    EdgeColumns,
    /// Parts of depthwise windows turned at once.
    EdgeParts,
    /// What these are cut into where a vector of positions ends.
    EdgePieces,
    /// Kernel positions of depthwise windows turned.
    TurnedTaps,
    /// Vectors of depthwise windows turned.
    TurnedVectors,
    /// Groups of four depthwise channels summed.
    Groups,
    /// The same, times the vectors of a window.
    GroupPlanes,
    /// Groups that do not fill four channels by themselves, and runs of such layers that are shorter than the others.
    GroupTails,
    /// Stored ones of the latter.
    TailRuns,
}

/// How the kernels of a core are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Two outputs in one multiplication, and no instruction that divides: Armv6-M.
    Small,
    /// Two outputs in one multiplication: Armv7-M.
    Pairs,
    /// Two multiplications in one instruction: Armv7E-M, and Armv8-M with DSP instructions.
    Dual,
    /// Vector instructions: Armv8.1-M.
    Vector,
}

impl Feature {
    /// Whether kernels that are built so have this count.
    pub fn is_in(self, view: View) -> bool {
        match self {
            f if f < Feature::Rows => true,
            f if f < Feature::Planes => view != View::Vector,
            f if f < Feature::PairPlanes => view == View::Dual,
            f if f < Feature::Divisions => matches!(view, View::Small | View::Pairs),
            f if f < Feature::VectorFilters => view == View::Small,
            _ => view == View::Vector,
        }
    }
}

/// What one call of a kernel does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    counts: BTreeMap<Feature, f64>,
}

impl Work {
    /// Nothing but the call itself.
    pub fn call() -> Self {
        let mut work = Work::default();
        work.add(Feature::Call, 1.0);
        work
    }

    /// Adds to a count.
    pub fn add(&mut self, feature: Feature, count: f64) {
        if count != 0.0 {
            *self.counts.entry(feature).or_default() += count;
        }
    }

    /// A count.
    pub fn get(&self, feature: Feature) -> f64 {
        self.counts.get(&feature).copied().unwrap_or(0.0)
    }

    /// The counts that are not 0.
    pub fn counts(&self) -> impl Iterator<Item = (Feature, f64)> + '_ {
        self.counts.iter().map(|(f, n)| (*f, *n))
    }
}

impl FromIterator<(Feature, f64)> for Work {
    fn from_iter<I: IntoIterator<Item = (Feature, f64)>>(counts: I) -> Self {
        let mut work = Work::default();
        counts.into_iter().for_each(|(feature, count)| work.add(feature, count));
        work
    }
}
