//! The filter table: which weights of which filters meet which input bytes, decoded once per layer call.
//!
//! Words, in run form: the first filter's bias; then for each filter its runs (byte offset in the window, length,
//! address of the weights), and `multiplier, 0, shift, next bias, channel`. In word form: for each filter address and
//! number of its weights, one u16 per word of four weights (offset in the window in words, to a multiple of four), and
//! `next bias, multiplier, shift, channel`. The shift takes the lowest byte; bit 31 says that another filter follows.

use super::geometry::in_words;
use crate::{KernelError, Linear, Weights, Window};

/// Another filter follows in the table.
const MORE: u32 = 1 << 31;

/// Which runs of a filter are stored: 32 at a time.
#[derive(Clone, Copy)]
enum Index<'a> {
    /// All of them.
    Dense,
    /// A bitmap and the next bit.
    Bitmap(&'a [u8], usize),
    /// A gap index: bytes left, runs that are absent before the next event, whether a stored run follows them.
    Gaps(&'a [u8], u32, bool),
}

impl Index<'_> {
    /// The next `n` <= 24 runs, the first in the lowest bit.
    fn next(&mut self, n: u32) -> Option<u32> {
        match self {
            Index::Dense => Some((1 << n) - 1),
            Index::Bitmap(bytes, at) => {
                let first = *at / 8;
                let mut bits = u32::from(*bytes.get(first)?);
                for (shift, i) in [(8, 1), (16, 2), (24, 3)] {
                    bits |= u32::from(bytes.get(first.wrapping_add(i)).copied().unwrap_or(0)) << shift;
                }
                let bits = bits >> (*at % 8) & ((1 << n) - 1);
                *at = at.wrapping_add(n as usize);
                (*at <= bytes.len().wrapping_mul(8)).then_some(bits)
            }
            Index::Gaps(bytes, absent, stored) => Some(gap_bits(bytes, absent, stored, n)),
        }
    }
}

fn gap_bits(bytes: &mut &[u8], absent: &mut u32, stored: &mut bool, n: u32) -> u32 {
    let (mut at, mut bits) = (0, 0);
    loop {
        let step = (*absent).min(n - at);
        *absent -= step;
        at += step;
        if at == n {
            return bits;
        }
        if *stored {
            bits |= 1 << at;
            at += 1;
            *stored = false;
        }
        match bytes.split_first() {
            Some((&gap, rest)) => {
                *bytes = rest;
                *absent = u32::from(gap);
                *stored = gap < 255;
            }
            None => *absent = u32::MAX,
        }
    }
}

/// The window as the decoder sees it.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Kernel height, width.
    pub kernel: [usize; 2],
    /// Bytes between kernel rows, columns.
    pub steps: [usize; 2],
    /// Input channels.
    pub channels: usize,
    /// Channels of a run.
    group: usize,
    /// Runs at one position.
    groups: usize,
}

impl Frame {
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
}

/// Decodes the filters of a layer, block by block.
pub(super) struct Filters<'a> {
    frame: Frame,
    linear: &'a Linear<'a>,
    index: Index<'a>,
    weights: &'a [i8],
    /// The next filter and its first weight.
    next: (usize, usize),
    filters: usize,
    words: bool,
    base: usize,
}

impl<'a> Filters<'a> {
    pub fn new(frame: Frame, linear: &'a Linear<'a>, aligned: bool) -> Self {
        let (index, weights, sparse) = match linear.weights {
            Weights::Dense(weights) => (Index::Dense, weights, false),
            Weights::Bitmap { bitmap, runs, .. } => (Index::Bitmap(bitmap, 0), runs, true),
            Weights::Gaps { gaps, runs, .. } => (Index::Gaps(gaps, 0, false), runs, true),
        };
        let filters = linear.bias.len();
        let words = sparse && aligned && in_words(frame.channels, frame.group);
        let base = weights.as_ptr().expose_provenance();
        Filters { frame, linear, index, weights, next: (0, 0), filters, words, base }
    }

    /// True when the table is in word form.
    pub fn in_words(&self) -> bool {
        self.words
    }

    /// Fills the table with as many filters as fit; `false` when none is left.
    pub fn next_block(&mut self, table: &mut [u32]) -> Result<bool, KernelError> {
        let first = self.next.0;
        if first >= self.filters {
            return Ok(false);
        }
        let mut out = Out { words: table, at: 0 };
        if !self.words {
            out.push(self.linear.bias(first) as u32).ok_or(KernelError::Scratch)?;
        } else {
            // The first bias comes first in both forms.
            out.push(self.linear.bias(first) as u32).ok_or(KernelError::Scratch)?;
        }
        let mut last_shift = None;
        while self.next.0 < self.filters {
            let (index, next, at) = (self.index, self.next, out.at);
            match self.filter(&mut out) {
                Ok(shift) => last_shift = Some(shift),
                Err(KernelError::Scratch) if last_shift.is_some() => {
                    (self.index, self.next, out.at) = (index, next, at);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        // No filter follows the last one.
        let last = last_shift.and_then(|at| out.words.get_mut(at)).ok_or(KernelError::Scratch)?;
        *last &= !MORE;
        Ok(true)
    }

    /// Decodes one filter; the position of its shift in the table.
    fn filter(&mut self, out: &mut Out<'_>) -> Result<usize, KernelError> {
        let (o, first) = self.next;
        let start = out.at;
        if self.words {
            out.push(0).and_then(|()| out.push(0)).ok_or(KernelError::Scratch)?;
        }
        let mut emit = Emit { out, weight: first, words: self.words, half: 0, pending: None };
        for ky in 0..self.frame.kernel[0] {
            self.row(ky, &mut emit)?;
        }
        emit.flush(self.base).ok_or(KernelError::Scratch)?;
        let after = emit.weight;
        if after > self.weights.len() {
            return Err(KernelError::ParameterLength);
        }
        let bias = self.linear.bias(o.wrapping_add(1)) as u32;
        let (multiplier, shift) = self.linear.scale(o);
        let (multiplier, shift) = (multiplier as u32, u32::from(shift.cast_unsigned()) | MORE);
        self.next = (o.wrapping_add(1), after);
        let shift_at = if self.words {
            out.set(start, self.base.wrapping_add(first) as u32);
            out.set(start.wrapping_add(1), after.wrapping_sub(first) as u32);
            out.extend([bias, multiplier, shift, o as u32]).map(|()| out.at.wrapping_sub(2))
        } else {
            out.extend([multiplier, 0, shift, bias, o as u32]).map(|()| out.at.wrapping_sub(3))
        };
        shift_at.ok_or(KernelError::Scratch)
    }

    /// Decodes one kernel row.
    fn row(&mut self, ky: usize, emit: &mut Emit<'_, '_>) -> Result<(), KernelError> {
        let frame = self.frame;
        let row = ky.wrapping_mul(frame.steps[0]);
        let runs = frame.kernel[1].wrapping_mul(frame.groups);
        if matches!(self.index, Index::Dense) {
            for kx in 0..frame.kernel[1] {
                let at = row.wrapping_add(kx.wrapping_mul(frame.steps[1]));
                emit.run(at, frame.channels, self.base).ok_or(KernelError::Scratch)?;
            }
            return Ok(());
        }
        let mut first = 0usize;
        while first < runs {
            let n = runs.wrapping_sub(first).min(24);
            let mut bits = self.index.next(n as u32).ok_or(KernelError::ParameterLength)?;
            let mut at = first;
            while bits != 0 {
                let absent = bits.trailing_zeros();
                bits >>= absent;
                at = at.wrapping_add(absent as usize);
                let stored = bits.trailing_ones();
                bits >>= stored & 31;
                self.stored(row, at, at.wrapping_add(stored as usize), emit)?;
                at = at.wrapping_add(stored as usize);
            }
            first = first.wrapping_add(n);
        }
        Ok(())
    }

    /// Emits the runs `from..to` of the kernel row at byte `row`.
    fn stored(&self, row: usize, from: usize, to: usize, emit: &mut Emit<'_, '_>) -> Result<(), KernelError> {
        let frame = &self.frame;
        let groups = frame.groups.max(1);
        let joined = frame.steps[1] == frame.channels;
        let position = |run: usize| {
            let (pixel, within) = if groups == 1 { (run, 0) } else { (run / groups, run % groups) };
            (pixel, within.wrapping_mul(frame.group))
        };
        let (mut pixel, mut channel) = position(from);
        let (last, end) = position(to);
        if joined {
            let [a, b] = [(pixel, channel), (last, end)].map(|(p, c)| p.wrapping_mul(frame.channels).wrapping_add(c));
            return emit.run(row.wrapping_add(a), b.wrapping_sub(a), self.base).ok_or(KernelError::Scratch);
        }
        while (pixel, channel) != (last, end) {
            let stop = if pixel == last { end } else { frame.channels };
            let at = row.wrapping_add(pixel.wrapping_mul(frame.steps[1])).wrapping_add(channel);
            emit.run(at, stop.wrapping_sub(channel), self.base).ok_or(KernelError::Scratch)?;
            (pixel, channel) = (pixel.wrapping_add(1), 0);
        }
        Ok(())
    }
}

/// Writes words of the table.
struct Out<'t> {
    words: &'t mut [u32],
    at: usize,
}

impl Out<'_> {
    fn push(&mut self, word: u32) -> Option<()> {
        *self.words.get_mut(self.at)? = word;
        self.at = self.at.wrapping_add(1);
        Some(())
    }

    fn extend<const N: usize>(&mut self, words: [u32; N]) -> Option<()> {
        self.words.get_mut(self.at..)?.first_chunk_mut::<N>()?.copy_from_slice(&words);
        self.at = self.at.wrapping_add(N);
        Some(())
    }

    fn set(&mut self, at: usize, word: u32) {
        if let Some(place) = self.words.get_mut(at) {
            *place = word;
        }
    }
}

/// Writes the runs of one filter and joins neighbours.
struct Emit<'o, 't> {
    out: &'o mut Out<'t>,
    /// The next weight.
    weight: usize,
    words: bool,
    /// Word form: half-words in the current group of four.
    half: usize,
    /// Run form: offset, length and first weight of the run that may still grow.
    pending: Option<(usize, usize, usize)>,
}

impl Emit<'_, '_> {
    /// A stored run at byte `at` of the window.
    fn run(&mut self, at: usize, len: usize, base: usize) -> Option<()> {
        let weight = self.weight;
        self.weight = weight.wrapping_add(len);
        if self.words {
            return (at / 4..at.wrapping_add(len) / 4).try_for_each(|word| self.word(word as u32));
        }
        if let Some((start, length, _)) = &mut self.pending
            && start.wrapping_add(*length) == at
        {
            *length = length.wrapping_add(len);
            return Some(());
        }
        self.close(base)?;
        self.pending = Some((at, len, weight));
        Some(())
    }

    fn word(&mut self, word: u32) -> Option<()> {
        if self.half.is_multiple_of(2) {
            if self.half == 0 {
                self.out.words.get_mut(self.out.at.wrapping_add(1)).map(|w| *w = 0)?;
            }
            self.out.push(word)?;
        } else {
            let last = self.out.words.get_mut(self.out.at.wrapping_sub(1))?;
            *last |= word << 16;
        }
        self.half = self.half.wrapping_add(1) % 4;
        Some(())
    }

    fn close(&mut self, base: usize) -> Option<()> {
        let Some((at, len, weight)) = self.pending.take() else { return Some(()) };
        self.out.extend([at as u32, len as u32, base.wrapping_add(weight) as u32])
    }

    /// Ends the filter.
    fn flush(&mut self, base: usize) -> Option<()> {
        if self.words && (1..3).contains(&self.half) {
            self.out.at = self.out.at.wrapping_add(1);
        }
        self.close(base)
    }
}
