//! What fully connected layers do on the cores with vector instructions: the run index is read some runs at a time, and what is
//! stored of them multiplied. Follows `crates/kernels/src/mve/fully_connected.rs`.

use crate::layer::Layer;
use crate::stored::{Form, Stored};
use crate::work::{Feature, Work};

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

/// All rows.
pub(crate) fn fully_connected(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (rows, filters, channels) = (layer.pixels(), layer.output[2], layer.input()[2]);
    if stored.form == Form::Dense {
        let calls = if filters < 4 { filters } else { filters.div_ceil(4) };
        work.add(Feature::Groups, (rows * calls) as f64);
        work.add(Feature::VectorTileVectors, (rows * calls * channels.div_ceil(16)) as f64);
        return;
    }
    let group = stored.group.max(1);
    let rest = channels % group;
    let (rows, all) = (rows as f64, (rows * filters) as f64);
    index(rows, stored, work);
    let takes = if group >= channels { filters as f64 } else { stored.full_takes };
    work.add(Feature::Takes, rows * takes);
    // Runs of 16 channels are met one by one, others in stretches.
    let tails = if rest > 0 { stored.rests } else { 0.0 };
    if group == 16 {
        work.add(Feature::Sixteens, rows * (stored.kept - tails));
    } else {
        work.add(Feature::VectorTileRuns, rows * (stored.row_runs - tails));
        work.add(Feature::VectorTileVectors, rows * (stored.vectors - tails));
    }
    let busy = if group >= channels { stored.kept } else { stored.busy_takes };
    work.add(Feature::BusyTakes, rows * busy);
    if rest > 0 {
        work.add(Feature::GroupTails, all);
        work.add(Feature::TailRuns, rows * tails);
    }
}
