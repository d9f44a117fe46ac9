//! The weights, biases and output scaling of Conv2d, DepthwiseConv2d and FullyConnected.
//!
//! With O filters, and Q = 1 when flag bit 0 is set, else Q = O:
//!
//! | bytes | field |
//! |---|---|
//! | 0 | clamp minimum (i8) |
//! | 1 | clamp maximum (i8), at least the minimum |
//! | 2 | flags: bit 0 = one multiplier and shift for all filters |
//! | 3 | reserved |
//! | 4..8 | group (u32): channels of a run; 0 in dense form |
//! | 8..12 | W: bytes of the weights (u32) |
//! | 12..16 | X: bytes of the run index (u32); 0 in dense form |
//! | then 4 · O | biases with the input's zero point folded in (i32) |
//! | then 4 · Q | multipliers (i32), Q31, not negative |
//! | then W | weights (i8): dense OHWI, 1HWO or OI, or the stored runs of [`crate::fwcs`] |
//! | then Q | shifts (i8), -31..=30, positive to the left |
//! | then X | run index (bitmap or gaps) |
//! | then 0..=3 | padding to a multiple of 4 |

use crate::bytes::{Emitter, Reader};
use crate::{Clamp, Storage};

/// Bytes before the arrays.
pub const FIXED_LEN: usize = 16;
/// Flag bit: one multiplier and shift for all filters.
pub const PER_TENSOR: u8 = 1;

/// Bytes of the record, its padding included: `filters` biases, `scales` (1 or `filters`) multipliers and shifts,
/// `weight_bytes` of weights and `index_bytes` of run index.
pub const fn record_len(filters: usize, scales: usize, weight_bytes: usize, index_bytes: usize) -> usize {
    (FIXED_LEN + 4 * filters + 5 * scales + weight_bytes + index_bytes).next_multiple_of(4)
}

/// The weights in one of the storage forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights<'a> {
    /// All weights: OHWI, 1HWO or OI.
    Dense(&'a [i8]),
    /// Stored runs with a bitmap.
    Bitmap {
        /// Channels of a full run.
        group: u32,
        /// One bit per run.
        bitmap: &'a [u8],
        /// The stored runs.
        runs: &'a [i8],
    },
    /// Stored runs with a gap index.
    Gaps {
        /// Channels of a full run.
        group: u32,
        /// One byte per stored run, and more for long gaps.
        gaps: &'a [u8],
        /// The stored runs.
        runs: &'a [i8],
    },
}

impl<'a> Weights<'a> {
    /// The storage form.
    pub const fn storage(&self) -> Storage {
        match self {
            Weights::Dense(_) => Storage::Dense,
            Weights::Bitmap { .. } => Storage::Bitmap,
            Weights::Gaps { .. } => Storage::Gaps,
        }
    }

    /// The weights that are stored.
    pub const fn values(&self) -> &'a [i8] {
        match self {
            Weights::Dense(values) => values,
            Weights::Bitmap { runs, .. } | Weights::Gaps { runs, .. } => runs,
        }
    }

    /// The run index; empty in dense form.
    pub const fn index(&self) -> &'a [u8] {
        match self {
            Weights::Dense(_) => &[],
            Weights::Bitmap { bitmap, .. } => bitmap,
            Weights::Gaps { gaps, .. } => gaps,
        }
    }

    /// Channels of a full run; 0 in dense form.
    pub const fn group(&self) -> u32 {
        match self {
            Weights::Dense(_) => 0,
            Weights::Bitmap { group, .. } | Weights::Gaps { group, .. } => *group,
        }
    }

    /// True when lengths and index fit a layer of these dimensions.
    pub(crate) fn fits(&self, filters: usize, positions: usize, channels: usize) -> bool {
        let (Some(all), group) = (filters.checked_mul(positions), self.group() as usize) else {
            return false;
        };
        if let Weights::Dense(w) = self {
            return all.checked_mul(channels) == Some(w.len());
        }
        if group == 0 || group > channels {
            return false;
        }
        let Some(sum) = &mut Sum::new(all, channels, group) else { return false };
        let is_sound = match self {
            Weights::Bitmap { bitmap, .. } => add_bitmap(bitmap, sum).is_some(),
            _ => add_gaps(self.index(), sum).is_some(),
        };
        is_sound && sum.weights == self.values().len()
    }
}

/// Adds the runs in the bitmap; `None` when it has another length or a bit beyond the last run is set.
fn add_bitmap(bitmap: &[u8], sum: &mut Sum) -> Option<()> {
    if bitmap.len() != sum.runs.div_ceil(8) {
        return None;
    }
    let mut first = 0usize;
    for byte in bitmap {
        let (mut bits, mut run) = (*byte, first);
        while bits != 0 {
            if bits & 1 != 0 {
                sum.add(run)?;
            }
            bits >>= 1;
            run = run.wrapping_add(1);
        }
        first = first.wrapping_add(8);
    }
    Some(())
}

/// Adds the runs in the gap index; `None` when it points beyond the last run.
fn add_gaps(gaps: &[u8], sum: &mut Sum) -> Option<()> {
    let mut run = 0usize;
    for gap in gaps {
        run = run.checked_add(usize::from(*gap))?;
        if *gap < 255 {
            sum.add(run)?;
            run = run.wrapping_add(1);
        }
    }
    Some(())
}

/// Adds up the weights of stored runs.
struct Sum {
    weights: usize,
    runs: usize,
    /// Runs at one kernel position.
    groups: usize,
    group: usize,
    /// Weights of the last one of them.
    last: usize,
}

impl Sum {
    /// For `all` kernel positions of all filters; the group is 1 to `channels`.
    fn new(all: usize, channels: usize, group: usize) -> Option<Self> {
        let groups = channels.div_ceil(group.max(1));
        let runs = all.checked_mul(groups)?;
        let last = channels.wrapping_sub(groups.wrapping_sub(1).wrapping_mul(group));
        Some(Sum { weights: 0, runs, groups, group, last })
    }

    /// `None` when there is no such run.
    #[inline(never)]
    fn add(&mut self, run: usize) -> Option<()> {
        let next = run.checked_add(1).filter(|next| *next <= self.runs)?;
        let len = if next.is_multiple_of(self.groups) { self.last } else { self.group };
        self.weights = self.weights.checked_add(len)?;
        Some(())
    }
}

/// Weights, biases and output scaling. All numbers little-endian as in the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear<'a> {
    /// Clamp of the output.
    pub clamp: Clamp,
    /// One i32 per filter, the input's zero point folded in.
    pub bias: &'a [[u8; 4]],
    /// One Q31 i32 for all filters, or one each.
    pub multiplier: &'a [[u8; 4]],
    /// As many as multipliers; positive to the left.
    pub shift: &'a [i8],
    /// The weights.
    pub weights: Weights<'a>,
}

impl<'a> Linear<'a> {
    /// Bytes of the record, its padding included.
    pub const fn encoded_len(&self) -> usize {
        let weights = self.weights.values().len();
        record_len(self.bias.len(), self.multiplier.len(), weights, self.weights.index().len())
    }

    #[inline(never)]
    pub(crate) fn parse(r: &mut Reader<'a>, storage: Storage, filters: usize) -> Option<Self> {
        let [min, max, flags, _] = r.array()?;
        let clamp = Clamp { min: min.cast_signed(), max: max.cast_signed() };
        let [group, weight_bytes, index_bytes] = r.triple()?;
        let scales = if flags & PER_TENSOR == 0 { filters } else { 1 };
        let bias = r.numbers(filters)?;
        let multiplier = r.numbers(scales)?;
        let values = r.i8s(weight_bytes as usize)?;
        let shift = r.i8s(scales)?;
        let index = r.take(index_bytes as usize)?;
        let weights = match storage {
            Storage::Dense if index.is_empty() && group == 0 => Weights::Dense(values),
            Storage::Dense => return None,
            Storage::Bitmap => Weights::Bitmap { group, bitmap: index, runs: values },
            Storage::Gaps => Weights::Gaps { group, gaps: index, runs: values },
        };
        Some(Linear { clamp, bias, multiplier, shift, weights })
    }

    pub(crate) fn emit(&self, e: &mut Emitter<'_>) -> Option<()> {
        let per_tensor = self.multiplier.len() == 1 && self.bias.len() != 1;
        let (values, index) = (self.weights.values(), self.weights.index());
        e.i8s(&[self.clamp.min, self.clamp.max])?;
        e.bytes(&[if per_tensor { PER_TENSOR } else { 0 }, 0])?;
        e.u32s(&[self.weights.group(), values.len() as u32, index.len() as u32])?;
        e.numbers(self.bias)?;
        e.numbers(self.multiplier)?;
        e.i8s(values)?;
        e.i8s(self.shift)?;
        e.bytes(index)?;
        e.align(4)
    }

    /// The multiplier and shift of filter `o`; `None` when there is no such filter.
    pub fn scale(&self, o: usize) -> Option<(i32, i8)> {
        let at = if self.multiplier.len() == 1 { 0 } else { o };
        Some((i32::from_le_bytes(*self.multiplier.get(at)?), *self.shift.get(at)?))
    }
}
