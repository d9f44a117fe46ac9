//! From a layer's weights in any storage form to one filter's runs in the row buffer.

use super::engine::{Engine, Filter};
use super::geometry::{BLOCK, Geometry};
use crate::fwcs::{BitmapRuns, GapRuns};
use crate::{KernelError, Weights};

/// Weights of neighbouring channels that are stored back to back: the units from the row buffer's start to the run's first
/// block, for the first output, and the number of blocks.
pub(crate) type Run = [u32; 2];

/// Behind a filter's last run. The number of blocks is chosen so that a loop that counts down by fours sees it as
/// negative after it has run out.
pub(crate) const END: Run = [0, 1 << 31];

/// Runs that one filter can have at most, [`END`] included.
pub(crate) const fn max_runs(g: &Geometry, group: usize) -> usize {
    let groups = if group == 0 { 1 } else { g.input.c.div_ceil(group) };
    // Neighbouring groups at one position are one run.
    g.positions().saturating_mul(groups.div_ceil(2)).saturating_add(1)
}

/// Where the runs of a layer come from.
#[derive(Clone)]
enum Index<'a> {
    Dense,
    Bitmap(BitmapRuns<'a>),
    Gaps(GapRuns<'a>),
}

impl Iterator for Index<'_> {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        match self {
            Index::Dense => Some(true),
            Index::Bitmap(runs) => runs.next(),
            Index::Gaps(runs) => runs.next(),
        }
    }
}

/// Walks a layer's filters.
#[derive(Clone)]
pub(crate) struct Decoder<'a> {
    index: Index<'a>,
    /// Channels of a run.
    group: usize,
    /// Weights not yet walked over.
    weights: &'a [i8],
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
        let last = (geometry.input.c >> block_bits).wrapping_sub(1).wrapping_mul(pitch);
        let fits = |tap: &u32| (*tap as usize).wrapping_add(last) <= limit;
        let whole = E::BLOCK > 1 && padded.is_empty() && taps.iter().all(fits);
        let place = Place { pitch, limit, block_bits, whole };
        Some(Workspace { geometry, rows, taps, runs, padded, place })
    }
}

impl<'a> Decoder<'a> {
    /// At the first filter.
    ///
    /// # Errors
    /// When the weights' group is 0 or dense weights have another length than the filters.
    #[inline(never)]
    pub fn new(weights: &Weights<'a>, g: &Geometry, filters: usize) -> Result<Self, KernelError> {
        let per_filter = g.positions().saturating_mul(g.input.c);
        Ok(match *weights {
            Weights::Dense(w) if per_filter != 0 && per_filter.checked_mul(filters) == Some(w.len()) => {
                Decoder { index: Index::Dense, group: g.input.c, weights: w }
            }
            Weights::Bitmap { group, bitmap, runs } if group != 0 => {
                Decoder { index: Index::Bitmap(BitmapRuns::new(bitmap)), group, weights: runs }
            }
            Weights::Gaps { group, gaps, runs } if group != 0 => {
                Decoder { index: Index::Gaps(GapRuns::new(gaps)), group, weights: runs }
            }
            _ => return Err(KernelError::ParameterLength),
        })
    }

    /// The next filter; `None` when the index or the weights end too soon. `listed` is the number of runs of the filter
    /// before it in the workspace, 0 for a row's first filter.
    #[inline(always)]
    pub fn filter<'f>(&mut self, w: &'f mut Workspace<'_>, listed: &mut usize) -> Option<Filter<'f>>
    where
        'a: 'f,
    {
        let (geometry, rows) = (w.geometry, w.rows);
        if !w.padded.is_empty() {
            let used = match (&self.index, *listed) {
                // Dense filters have the same runs.
                (Index::Dense, 1..) => self.pad(w)?,
                _ => self.list_padded(w, listed)?,
            };
            let (runs, weights) = (w.runs.get(..*listed)?, w.padded.get(..used)?);
            return Some(Filter { geometry, rows, runs, weights });
        }
        let used = match (&self.index, *listed) {
            // Dense filters have the same runs.
            (Index::Dense, 1..) => w.taps.len().wrapping_mul(geometry.input.c),
            _ => self.list(w, listed)?,
        };
        let (weights, rest) = self.weights.split_at_checked(used)?;
        self.weights = rest;
        Some(Filter { geometry, rows, runs: w.runs.get(..*listed)?, weights })
    }

    /// Lists the runs of a filter whose weights are used where they are; the number of weights.
    #[inline(never)]
    fn list(&mut self, w: &mut Workspace<'_>, listed: &mut usize) -> Option<usize> {
        let channels = w.geometry.input.c;
        let cut = [channels, self.group];
        match &mut self.index {
            Index::Bitmap(index) => {
                // A copy, because what is behind a reference does not stay in registers.
                let mut local = index.clone();
                let used = if self.group >= channels && w.place.whole {
                    *listed = list_positions(&mut local, w.taps, channels >> w.place.block_bits, w.runs)?;
                    listed.wrapping_sub(1).wrapping_mul(channels)
                } else {
                    list_groups(&mut local, w.taps, cut, &w.place, (w.runs, listed))?
                };
                *index = local;
                Some(used)
            }
            index => list_groups(index, w.taps, cut, &w.place, (w.runs, listed)),
        }
    }

    /// Lists the runs of a filter whose weights are copied between zeros, and takes the weights; their number with the
    /// zeros.
    #[inline(never)]
    fn list_padded(&mut self, w: &mut Workspace<'_>, listed: &mut usize) -> Option<usize> {
        let mut list = List { runs: &mut *w.runs, len: 0, end: usize::MAX };
        // By words, as the scratch memory is cut: a second way to fill would be code.
        bytemuck::try_cast_slice_mut::<i8, u32>(w.padded).ok()?.fill(0);
        let mut used = 0usize;
        for tap in w.taps {
            let end = used.wrapping_add(w.geometry.blocks.wrapping_mul(BLOCK));
            if self.copy_position(w.geometry.input.c, w.padded.get_mut(used..end)?)? {
                list.push(&w.place, *tap as usize, w.geometry.blocks)?;
                used = end;
            }
        }
        *listed = list.finish()?;
        Some(used)
    }

    /// Copies the weights of a dense filter between the zeros that are there already, and takes them; their number with
    /// the zeros.
    #[inline(never)]
    fn pad(&mut self, w: &mut Workspace<'_>) -> Option<usize> {
        let (channels, step) = (w.geometry.input.c.max(1), w.geometry.blocks.wrapping_mul(BLOCK).max(1));
        let (weights, rest) = self.weights.split_at_checked(w.taps.len().wrapping_mul(channels))?;
        self.weights = rest;
        for (to, from) in w.padded.chunks_exact_mut(step).zip(weights.chunks_exact(channels)) {
            if let Some(to) = to.get_mut(..from.len()) {
                to.copy_from_slice(from);
            }
        }
        Some(w.padded.len())
    }

    /// Copies the weights of one kernel position to their channels; false when there are none.
    fn copy_position(&mut self, channels: usize, to: &mut [i8]) -> Option<bool> {
        let (mut first, mut any) = (0, false);
        while first < channels {
            let len = self.group.min(channels.wrapping_sub(first));
            let end = first.wrapping_add(len);
            if self.index.next()? {
                let (run, rest) = self.weights.split_at_checked(len)?;
                self.weights = rest;
                to.get_mut(first..end)?.iter_mut().zip(run).for_each(|(to, from)| *to = *from);
                any = true;
            }
            first = end;
        }
        Some(any)
    }
}

/// Lists the stored ones of a filter's positions, which all lie inside the row buffer; the number of runs.
#[inline(always)]
fn list_positions(
    index: &mut impl Iterator<Item = bool>,
    taps: &[u32],
    blocks: usize,
    runs: &mut [Run],
) -> Option<usize> {
    let all = runs.len();
    let mut free = runs.iter_mut();
    for tap in taps {
        if index.next()? {
            *free.next()? = [*tap, blocks as u32];
        }
    }
    *free.next()? = END;
    Some(all.wrapping_sub(free.len()))
}

/// Lists the stored ones of a filter's groups; the number of weights.
#[inline(always)]
fn list_groups(
    index: &mut impl Iterator<Item = bool>,
    taps: &[u32],
    [channels, group]: [usize; 2],
    place: &Place,
    (runs, listed): (&mut [Run], &mut usize),
) -> Option<usize> {
    let all = runs.len();
    let mut free = runs.iter_mut();
    let full = group >> place.block_bits;
    let full_step = full.wrapping_mul(place.pitch);
    // The run that is being made: where it starts, its blocks, where a block would follow.
    let (mut start, mut open, mut end, mut used) = (0, 0usize, 0usize, 0usize);
    for tap in taps {
        let (mut left, mut at) = (channels, *tap as usize);
        while left > 0 {
            let (mut len, mut blocks, mut step) = (group, full, full_step);
            if left < group {
                (len, blocks) = (left, left >> place.block_bits);
                step = blocks.wrapping_mul(place.pitch);
            }
            let stored = index.next()?;
            if open > 0 && (!stored || at != end) {
                *free.next()? = [start as u32, open as u32];
                open = 0;
            }
            if stored {
                if open == 0 {
                    start = at;
                }
                open = open.wrapping_add(blocks);
                end = at.wrapping_add(step);
                used = used.wrapping_add(len);
                if end.wrapping_sub(place.pitch) > place.limit {
                    return None;
                }
            }
            at = at.wrapping_add(step);
            left = left.wrapping_sub(len);
        }
    }
    if open > 0 {
        *free.next()? = [start as u32, open as u32];
    }
    *free.next()? = END;
    *listed = all.wrapping_sub(free.len());
    Some(used)
}

/// What decides whether two runs are neighbours and whether a run lies inside the row buffer.
struct Place {
    /// Units from block to block.
    pitch: usize,
    /// The last unit at which a block may start.
    limit: usize,
    /// Logarithm of the channels of a block.
    block_bits: u32,
    /// True when whole positions need no look at either.
    whole: bool,
}

/// The runs of a filter so far.
struct List<'r> {
    runs: &'r mut [Run],
    len: usize,
    /// Where a run would start that continues the last one.
    end: usize,
}

impl List<'_> {
    /// Adds a run, or makes the last one longer; `None` when it leaves the row buffer or there are too many.
    #[inline(always)]
    fn push(&mut self, place: &Place, offset: usize, blocks: usize) -> Option<()> {
        let end = blocks.wrapping_mul(place.pitch).wrapping_add(offset);
        if end.wrapping_sub(place.pitch) > place.limit {
            return None;
        }
        if self.end == offset {
            let last = self.runs.get_mut(self.len.wrapping_sub(1))?;
            last[1] = last[1].wrapping_add(blocks as u32);
        } else {
            *self.runs.get_mut(self.len)? = [offset as u32, blocks as u32];
            self.len = self.len.wrapping_add(1);
        }
        self.end = end;
        Some(())
    }

    /// Ends the list; its length.
    fn finish(self) -> Option<usize> {
        *self.runs.get_mut(self.len)? = END;
        Some(self.len.wrapping_add(1))
    }
}
