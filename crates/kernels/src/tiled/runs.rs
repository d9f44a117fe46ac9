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

impl Index<'_> {
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
    /// For each kernel row, the units from the row buffer's start to the row under it.
    pub bases: &'w [u32],
    /// For the runs.
    pub runs: &'w mut [Run],
    /// Runs in use; `None` before a row's first filter.
    pub shared: Option<usize>,
    /// For weights that need zeros between them; empty when they are used where they are.
    pub padded: &'w mut [i8],
}

impl<'a> Decoder<'a> {
    /// At the first filter.
    ///
    /// # Errors
    /// When the weights' group is 0 or dense weights have another length than the filters.
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

    /// The weights not yet walked over.
    pub fn weights(&self) -> &'a [i8] {
        self.weights
    }

    /// The next filter; `None` when the index or the weights end too soon.
    pub fn filter<'f, E: Engine>(&mut self, w: &'f mut Workspace<'_>) -> Option<Filter<'f>>
    where
        'a: 'f,
    {
        let geometry = w.geometry;
        if w.padded.is_empty() {
            let start = self.weights;
            match (&self.index, w.shared) {
                // Dense filters have the same runs.
                (Index::Dense, Some(_)) => {
                    let len = geometry.positions().wrapping_mul(geometry.input.c);
                    self.weights = self.weights.get(len..)?;
                }
                _ => w.shared = Some(self.list::<E>(w)?),
            }
            let weights = start.get(..start.len().wrapping_sub(self.weights.len()))?;
            let runs = w.runs.get(..w.shared?)?;
            return Some(Filter { geometry, rows: w.rows, runs, weights });
        }
        let (len, used) = self.list_padded::<E>(w)?;
        Some(Filter { geometry, rows: w.rows, runs: w.runs.get(..len)?, weights: w.padded.get(..used)? })
    }

    /// Lists the runs of a filter whose weights are used where they are, and takes the weights.
    fn list<E: Engine>(&mut self, w: &mut Workspace<'_>) -> Option<usize> {
        let place = Place::of::<E>(w)?;
        let mut list = List { runs: &mut *w.runs, len: 0, end: 0 };
        for base in w.bases {
            for kx in 0..w.geometry.window.kernel[1] {
                let tap = (*base as usize).wrapping_add(E::tap(w.geometry, kx));
                self.list_position::<E>(w.geometry.input.c, tap, &place, &mut list)?;
            }
        }
        list.finish()
    }

    /// Lists the runs of a filter whose weights are copied between zeros, and takes the weights. Numbers of runs and of
    /// weights with their zeros.
    fn list_padded<E: Engine>(&mut self, w: &mut Workspace<'_>) -> Option<(usize, usize)> {
        let (place, g) = (Place::of::<E>(w)?, w.geometry);
        let mut list = List { runs: &mut *w.runs, len: 0, end: 0 };
        w.padded.fill(0);
        let mut used = 0usize;
        for base in w.bases {
            for kx in 0..g.window.kernel[1] {
                let end = used.wrapping_add(g.blocks.wrapping_mul(BLOCK));
                if self.copy_position(g.input.c, w.padded.get_mut(used..end)?)? {
                    list.push(&place, (*base as usize).wrapping_add(E::tap(g, kx)), g.blocks)?;
                    used = end;
                }
            }
        }
        Some((list.finish()?, used))
    }

    /// Takes the weights of one kernel position and lists their runs.
    fn list_position<E: Engine>(
        &mut self,
        channels: usize,
        tap: usize,
        place: &Place,
        list: &mut List<'_>,
    ) -> Option<()> {
        let mut first = 0;
        while first < channels {
            let len = self.group.min(channels.wrapping_sub(first));
            if self.index.next()? {
                self.weights = self.weights.get(len..)?;
                let at = (first / E::BLOCK).wrapping_mul(place.pitch).wrapping_add(tap);
                list.push(place, at, len / E::BLOCK)?;
            }
            first = first.wrapping_add(len);
        }
        Some(())
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

/// What decides whether two runs are neighbours and whether a run lies inside the row buffer.
struct Place {
    /// Units from block to block.
    pitch: usize,
    /// The last unit at which a block may start.
    limit: usize,
}

/// The runs of a filter so far.
struct List<'r> {
    runs: &'r mut [Run],
    len: usize,
    /// Where a run would start that continues the last one.
    end: usize,
}

impl Place {
    fn of<E: Engine>(w: &Workspace<'_>) -> Option<Self> {
        let units = w.rows.len().wrapping_mul(4) / E::UNIT;
        Some(Place { pitch: E::pitch(w.geometry), limit: units.checked_sub(E::reach(w.geometry))? })
    }
}

impl List<'_> {
    /// Adds a run, or makes the last one longer; `None` when it leaves the row buffer or there are too many.
    fn push(&mut self, place: &Place, offset: usize, blocks: usize) -> Option<()> {
        let end = blocks.wrapping_mul(place.pitch).wrapping_add(offset);
        if end.wrapping_sub(place.pitch) > place.limit {
            return None;
        }
        if self.len > 0 && self.end == offset {
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
