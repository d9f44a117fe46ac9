//! From a layer's weights in any storage form to one filter's runs in the row buffer.

use super::engine::{Engine, Filter};
use super::geometry::{BLOCK, Geometry};
use super::index::Index;
use crate::{KernelError, Weights};

/// Weights of neighbouring channels that are stored back to back: the units from the row buffer's start to the run's first
/// block, for the first output, and the number of blocks.
pub(crate) type Run = [u32; 2];

/// Behind a filter's last run. The number of blocks is chosen so that a loop that counts down by fours sees it as
/// negative after it has run out.
pub(crate) const END: Run = [0, 1 << 31];

/// Runs that one filter can have at most, [`END`] included.
#[inline(never)]
pub(crate) const fn max_runs(g: &Geometry, group: usize) -> usize {
    let groups = if group == 0 { 1 } else { g.input.c.div_ceil(group) };
    // Neighbouring groups at one position are one run.
    g.positions().saturating_mul(groups.div_ceil(2)).saturating_add(1)
}

/// Walks a layer's filters.
#[derive(Clone)]
pub(crate) struct Decoder<'a> {
    pub index: Index<'a>,
    /// Channels of a run.
    pub group: usize,
    /// Weights not yet walked over.
    pub weights: &'a [i8],
}

/// Memory that filters are decoded into, and what is the same for all filters of a row.
pub(crate) struct Workspace<'w> {
    pub geometry: &'w Geometry,
    /// The row buffer.
    pub rows: &'w [u32],
    /// For each kernel position, the units from the row buffer's start to its data for channel 0 of the first output.
    pub taps: &'w [u32],
    /// For the runs.
    pub runs: &'w mut [Run],
    /// For weights that need zeros between them; empty when they are used where they are.
    pub padded: &'w mut [i8],
    /// Runs of the filter that was decoded last, and its weights.
    listed: [usize; 2],
    place: Place,
}

impl<'w> Workspace<'w> {
    /// `None` when the row buffer is too short.
    #[inline(always)]
    pub fn new<E: Engine>(
        geometry: &'w Geometry,
        rows: &'w [u32],
        taps: &'w [u32],
        (runs, padded): (&'w mut [Run], &'w mut [i8]),
    ) -> Option<Self> {
        let units = rows.len().wrapping_mul(4) / E::UNIT;
        let limit = units.checked_sub(E::reach(geometry))?;
        let (pitch, block_bits) = (E::pitch(geometry), E::BLOCK.trailing_zeros());
        let last = geometry.blocks.wrapping_sub(1).wrapping_mul(pitch);
        let fits = |tap: &u32| (*tap as usize).wrapping_add(last) <= limit;
        let whole = E::BLOCK > 1 && taps.iter().all(fits);
        let place = Place { pitch, limit, block_bits, whole };
        Some(Workspace { geometry, rows, taps, runs, padded, listed: [0; 2], place })
    }
}

impl<'a> Decoder<'a> {
    /// At the first filter; each has `channels` at each of its `positions`.
    ///
    /// # Errors
    /// When the weights' group is 0 or dense weights have another length than the filters.
    #[inline(never)]
    pub fn new(
        weights: &Weights<'a>,
        [filters, positions, channels]: [usize; 3],
    ) -> Result<Self, KernelError> {
        let (index, group, weights) = match *weights {
            Weights::Dense(w) => (Index::dense(), channels, w),
            Weights::Bitmap { group, bitmap, runs } => (Index::bitmap(bitmap), group, runs),
            Weights::Gaps { group, gaps, runs } => (Index::gaps(gaps), group, runs),
        };
        let all = positions.saturating_mul(channels).saturating_mul(filters);
        if group == 0 || (index.is_dense() && all != weights.len()) {
            return Err(KernelError::ParameterLength);
        }
        Ok(Decoder { index, group, weights })
    }

    /// Takes weights off the front.
    #[inline(always)]
    pub fn take(&mut self, n: usize) -> Option<&'a [i8]> {
        let (weights, rest) = self.weights.split_at_checked(n)?;
        self.weights = rest;
        Some(weights)
    }

    /// The next filter; `None` when the index or the weights end too soon.
    #[inline(always)]
    pub fn filter<'f>(&mut self, w: &'f mut Workspace<'_>) -> Option<Filter<'f>>
    where
        'a: 'f,
    {
        // Dense filters have the same runs.
        let again = self.index.is_dense() && w.listed[0] > 0;
        match (again, w.padded.is_empty()) {
            (true, true) => {}
            (true, false) => self.pad(w)?,
            (false, true) => self.list(w)?,
            (false, false) => self.list_padded(w)?,
        }
        let (geometry, rows, [runs, used]) = (w.geometry, w.rows, w.listed);
        let weights = if w.padded.is_empty() { self.take(used)? } else { w.padded.get(..used)? };
        Some(Filter { geometry, rows, runs: w.runs.get(..runs)?, weights })
    }

    /// Lists the runs of a filter whose weights are used where they are.
    #[inline(never)]
    fn list(&mut self, w: &mut Workspace<'_>) -> Option<()> {
        let channels = w.geometry.input.c;
        // Dense filters are listed once for a row, so that it pays to look which positions are neighbours.
        let whole = self.group >= channels && w.place.whole && !self.index.is_dense();
        w.listed = if whole {
            let runs = list_positions(&mut self.index, w.taps, channels >> w.place.block_bits, w.runs)?;
            [runs, runs.wrapping_sub(1).wrapping_mul(channels)]
        } else {
            self.list_groups(w)?
        };
        Some(())
    }

    /// Lists the stored ones of a filter's groups, neighbours as one run; the number of runs and of weights. `None` when a
    /// position leaves the row buffer.
    #[inline(always)]
    fn list_groups(&mut self, w: &mut Workspace<'_>) -> Option<[usize; 2]> {
        let Place { pitch, limit, block_bits, .. } = w.place;
        // In blocks.
        let (all, group) = (w.geometry.input.c >> block_bits, self.group >> block_bits);
        let groups = all.div_ceil(group.max(1)).max(1);
        let (runs, mut used) = (w.runs.len(), 0usize);
        let mut free = w.runs.iter_mut();
        let (mut last, mut end) = (&mut END.clone(), usize::MAX);
        for tap in w.taps {
            if all.wrapping_sub(1).wrapping_mul(pitch).wrapping_add(*tap as usize) > limit {
                return None;
            }
            let (mut left, mut first) = (groups, 0usize);
            while left > 0 {
                let (mut bits, n) = self.index.take(left)?;
                left = left.wrapping_sub(n);
                let behind = group.wrapping_mul(n).wrapping_add(first);
                while bits != 0 {
                    let absent = bits.trailing_zeros();
                    bits >>= absent & 31;
                    first = group.wrapping_mul(absent as usize).wrapping_add(first);
                    let stored = bits.trailing_ones();
                    bits = bits >> (stored.wrapping_sub(1) & 31) >> 1;
                    // The last group may be shorter.
                    let next = group.wrapping_mul(stored as usize).wrapping_add(first);
                    let len = next.min(all).wrapping_sub(first);
                    let offset = first.wrapping_mul(pitch).wrapping_add(*tap as usize);
                    if offset == end {
                        last[1] = last[1].wrapping_add(len as u32);
                    } else {
                        last = free.next()?;
                        *last = [offset as u32, len as u32];
                    }
                    end = len.wrapping_mul(pitch).wrapping_add(offset);
                    (used, first) = (used.wrapping_add(len), next);
                }
                first = behind;
            }
        }
        *free.next()? = END;
        Some([runs.wrapping_sub(free.len()), used << block_bits])
    }

    /// Lists the positions of a filter at which a group is stored, and copies their weights between zeros.
    #[inline(never)]
    fn list_padded(&mut self, w: &mut Workspace<'_>) -> Option<()> {
        let (channels, blocks) = (w.geometry.input.c, w.geometry.blocks);
        let (runs, mut used) = (w.runs.len(), 0usize);
        let mut free = w.runs.iter_mut();
        if !w.place.whole {
            return None;
        }
        for tap in w.taps {
            let (mut position, mut from): (&mut [i8], _) = (&mut [], 0usize);
            while from < channels {
                let len = self.group.min(channels.wrapping_sub(from));
                let (bits, _) = self.index.take(1)?;
                if bits != 0 {
                    if position.is_empty() {
                        *free.next()? = [*tap, blocks as u32];
                        position = w.padded.get_mut(used..)?.get_mut(..blocks.wrapping_mul(BLOCK))?;
                        used = used.wrapping_add(position.len());
                        pad(position.get_mut(..from)?, &[]);
                    }
                    // Weights that come later overwrite the zeros behind these.
                    pad(position.get_mut(from..)?, self.take(len)?);
                }
                from = from.wrapping_add(len);
            }
        }
        *free.next()? = END;
        w.listed = [runs.wrapping_sub(free.len()), used];
        Some(())
    }

    /// Copies the weights of a dense filter between zeros, and takes them.
    #[inline(never)]
    fn pad(&mut self, w: &mut Workspace<'_>) -> Option<()> {
        let (channels, step) = (w.geometry.input.c, w.geometry.blocks.wrapping_mul(BLOCK).max(1));
        for to in w.padded.chunks_exact_mut(step) {
            pad(to, self.take(channels)?);
        }
        Some(())
    }
}

/// Copies a run; zeros follow it.
#[inline(never)]
fn pad(to: &mut [i8], run: &[i8]) {
    for (i, to) in to.iter_mut().enumerate() {
        *to = run.get(i).copied().unwrap_or(0);
    }
}

/// Lists the stored ones of a filter's positions, which all lie inside the row buffer; the number of runs.
#[inline(always)]
fn list_positions(index: &mut Index<'_>, taps: &[u32], blocks: usize, runs: &mut [Run]) -> Option<usize> {
    let all = runs.len();
    let mut free = runs.iter_mut();
    let mut taps = taps;
    while !taps.is_empty() {
        let (mut bits, n) = index.take(taps.len())?;
        while bits != 0 {
            let tap = taps.get(bits.trailing_zeros() as usize)?;
            *free.next()? = [*tap, blocks as u32];
            bits &= bits.wrapping_sub(1);
        }
        taps = taps.get(n..)?;
    }
    *free.next()? = END;
    Some(all.wrapping_sub(free.len()))
}

/// What decides whether two runs are neighbours and whether a run lies inside the row buffer.
#[derive(Clone, Copy)]
struct Place {
    /// Units from block to block.
    pitch: usize,
    /// The last unit at which a block may start.
    limit: usize,
    /// Logarithm of the channels of a block.
    block_bits: u32,
    /// True when whole positions are runs of their own that lie inside it.
    whole: bool,
}
