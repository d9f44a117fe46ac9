//! Predicted bytes of one layer's weights and index, the scheduler's price list.
//!
//! The scheduler ranks with these and then corrects itself with the exact size of the whole package, so constants per
//! layer or per filter need not be known here.

use crate::units::{UnitKind, WeightLayout};

/// Bytes of a layer's index when its kept units are marked in a bitmap: one bit per unit, none for a dense layer.
pub(crate) fn index_bytes(layout: &WeightLayout, kind: UnitKind) -> u64 {
    match kind {
        UnitKind::Dense => 0,
        _ => layout.unit_count(kind).div_ceil(8) as u64,
    }
}

/// int8 bytes of a layer's weights and index when `kept` of its weights are stored.
pub fn weight_bytes(layout: &WeightLayout, kind: UnitKind, kept: usize) -> u64 {
    match kind {
        UnitKind::Dense => layout.len() as u64,
        _ => kept as u64 + index_bytes(layout, kind),
    }
}
