//! Predicted bytes of one layer's weights and index, the scheduler's price list.
//!
//! The scheduler ranks with these and then corrects itself with the exact size of the whole package, so alignment and
//! constants per layer need not be known here.

use dtmm_format::fwcs::{RunShape, bitmap_bytes, gap_bytes, kept_weights};
use dtmm_graph::{Graph, Masks};

use crate::plan::Index;
use crate::units::{UnitKind, WeightLayout, prunable_layers};

/// int8 bytes that one filter costs besides its weights: bias, multiplier, shift.
pub(crate) const FILTER_BYTES: f64 = 9.0;

/// Bytes of a layer's index that do not depend on what is kept. (A gap index spends one more byte for every
/// 255 runs in a row that are not stored; that is left to the exact size.)
pub(crate) fn fixed_index_bytes(layout: &WeightLayout, kind: UnitKind, index: Index) -> u64 {
    match index {
        Index::Bitmap => layout.unit_count(kind).div_ceil(8) as u64,
        Index::Pairs => 2 * layout.filters as u64,
        _ => 0,
    }
}

/// Bytes of a layer's index for each kept unit.
pub(crate) fn unit_index_bytes(index: Index) -> u64 {
    match index {
        Index::Gaps => 1,
        Index::Pairs => 2,
        _ => 0,
    }
}

/// Sub-filterlet sizes that the package tries besides whole filterlets.
const GROUPS: [usize; 3] = [4, 8, 16];

/// Bytes of all layers with weights, each in its smallest form: whether a change of the graph makes the package
/// smaller.
pub(crate) fn weight_bytes(graph: &Graph, masks: &Masks) -> u64 {
    let layers = prunable_layers(graph);
    let bytes = |l: &crate::PrunableLayer| {
        let stored = masks.get(&l.weights).filter(|_| !l.layout.depthwise);
        let filters = FILTER_BYTES as usize * l.layout.filters;
        (filters + stored.map_or(l.layout.len(), |mask| smallest(&l.layout, mask))) as u64
    };
    layers.iter().map(bytes).sum()
}

fn smallest(layout: &WeightLayout, mask: &[bool]) -> usize {
    let WeightLayout { filters, positions, channels, .. } = *layout;
    let groups = GROUPS.into_iter().filter(|&g| g < channels).chain([channels]);
    let forms = groups.map(|group| {
        let runs = mask.chunks(channels).flat_map(|f| f.chunks(group)).map(|run| run.contains(&true));
        let kept: Vec<bool> = runs.collect();
        let shape = RunShape { filters, positions, channels, group };
        let index = bitmap_bytes(&shape).min(gap_bytes(kept.iter().copied()));
        index + kept_weights(&shape, kept)
    });
    forms.chain([layout.len()]).min().unwrap_or(0)
}
