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
            (false, _) => self.list(w)?,
        }
        let (geometry, rows, [runs, used]) = (w.geometry, w.rows, w.listed);
        let weights = if w.padded.is_empty() { self.take(used)? } else { w.padded.get(..used)? };
        Some(Filter { geometry, rows, runs: w.runs.get(..runs)?, weights })
    }

    /// Lists the runs of a filter. Weights that need zeros between them are taken and copied.
    #[inline(never)]
    fn list(&mut self, w: &mut Workspace<'_>) -> Option<()> {
        let channels = w.geometry.input.c;
        // Dense filters are listed once for a row, so that it pays to look which positions are neighbours.
        let whole = self.group >= channels && w.place.whole && !self.index.is_dense();
        w.listed = if whole && w.padded.is_empty() {
            let runs = list_positions(&mut self.index, w.taps, channels >> w.place.block_bits, w.runs)?;
            [runs, runs.wrapping_sub(1).wrapping_mul(channels)]
        } else {
            self.list_groups(w)?
        };
        Some(())
    }

    /// Lists the stored ones of a filter's groups; the number of runs and of weights.
    #[inline(always)]
    fn list_groups(&mut self, w: &mut Workspace<'_>) -> Option<[usize; 2]> {
        let (channels, group) = (w.geometry.input.c, self.group);
        let mut list = List { len: 0, end: usize::MAX };
        let (groups, mut used) = (channels.div_ceil(group.max(1)).max(1), 0usize);
        let mut left = groups.wrapping_mul(w.taps.len());
        let mut taps = w.taps.iter();
        // The next group, counted from the first one at position `tap`.
        let (mut tap, mut at) = (*taps.next()?, 0usize);
        while left > 0 {
            let (mut bits, n) = self.index.take(left)?;
            left = left.wrapping_sub(n);
            let mut behind = at.wrapping_add(n);
            while bits != 0 {
                let absent = bits.trailing_zeros();
                bits >>= absent & 31;
                at = at.wrapping_add(absent as usize);
                while at >= groups {
                    (tap, at, behind) = (*taps.next()?, at.wrapping_sub(groups), behind.wrapping_sub(groups));
                }
                // Neighbouring groups are one run.
                let stored = (bits.trailing_ones() as usize).min(groups.wrapping_sub(at));
                let channel = at.wrapping_mul(group);
                let len = group.wrapping_mul(stored).min(channels.wrapping_sub(channel));
                if w.padded.is_empty() {
                    let offset = (channel >> w.place.block_bits).wrapping_mul(w.place.pitch);
                    list.push(w, offset.wrapping_add(tap as usize), len >> w.place.block_bits)?;
                    used = used.wrapping_add(len);
                } else {
                    let step = w.geometry.blocks.wrapping_mul(BLOCK);
                    if list.place(w, tap)? {
                        pad(w.padded.get_mut(used..)?.get_mut(..channel)?, &[]);
                        used = used.wrapping_add(step);
                    }
                    let first = used.wrapping_sub(step).wrapping_add(channel);
                    // Weights that come later overwrite the zeros.
                    pad(w.padded.get_mut(first..used)?, self.take(len)?);
                }
                at = at.wrapping_add(stored);
                bits = bits >> (stored.wrapping_sub(1) & 31) >> 1;
            }
            at = behind;
        }
        *w.runs.get_mut(list.len)? = END;
        Some([list.len.wrapping_add(1), used])
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

/// The runs of a filter so far.
struct List {
    len: usize,
    /// Where a run would start that continues the last one.
    end: usize,
}

impl List {
    /// Adds a run, or makes the last one longer; `None` when it leaves the row buffer or there are too many.
    #[inline(always)]
    fn push(&mut self, w: &mut Workspace<'_>, offset: usize, blocks: usize) -> Option<()> {
        let end = blocks.wrapping_mul(w.place.pitch).wrapping_add(offset);
        if end.wrapping_sub(w.place.pitch) > w.place.limit {
            return None;
        }
        if self.end == offset {
            let last = w.runs.get_mut(self.len.wrapping_sub(1))?;
            last[1] = last[1].wrapping_add(blocks as u32);
        } else {
            *w.runs.get_mut(self.len)? = [offset as u32, blocks as u32];
            self.len = self.len.wrapping_add(1);
        }
        self.end = end;
        Some(())
    }

    /// Adds the run of a whole position whose weights are copied between zeros; true for the first call at `tap`. `None` when
    /// runs may leave the row buffer or there are too many.
    #[inline(never)]
    fn place(&mut self, w: &mut Workspace<'_>, tap: u32) -> Option<bool> {
        let new = self.end != tap as usize;
        if new {
            let free = w.runs.get_mut(self.len).filter(|_| w.place.whole)?;
            *free = [tap, w.geometry.blocks as u32];
            (self.len, self.end) = (self.len.wrapping_add(1), tap as usize);
        }
        Some(new)
    }
}
