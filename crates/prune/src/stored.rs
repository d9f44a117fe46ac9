//! Bytes of weights and index as a microcontroller would store them, for methods that the package format has no form for.

use dtmm_graph::{Graph, Masks};
use serde::{Deserialize, Serialize};

use crate::method::Method;
use crate::plan::Index;
use crate::units::{PrunableLayer, WeightLayout, prunable_layers};

/// One layer under a method's own storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLayer {
    /// Name of the node.
    pub name: String,
    /// How the kept weights are marked; [`Index::None`] when the dense weights take fewer bytes.
    pub index: Index,
    /// Bytes of stored weights.
    pub weight_bytes: u64,
    /// Bytes that say where they are.
    pub index_bytes: u64,
    /// Units that the index marks: weights, kernels, groups or filterlets.
    pub units: u64,
}

/// Every layer with weights of a pruned graph in the storage form of `method`, or dense where that is smaller; `None`
/// when the package format has the method's form, so that the package itself is the measure.
///
/// - compressed sparse rows: a weight and one byte of column distance each (a distance above 255 takes a stored zero);
///   a row start of two bytes for each filter, four where a layer keeps 2¹⁶ weights or more;
/// - pattern: four weights, a channel byte and three bits of pattern for each kept 3×3 kernel, a row start for each
///   filter; 1×1 and fully connected layers as compressed sparse rows;
/// - n of four: the n weights of every four input channels, with two bits of position each, whether they are zero or
///   not;
/// - pairs (the paper's): whole filterlets, two bytes each, and two bytes for each filter.
pub fn stored(graph: &Graph, masks: &Masks, method: Method) -> Option<Vec<StoredLayer>> {
    (!method.has_package()).then(|| prunable_layers(graph).iter().map(|l| layer(l, masks, method)).collect())
}

fn layer(layer: &PrunableLayer, masks: &Masks, method: Method) -> StoredLayer {
    let layout = &layer.layout;
    let dense = (Index::None, layout.len() as u64, 0, 0);
    let mask = masks.get(&layer.weights).filter(|m| !layout.depthwise && m.len() == layout.len());
    let sparse = mask.and_then(|mask| form(layout, mask, method));
    let (index, weight_bytes, index_bytes, units) = sparse.filter(|s| s.1 + s.2 < dense.1).unwrap_or(dense);
    StoredLayer { name: layer.name.clone(), index, weight_bytes, index_bytes, units }
}

/// Index, bytes of weights, bytes of index, units.
type Bytes = (Index, u64, u64, u64);

fn form(layout: &WeightLayout, mask: &[bool], method: Method) -> Option<Bytes> {
    match method {
        Method::Unstructured => Some(rows(layout, mask)),
        Method::Pattern if layout.positions == 1 => Some(rows(layout, mask)),
        Method::Pattern => kernels(layout, mask),
        Method::OneInFour | Method::TwoInFour | Method::NInFour => of_four(layout, mask),
        Method::Anneal { .. } => Some(pairs(layout, mask)),
        Method::Lagrangian | Method::Uniform | Method::FilterOnly => None,
    }
}

/// A row start for each filter, wide enough for the last one.
fn row_starts(layout: &WeightLayout, stored: u64) -> u64 {
    layout.filters as u64 * if stored < 1 << 16 { 2 } else { 4 }
}

fn rows(layout: &WeightLayout, mask: &[bool]) -> Bytes {
    const FARTHEST: usize = 255;
    let mut entries = 0u64;
    for row in mask.chunks(layout.positions * layout.channels) {
        let mut last = 0;
        for (column, _) in row.iter().enumerate().filter(|(_, kept)| **kept) {
            entries += 1 + ((column - last) / (FARTHEST + 1)) as u64;
            last = column;
        }
    }
    (Index::Csr, entries, entries + row_starts(layout, entries), entries)
}

/// `None` when a kernel keeps more than a pattern holds.
fn kernels(layout: &WeightLayout, mask: &[bool]) -> Option<Bytes> {
    const PATTERN_WEIGHTS: usize = 4;
    let mut kept = 0u64;
    for (o, c) in (0..layout.filters).flat_map(|o| (0..layout.channels).map(move |c| (o, c))) {
        match (0..layout.positions).filter(|&p| mask[layout.element(o, p, c)]).count() {
            0 => {}
            1..=PATTERN_WEIGHTS => kept += 1,
            _ => return None,
        }
    }
    let channel_and_pattern = (kept * 11).div_ceil(8);
    Some((
        Index::Pattern,
        kept * PATTERN_WEIGHTS as u64,
        channel_and_pattern + row_starts(layout, kept),
        kept,
    ))
}

/// `None` when a group keeps more than two weights.
fn of_four(layout: &WeightLayout, mask: &[bool]) -> Option<Bytes> {
    let groups = || mask.chunks(layout.channels).flat_map(|filterlet| filterlet.chunks(4));
    let n = groups().map(|g| g.iter().filter(|k| **k).count()).max().unwrap_or(0);
    if !(1..=2).contains(&n) {
        return None;
    }
    let weights: usize = groups().map(|g| n.min(g.len())).sum();
    Some((Index::Positions, weights as u64, (weights as u64).div_ceil(4), groups().count() as u64))
}

fn pairs(layout: &WeightLayout, mask: &[bool]) -> Bytes {
    let kept = mask.chunks(layout.channels).filter(|filterlet| filterlet.contains(&true)).count() as u64;
    (Index::Pairs, kept * layout.channels as u64, 2 * kept + 2 * layout.filters as u64, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: WeightLayout = WeightLayout { filters: 2, positions: 9, channels: 64, depthwise: false };

    fn mask(keep: impl Fn(usize) -> bool) -> Vec<bool> {
        (0..LAYOUT.len()).map(keep).collect()
    }

    #[test]
    fn rows_count_weights_distances_and_starts() {
        // Columns 0, 100, ... of rows of 576.
        assert_eq!(rows(&LAYOUT, &mask(|e| e % 576 % 100 == 0)), (Index::Csr, 12, 12 + 4, 12));
        // 300 columns are farther than a byte reaches.
        assert_eq!(rows(&LAYOUT, &mask(|e| e % 576 == 300)), (Index::Csr, 4, 4 + 4, 4));
        let large = WeightLayout { filters: 256, positions: 9, channels: 256, depthwise: false };
        let kept = vec![true; large.len()];
        assert_eq!(rows(&large, &kept).2, large.len() as u64 + 4 * 256);
    }

    #[test]
    fn a_filterlet_costs_its_channels_and_two_bytes() {
        let kept = mask(|e| e / 64 % 3 == 0);
        assert_eq!(pairs(&LAYOUT, &kept), (Index::Pairs, 6 * 64, 12 + 4, 6));
    }

    #[test]
    fn patterns_are_stored_whole() {
        // Position 4 of every even channel: one weight kept, four stored.
        let kept = mask(|e| e / 64 % 9 == 4 && e % 2 == 0);
        assert_eq!(kernels(&LAYOUT, &kept), Some((Index::Pattern, 4 * 64, 88 + 4, 64)));
        assert_eq!(kernels(&LAYOUT, &mask(|_| true)), None);
    }

    #[test]
    fn every_group_of_four_is_stored() {
        let kept = mask(|e| e % 16 == 3);
        assert_eq!(of_four(&LAYOUT, &kept), Some((Index::Positions, 288, 72, 288)));
        assert_eq!(of_four(&LAYOUT, &mask(|e| e % 4 < 3)), None);
    }
}
