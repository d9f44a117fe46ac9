//! What fully connected layers do: the run index is read some runs at a time, and what is stored of them multiplied.

use crate::layer::Layer;
use crate::stored::{Form, Stored};
use crate::work::{Feature, Work};

const BLOCK: usize = 4;

/// How the channels of a filter are cut into runs.
struct Cut {
    /// Runs of full length, of which some are taken at once.
    several: usize,
    /// Channels of what is taken by itself behind them; 0 for none.
    rest: usize,
}

impl Cut {
    fn new(channels: usize, group: usize, several: bool) -> Self {
        match (several, channels / group) {
            (true, several) => Cut { several, rest: channels % group },
            (false, _) => Cut { several: 0, rest: group.min(channels) },
        }
    }
}

/// Reading the run index: once for each row.
fn index(rows: f64, stored: &Stored, work: &mut Work) {
    match stored.form {
        Form::Dense => {}
        Form::Bitmap => work.add(Feature::BitReads, rows * stored.reads),
        Form::Gaps => {
            work.add(Feature::GapReads, rows * stored.reads);
            work.add(Feature::GapRuns, rows * stored.kept);
        }
    }
}

/// On the cores without vector instructions: rows of inputs, each brought into blocks. Follows
/// `crates/kernels/src/tiled/dot.rs`.
pub(crate) fn scalar(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (rows, filters) = (layer.pixels() as f64, layer.output[2] as f64);
    let (channels, group) = (layer.input()[2], stored.group.max(1));
    work.add(Feature::Outputs, rows * filters);
    work.add(Feature::Rows, rows);
    work.add(Feature::Prepared, rows * (channels / BLOCK) as f64);
    if stored.form == Form::Dense && channels.is_multiple_of(BLOCK) {
        return products(rows * filters, channels / BLOCK, work);
    }
    let aligned = group >= channels || group.is_multiple_of(BLOCK);
    let cut = Cut::new(channels, group, aligned && group < channels);
    index(rows, stored, work);
    if cut.several > 0 {
        work.add(Feature::DotTakes, rows * stored.full_takes);
        work.add(Feature::DotBusyTakes, rows * stored.busy_takes);
        work.add(Feature::DotPassed, rows * stored.passed);
        products(rows * (stored.kept - stored.rests), group / BLOCK, work);
    }
    if cut.rest == 0 {
        return;
    }
    let (rests, kept) =
        if cut.several > 0 { (1, stored.rests) } else { (channels.div_ceil(group), stored.kept) };
    work.add(Feature::DotRests, rows * filters * rests as f64);
    work.add(Feature::DotRestRuns, rows * kept);
    if !aligned {
        return work.add(Feature::DotTailChannels, rows * stored.weights);
    }
    if cut.rest >= BLOCK {
        work.add(Feature::DotBusyTakes, rows * kept);
        products(rows * kept, cut.rest / BLOCK, work);
    }
    work.add(Feature::DotTailChannels, rows * stored.kept_tails);
}

/// Runs of so many blocks multiplied.
fn products(runs: f64, blocks: usize, work: &mut Work) {
    let n = blocks as f64;
    work.add(Feature::PairDotRuns, runs);
    work.add(Feature::PairDotBlocks, runs * n);
    if blocks == 1 {
        return work.add(Feature::DotSingles, runs);
    }
    work.add(Feature::DotRuns, runs);
    work.add(Feature::DotBlocks, runs * n);
    work.add(Feature::DotTailed, runs * f64::from(u8::from(!blocks.is_multiple_of(4))));
    work.add(Feature::DotTailBlocks, runs * (blocks % 4) as f64);
}

/// On the cores with vector instructions. Follows `crates/kernels/src/mve/fully_connected.rs`.
pub(crate) fn vector(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (rows, filters, channels) = (layer.pixels(), layer.output[2], layer.input()[2]);
    if stored.form == Form::Dense {
        let calls = if filters < 4 { filters } else { filters.div_ceil(4) };
        work.add(Feature::Groups, (rows * calls) as f64);
        work.add(Feature::VectorTileVectors, (rows * calls * channels.div_ceil(16)) as f64);
        return;
    }
    let group = stored.group.max(1);
    let cut = Cut::new(channels, group, true);
    let (rows, all) = (rows as f64, (rows * filters) as f64);
    index(rows, stored, work);
    let takes = if group >= channels { filters as f64 } else { stored.full_takes };
    work.add(Feature::Takes, rows * takes);
    // Runs of 16 channels are met one by one, others in stretches.
    let tails = if cut.rest > 0 { stored.rests } else { 0.0 };
    if group == 16 {
        work.add(Feature::Sixteens, rows * (stored.kept - tails));
    } else {
        work.add(Feature::VectorTileRuns, rows * (stored.row_runs - tails));
        work.add(Feature::VectorTileVectors, rows * (stored.vectors - tails));
    }
    let busy = if group >= channels { stored.kept } else { stored.busy_takes };
    work.add(Feature::BusyTakes, rows * busy);
    if cut.rest > 0 {
        work.add(Feature::GroupTails, all);
        work.add(Feature::TailRuns, rows * tails);
    }
}
