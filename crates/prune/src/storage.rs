//! Predicted bytes of one layer's weights and index, the scheduler's price list.
//!
//! The scheduler ranks with these and then corrects itself with the exact size of the whole package, so alignment and
//! constants per layer need not be known here.

use crate::plan::Index;
use crate::units::{UnitKind, WeightLayout};

/// int8 bytes that one filter costs besides its weights: bias, multiplier, shift.
pub(crate) const FILTER_BYTES: f64 = 9.0;

/// Bytes of a package layer's index that do not depend on what is kept. (A gap index spends one more byte for every 255 runs
/// in a row that are not stored; that is left to the exact size.)
pub(crate) fn fixed_index_bytes(layout: &WeightLayout, kind: UnitKind, index: Index) -> u64 {
    match index {
        Index::Bitmap => layout.unit_count(kind).div_ceil(8) as u64,
        _ => 0,
    }
}

/// Bytes of a package layer's index for each kept unit.
pub(crate) fn unit_index_bytes(index: Index) -> u64 {
    match index {
        Index::Gaps => 1,
        _ => 0,
    }
}
