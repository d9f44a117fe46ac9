//! FWCS: filterlet weight compressed storage.
//!
//! A filter is cut into *runs*: at each kernel position, the input channels in groups of `group`, the last one
//! shorter when `group` does not divide the channels. A layer stores only the runs that survived pruning, back to
//! back in filter order (filter, row, column, group), and an index that says which ones they are. Two forms:
//!
//! - **Bitmap**: one bit per run in the same order, least significant bit first, packed over the whole layer (no
//!   padding per filter); 1 = stored. Unused bits of the last byte are 0.
//! - **Gaps**: a byte sequence. A byte `g < 255` skips `g` runs that are not stored, then one run is stored;
//!   `255` skips 255 runs. Runs after the last stored one are not stored. Smaller than the bitmap when fewer than
//!   about one run in eight survives.

/// The run index of one layer: which runs exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunShape {
    /// Filters (output channels).
    pub filters: usize,
    /// Kernel positions, height · width; 1 for fully connected layers.
    pub positions: usize,
    /// Input channels.
    pub channels: usize,
    /// Channels of a full run, 1..=channels.
    pub group: usize,
}

impl RunShape {
    /// Runs at one kernel position. 0 when `group` is 0.
    pub const fn groups(&self) -> usize {
        if self.group == 0 { 0 } else { self.channels.div_ceil(self.group) }
    }

    /// Runs of the whole layer, saturating.
    pub const fn runs(&self) -> usize {
        self.filters.saturating_mul(self.positions).saturating_mul(self.groups())
    }

    /// Weights of run number `run` (in filter order).
    pub const fn run_len(&self, run: usize) -> usize {
        let groups = self.groups();
        if groups == 0 {
            return 0;
        }
        let first = (run % groups).saturating_mul(self.group);
        let rest = self.channels.saturating_sub(first);
        if rest < self.group { rest } else { self.group }
    }
}

/// Bytes of the weights of a dense layer.
pub const fn dense_len(filters: usize, positions: usize, channels: usize) -> usize {
    filters.saturating_mul(positions).saturating_mul(channels)
}

/// Bytes of a layer's bitmap.
pub const fn bitmap_bytes(shape: &RunShape) -> usize {
    shape.runs().div_ceil(8)
}

/// Bytes of a layer in bitmap form, index and weights, when all surviving runs together have `kept_weights` weights.
pub const fn fwcs_len(shape: &RunShape, kept_weights: usize) -> usize {
    bitmap_bytes(shape).saturating_add(kept_weights)
}

/// Bytes of the gap index of runs that are stored where `kept` yields true.
pub fn gap_bytes(kept: impl IntoIterator<Item = bool>) -> usize {
    let (mut bytes, mut gap) = (0usize, 0usize);
    for stored in kept {
        if stored {
            bytes += gap / 255 + 1;
            gap = 0;
        } else {
            gap += 1;
        }
    }
    bytes
}

/// Total weights of the runs that are stored where `kept` yields true.
pub fn kept_weights(shape: &RunShape, kept: impl IntoIterator<Item = bool>) -> usize {
    kept.into_iter().enumerate().map(|(run, stored)| if stored { shape.run_len(run) } else { 0 }).sum()
}

/// Writes the bitmap of `kept` into `out`, which has [`bitmap_bytes`]; bits beyond it are dropped.
pub fn write_bitmap(kept: impl IntoIterator<Item = bool>, out: &mut [u8]) {
    out.fill(0);
    for (run, _) in kept.into_iter().enumerate().filter(|(_, stored)| *stored) {
        if let Some(byte) = out.get_mut(run / 8) {
            *byte |= 1 << (run % 8);
        }
    }
}

/// Passes the gap index of `kept` to `push`, byte by byte; [`gap_bytes`] of them.
pub fn write_gaps(kept: impl IntoIterator<Item = bool>, mut push: impl FnMut(u8)) {
    let mut gap = 0u32;
    for stored in kept {
        if !stored {
            gap += 1;
            continue;
        }
        while gap >= 255 {
            push(255);
            gap -= 255;
        }
        push(gap as u8);
        gap = 0;
    }
}

/// Yields for each run of a layer in bitmap form whether it is stored; `runs` items.
pub fn bitmap_runs(bitmap: &[u8], runs: usize) -> impl Iterator<Item = bool> {
    bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).take(runs)
}

/// Yields the number of each stored run of a layer in gap form, ascending.
pub fn gap_runs(gaps: &[u8]) -> impl Iterator<Item = usize> {
    let mut next = 0usize;
    gaps.iter().filter_map(move |&gap| {
        next = next.saturating_add(usize::from(gap));
        (gap < 255).then(|| {
            next = next.saturating_add(1);
            next - 1
        })
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_3x3_filter_costs_nine_bits() {
        let shape = RunShape { filters: 64, positions: 9, channels: 32, group: 32 };
        assert_eq!(bitmap_bytes(&shape), 64 * 9 / 8);
        let shape = RunShape { filters: 3, positions: 1, channels: 10, group: 4 };
        assert_eq!((shape.runs(), shape.run_len(4), shape.run_len(5)), (9, 4, 2));
    }

    #[test]
    fn gaps_are_smaller_below_one_run_in_eight() {
        let kept = (0..900).map(|i| i % 10 == 0);
        assert!(gap_bytes(kept) < 900usize.div_ceil(8));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

        #[test]
        fn both_indexes_give_back_what_was_kept(
            kept in prop::collection::vec(prop::bool::weighted(0.02), 0..2000),
        ) {
            let mut bitmap = std::vec![0xAA; kept.len().div_ceil(8)];
            write_bitmap(kept.iter().copied(), &mut bitmap);
            prop_assert_eq!(&bitmap_runs(&bitmap, kept.len()).collect::<Vec<_>>(), &kept);

            let mut gaps = Vec::new();
            write_gaps(kept.iter().copied(), |b| gaps.push(b));
            prop_assert_eq!(gaps.len(), gap_bytes(kept.iter().copied()));
            let expected: Vec<usize> = (0..kept.len()).filter(|&i| kept[i]).collect();
            prop_assert_eq!(gap_runs(&gaps).collect::<Vec<_>>(), expected);
        }

        /// The bound that the project promises: positions · channels / group bits per filter, plus a constant.
        #[test]
        fn index_overhead_is_bounded(filters in 1usize..200, positions in 1usize..26, groups in 1usize..20, group in 1usize..33) {
            let shape = RunShape { filters, positions, channels: groups * group, group };
            let bits = filters * positions * groups;
            prop_assert!(8 * bitmap_bytes(&shape) <= bits + 7);
        }
    }
}
