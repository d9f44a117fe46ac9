//! The smallest storage form of a layer's weights, by exact byte count.

use dtmm_format::fwcs::{self, RunShape};
use dtmm_format::linear;
use serde::{Deserialize, Serialize};

use crate::program::StoredWeights;

/// How a layer stores its weights; see [`dtmm_format::fwcs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageForm {
    /// All weights.
    Dense,
    /// One bit per run and the surviving runs.
    Bitmap,
    /// One byte per surviving run and the surviving runs.
    Gaps,
}

/// A storage form with its exact sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageChoice {
    /// Storage form.
    pub form: StorageForm,
    /// Channels of a run; 0 for dense.
    pub group: usize,
    /// Bytes of stored weights.
    pub weight_bytes: usize,
    /// Bytes of the run index.
    pub index_bytes: usize,
}

/// Sub-filterlet sizes that are tried beside whole filterlets.
const GROUPS: [usize; 3] = [16, 8, 4];

impl StorageChoice {
    /// All weights of a layer with `[filters, positions, channels]`.
    pub(crate) fn dense([filters, positions, channels]: [usize; 3]) -> Self {
        let weight_bytes = filters * positions * channels;
        StorageChoice { form: StorageForm::Dense, group: 0, weight_bytes, index_bytes: 0 }
    }

    /// Bytes of the record of [`dtmm_format::linear`].
    pub(crate) fn record_len(&self, filters: usize, scales: usize) -> usize {
        linear::record_len(filters, scales, self.weight_bytes, self.index_bytes)
    }

    /// The form with the smallest record; dense, then the bitmap, then larger groups win ties. `kept` tells for each of
    /// `weights`, in OHWI or OI order, whether it must be stored.
    pub(crate) fn smallest<T>(dims: [usize; 3], scales: usize, weights: &[T], kept: fn(&T) -> bool) -> Self {
        let mut best = StorageChoice::dense(dims);
        for choice in StorageChoice::options(dims, weights, kept) {
            if choice.record_len(dims[0], scales) < best.record_len(dims[0], scales) {
                best = choice;
            }
        }
        best
    }

    /// Dense, and both index forms of each run length. `kept` as for the smallest form.
    pub(crate) fn options<T>(dims: [usize; 3], weights: &[T], kept: fn(&T) -> bool) -> Vec<Self> {
        let [filters, positions, channels] = dims;
        let mut options = vec![StorageChoice::dense(dims)];
        let fine = kept_runs(weights, channels, kept);
        for group in groups(channels) {
            let shape = RunShape { filters, positions, channels, group };
            let runs = coarsen(&fine, channels, group);
            let weight_bytes = fwcs::kept_weights(&shape, runs.iter().copied());
            let gaps = fwcs::gap_bytes(runs.iter().copied());
            for (form, index_bytes) in
                [(StorageForm::Bitmap, fwcs::bitmap_bytes(&shape)), (StorageForm::Gaps, gaps)]
            {
                options.push(StorageChoice { form, group, weight_bytes, index_bytes });
            }
        }
        options
    }

    /// Weights and run index in this form; runs of zeros are left out.
    pub(crate) fn store(&self, dims: [usize; 3], weights: &[i8]) -> StoredWeights {
        let [filters, positions, channels] = dims;
        let (form, group) = (Some(self.form), self.group as u32);
        if self.form == StorageForm::Dense {
            return StoredWeights { form, group, values: weights.to_vec(), index: vec![] };
        }
        let shape = RunShape { filters, positions, channels, group: self.group };
        let rows = weights.chunks(channels);
        let runs: Vec<&[i8]> = rows.flat_map(|row| row.chunks(self.group)).collect();
        let kept = || runs.iter().map(|run| run.iter().any(|&w| w != 0));
        let values =
            runs.iter().filter(|run| run.iter().any(|&w| w != 0)).copied().flatten().copied().collect();
        let mut index = vec![];
        if self.form == StorageForm::Bitmap {
            index.resize(fwcs::bitmap_bytes(&shape), 0);
            fwcs::write_bitmap(kept(), &mut index);
        } else {
            fwcs::write_gaps(kept(), |byte| index.push(byte));
        }
        StoredWeights { form, group, values, index }
    }
}

fn groups(channels: usize) -> impl Iterator<Item = usize> {
    std::iter::once(channels).chain(GROUPS.into_iter().filter(move |&g| g < channels))
}

/// Every group of [`groups`] is a multiple of this one, or all channels.
fn finest_group(channels: usize) -> usize {
    channels.min(GROUPS[GROUPS.len() - 1])
}

/// Which of the finest runs must be stored.
fn kept_runs<T>(weights: &[T], channels: usize, kept: fn(&T) -> bool) -> Vec<bool> {
    let group = finest_group(channels);
    let mut runs = Vec::with_capacity(weights.len().div_ceil(group));
    for row in weights.chunks(channels) {
        runs.extend(row.chunks(group).map(|run| run.iter().any(kept)));
    }
    runs
}

/// Joins the finest runs of each kernel position to runs of `group` channels.
fn coarsen(fine: &[bool], channels: usize, group: usize) -> Vec<bool> {
    let unit = finest_group(channels);
    let per_row = channels.div_ceil(unit);
    let joined = group.div_ceil(unit);
    fine.chunks(per_row).flat_map(|row| row.chunks(joined).map(|runs| runs.iter().any(|&k| k))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dense_weights_stay_dense_and_empty_ones_shrink() {
        let dims = [8, 9, 32];
        assert_eq!(StorageChoice::smallest(dims, 8, &[true; 8 * 9 * 32], |k| *k), StorageChoice::dense(dims));
        let none = StorageChoice::smallest(dims, 8, &[false; 8 * 9 * 32], |k| *k);
        assert_eq!((none.form, none.weight_bytes, none.index_bytes), (StorageForm::Gaps, 0, 0));
        let mask: Vec<bool> = (0..8 * 9 * 32).map(|i| i / 32 % 2 == 0).collect();
        let half = StorageChoice::smallest(dims, 8, &mask, |k| *k);
        assert_eq!((half.form, half.group), (StorageForm::Bitmap, 32));
    }

    proptest! {
        #[test]
        fn the_stored_bytes_are_those_counted_and_give_the_weights_back(
            filters in 1usize..6, positions in 1usize..10, channels in 1usize..40, run in 1usize..9, keep in 0u64..u64::MAX,
        ) {
            let dims = [filters, positions, channels];
            let n = filters * positions * channels;
            let weights: Vec<i8> =
                (0..n).map(|i| if keep >> (i / run % 64) & 1 == 1 { (i % 100) as i8 + 1 } else { 0 }).collect();
            let choice = StorageChoice::smallest(dims, filters, &weights, |w| *w != 0);
            let stored = choice.store(dims, &weights);
            prop_assert_eq!((stored.values.len(), stored.index.len()), (choice.weight_bytes, choice.index_bytes));
            prop_assert!(stored.values.len() + stored.index.len() <= n);
            if choice.form == StorageForm::Dense {
                prop_assert_eq!(stored.values, weights);
                return Ok(());
            }
            let shape = RunShape { filters, positions, channels, group: choice.group };
            let kept: Vec<bool> = match choice.form {
                StorageForm::Bitmap => fwcs::bitmap_runs(&stored.index, shape.runs()).collect(),
                _ => {
                    let mut kept = vec![false; shape.runs()];
                    fwcs::gap_runs(&stored.index).for_each(|run| kept[run] = true);
                    kept
                }
            };
            let mut values = stored.values.iter().copied();
            let restored: Vec<i8> = (0..shape.runs())
                .flat_map(|run| {
                    let len = shape.run_len(run);
                    if kept[run] { values.by_ref().take(len).collect() } else { vec![0i8; len] }
                })
                .collect();
            prop_assert_eq!(restored, weights);
        }
    }
}
