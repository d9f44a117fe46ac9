//! The filter table: which weights of which filters meet which input bytes, decoded once per layer call.
//!
//! Words, in run form: the first filter's bias; then for each filter its runs (byte offset in the window, length,
//! address of the weights), and `multiplier, 0, shift, next bias, channel`. In word form: the first bias; then for each
//! filter address and number of its weights, one u16 per word of four weights (offset in the window in words, to a
//! multiple of four), and `next bias, multiplier, shift, channel`. The shift takes the lowest byte; bit 31 says that
//! another filter follows.

use super::geometry::{filter_words, in_words};
use super::memory::halves;
use crate::tiled::Index;
use crate::{KernelError, Linear, Weights, Window};

/// Another filter follows in the table.
const MORE: u32 = 1 << 31;
/// Bytes of a window whose words a u16 can count.
const MAX_REACH: usize = 4 << 16;
/// Runs that are taken from the index at once; even, so that cutting there adds no runs to the worst case.
const TAKE: usize = 24;

/// A kernel window over the runs of a filter.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Kernel height, width.
    kernel: [usize; 2],
    /// Bytes between kernel rows, columns.
    steps: [usize; 2],
    /// Input channels.
    channels: usize,
    /// Channels of a run; all of them for dense weights.
    group: usize,
    /// Runs at one position.
    groups: usize,
}

impl Frame {
    /// For an input with `row_bytes` per row; `None` when there are no runs.
    pub fn new(window: &Window, channels: usize, row_bytes: usize, weights: &Weights<'_>) -> Option<Self> {
        let group = match weights {
            Weights::Dense(_) => channels,
            Weights::Bitmap { group, .. } | Weights::Gaps { group, .. } => *group,
        };
        let [dh, dw] = window.dilation;
        let steps = [dh.wrapping_mul(row_bytes), dw.wrapping_mul(channels)];
        let groups = channels.checked_div(group)?.wrapping_add(usize::from(!channels.is_multiple_of(group)));
        (groups > 0).then_some(Frame { kernel: window.kernel, steps, channels, group, groups })
    }

    /// Bytes from the start of a window to its end.
    fn reach(&self) -> usize {
        let last = self.kernel.map(|n| n.saturating_sub(1));
        let right = last[1].saturating_mul(self.steps[1]).saturating_add(self.channels);
        last[0].saturating_mul(self.steps[0]).saturating_add(right)
    }

    /// True when equal steps lead from run to run through a whole kernel row.
    fn even(&self) -> bool {
        self.steps[1] == self.channels && self.groups.wrapping_mul(self.group) == self.channels
    }
}

/// Decodes the filters of a layer, block by block.
pub(super) struct Filters<'a> {
    frame: Frame,
    linear: &'a Linear<'a>,
    index: Index<'a>,
    weights: &'a [i8],
    /// The next filter.
    next: usize,
    /// Its first weight.
    weight: usize,
    words: bool,
    even: bool,
    /// Words that one filter may take.
    most: usize,
}

impl<'a> Filters<'a> {
    /// `aligned`: every pixel of the input starts at a multiple of 4 when the channels are one.
    pub fn new(window: &Window, frame: Frame, linear: &'a Linear<'a>, aligned: bool) -> Self {
        let (index, weights, group) = match linear.weights {
            Weights::Dense(weights) => (Index::dense(), weights, 0),
            Weights::Bitmap { bitmap, runs, .. } => (Index::bitmap(bitmap), runs, frame.group),
            Weights::Gaps { gaps, runs, .. } => (Index::gaps(gaps), runs, frame.group),
        };
        let words = aligned && in_words(frame.channels, group) && frame.reach() <= MAX_REACH;
        let most = filter_words(window, frame.channels, group, words);
        // The kernels know the weights by their address.
        weights.as_ptr().expose_provenance();
        Filters { frame, linear, index, weights, next: 0, weight: 0, words, even: frame.even(), most }
    }

    /// True when the table is in word form.
    pub fn in_words(&self) -> bool {
        self.words
    }

    /// Fills the table with as many filters as fit; `false` when none was left.
    ///
    /// # Errors
    /// When not even one filter fits, or the index or the weights end too early.
    #[inline(never)]
    pub fn next_block(&mut self, table: &mut [u32]) -> Result<bool, KernelError> {
        let filters = self.linear.bias.len();
        if self.next >= filters {
            return Ok(false);
        }
        let (first, mut rest) = table.split_first_mut().ok_or(KernelError::Scratch)?;
        *first = self.linear.bias(self.next).cast_unsigned();
        if rest.len() < self.most {
            return Err(KernelError::Scratch);
        }
        loop {
            let used = if self.words { self.word_filter(rest) } else { self.run_filter(rest) };
            let (slot, after) =
                used.and_then(|n| rest.split_at_mut_checked(n)).ok_or(KernelError::ParameterLength)?;
            rest = after;
            if self.next < filters && rest.len() >= self.most {
                continue;
            }
            let back = if self.words { 2 } else { 3 };
            if let Some(shift) = slot.len().checked_sub(back).and_then(|at| slot.get_mut(at)) {
                *shift &= !MORE;
            }
            return Ok(true);
        }
    }

    /// Bias of the next filter, multiplier and shift of this one; steps to the next.
    fn scale(&mut self) -> (u32, u32, u32) {
        let (multiplier, shift) = self.linear.scale(self.next);
        self.next = self.next.wrapping_add(1);
        let bias = self.linear.bias(self.next).cast_unsigned();
        (bias, multiplier.cast_unsigned(), u32::from(shift.cast_unsigned()) | MORE)
    }

    /// Decodes one filter in run form; the words that it took.
    fn run_filter(&mut self, table: &mut [u32]) -> Option<usize> {
        let base = self.weights.as_ptr().addr();
        let mut weight = self.weight;
        let (slots, _) = table.as_chunks_mut::<3>();
        let (mut slots, mut runs) = (slots.iter_mut(), 0usize);
        self.each_run(|at, len| {
            *slots.next()? = [at as u32, len as u32, base.wrapping_add(weight) as u32];
            runs = runs.wrapping_add(1);
            weight = weight.wrapping_add(len);
            Some(())
        })?;
        self.weight = weight;
        let channel = self.next as u32;
        let (bias, multiplier, shift) = self.scale();
        let at = runs.wrapping_mul(3);
        *table.get_mut(at..)?.first_chunk_mut::<5>()? = [multiplier, 0, shift, bias, channel];
        (weight <= self.weights.len()).then_some(at.wrapping_add(5))
    }

    /// Decodes one filter in word form; the words that it took.
    fn word_filter(&mut self, table: &mut [u32]) -> Option<usize> {
        let first = self.weight;
        let ([start, count], rest) = table.split_first_chunk_mut::<2>()?;
        let (mut slots, mut len) = (halves(rest).iter_mut(), 0usize);
        self.each_run(|at, run| {
            for word in at / 4..at.wrapping_add(run) / 4 {
                *slots.next()? = word as u16;
            }
            len = len.wrapping_add(run);
            Some(())
        })?;
        *start = self.weights.as_ptr().addr().wrapping_add(first) as u32;
        *count = len as u32;
        self.weight = first.wrapping_add(len);
        let channel = self.next as u32;
        let (bias, multiplier, shift) = self.scale();
        let at = len.div_ceil(16).wrapping_mul(2);
        *rest.get_mut(at..)?.first_chunk_mut::<4>()? = [bias, multiplier, shift, channel];
        (self.weight <= self.weights.len()).then_some(at.wrapping_add(6))
    }

    /// Calls `emit` with offset and length of each stretch of stored runs of the next filter.
    #[inline(always)]
    fn each_run(&mut self, mut emit: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
        let Frame { kernel: [rows, columns], steps: [down, right], channels, group, groups } = self.frame;
        let row_runs = columns.wrapping_mul(groups);
        let mut row = 0usize;
        if self.index.is_dense() {
            for _ in 0..rows {
                if self.even {
                    emit(row, columns.wrapping_mul(channels))?;
                } else {
                    (0..columns)
                        .try_for_each(|kx| emit(row.wrapping_add(kx.wrapping_mul(right)), channels))?;
                }
                row = row.wrapping_add(down);
            }
            return Some(());
        }
        // Small filters are taken from the index at once.
        let whole = rows.wrapping_mul(row_runs);
        let mut ahead = if whole <= TAKE { self.index.take_all(whole)? } else { 0 };
        for _ in 0..rows {
            let mut first = 0usize;
            while first < row_runs {
                let n = row_runs.wrapping_sub(first).min(TAKE);
                let bits = if whole <= TAKE { ahead & mask(n) } else { self.index.take_all(n)? };
                ahead >>= n & 31;
                if self.even {
                    even_runs(bits, row.wrapping_add(first.wrapping_mul(group)), group, &mut emit)?;
                } else {
                    self.uneven_runs(bits, row, first, &mut emit)?;
                }
                first = first.wrapping_add(n);
            }
            row = row.wrapping_add(down);
        }
        Some(())
    }

    /// The runs `bits` of the kernel row at byte `row`, counted from `first`.
    fn uneven_runs(
        &self,
        mut bits: u32,
        row: usize,
        first: usize,
        emit: &mut impl FnMut(usize, usize) -> Option<()>,
    ) -> Option<()> {
        let Frame { steps, channels, group, groups, .. } = self.frame;
        let mut run = first;
        while bits != 0 {
            if bits & 1 == 1 {
                let (pixel, channel) =
                    (run.checked_div(groups)?, run.checked_rem(groups)?.wrapping_mul(group));
                let at = row.wrapping_add(pixel.wrapping_mul(steps[1])).wrapping_add(channel);
                emit(at, channels.wrapping_sub(channel).min(group))?;
            }
            bits >>= 1;
            run = run.wrapping_add(1);
        }
        Some(())
    }
}

/// The runs `bits` of `group` bytes from byte `at` on; neighbours are joined.
#[inline(always)]
fn even_runs(
    mut bits: u32,
    mut at: usize,
    group: usize,
    emit: &mut impl FnMut(usize, usize) -> Option<()>,
) -> Option<()> {
    while bits != 0 {
        let absent = bits.trailing_zeros();
        bits >>= absent;
        at = at.wrapping_add((absent as usize).wrapping_mul(group));
        let stored = bits.trailing_ones();
        bits >>= stored & 31;
        let len = (stored as usize).wrapping_mul(group);
        emit(at, len)?;
        at = at.wrapping_add(len);
    }
    Some(())
}

/// The lowest `n` bits, `n` < 32.
fn mask(n: usize) -> u32 {
    (1 << (n & 31)) - 1
}
