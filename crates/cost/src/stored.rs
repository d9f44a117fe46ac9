//! How many of a layer's weights are stored, and how they lie together.

use serde::{Deserialize, Serialize};

use crate::layer::Layer;

/// How a layer's weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// All of them.
    Dense,
    /// Runs with a bitmap.
    Bitmap,
    /// Runs with a gap index.
    Gaps,
}

/// Stretches of weights that lie together for a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stretches {
    /// Stretches.
    pub count: f64,
    /// Whole blocks of four channels in them.
    pub blocks: f64,
    /// Blocks behind the last whole four of a stretch.
    pub tail_blocks: f64,
    /// Stretches that have some.
    pub tailed: f64,
    /// Blocks behind the last whole two of a stretch.
    pub odd_blocks: f64,
}

impl Stretches {
    /// Adds a stretch of so many channels.
    fn add(&mut self, channels: usize) {
        let blocks = channels / 4;
        self.count += 1.0;
        self.blocks += blocks as f64;
        self.tail_blocks += (blocks % 4) as f64;
        self.tailed += f64::from(u8::from(!blocks.is_multiple_of(4)));
        self.odd_blocks += (blocks % 2) as f64;
    }

    /// Each of the counts `share` of the way to another's.
    pub(crate) fn towards(&self, other: &Stretches, share: f64) -> Stretches {
        let between = |a: f64, b: f64| a + share * (b - a);
        Stretches {
            count: between(self.count, other.count),
            blocks: between(self.blocks, other.blocks),
            tail_blocks: between(self.tail_blocks, other.tail_blocks),
            tailed: between(self.tailed, other.tailed),
            odd_blocks: between(self.odd_blocks, other.odd_blocks),
        }
    }

    fn each(&mut self) -> [&mut f64; 5] {
        let Stretches { count, blocks, tail_blocks, tailed, odd_blocks } = self;
        [count, blocks, tail_blocks, tailed, odd_blocks]
    }
}

/// Counts of a layer's stored weights, over all its filters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stored {
    /// How they are stored.
    pub form: Form,
    /// Channels of a run; all of them for dense weights.
    pub group: usize,
    /// Runs, stored or not.
    pub bits: f64,
    /// Stored runs.
    pub kept: f64,
    /// Stored weights.
    pub weights: f64,
    /// Stretches of neighbouring stored runs at one kernel position.
    pub runs: Stretches,
    /// The same, those at the end of one kernel position and at the start of the next one taken together.
    pub joined: Stretches,
    /// Kernel positions with any stored run, with zeros to whole blocks.
    pub padded: Stretches,
    /// The same, positions taken together where the next one follows.
    pub padded_joined: Stretches,
    /// Stretches of neighbouring stored runs in one kernel row, positions joined where the next one follows.
    pub row_runs: f64,
    /// Vectors of 16 channels in them.
    pub vectors: f64,
    /// Runs up to the last stored one of each stretch of `TAKE` in a kernel row.
    pub row_bits: f64,
    /// Words of four channels in them: those that are listed one by one, eights of others, and stretches with some.
    pub row_words: [f64; 3],
    /// Vectors of four words in the weights of a filter.
    pub word_vectors: f64,
    /// Words read of the index, or bytes behind the last whole one.
    pub reads: f64,
    /// Parts of filters in those.
    pub takes: f64,
    /// Those with a run of full length.
    pub full_takes: f64,
    /// Those of these with such a stored run.
    pub busy_takes: f64,
    /// Stretches of neighbouring stored runs at one kernel position in a take.
    pub pieces: f64,
    /// Takes that are parts of kernel positions, too.
    pub position_takes: f64,
    /// Bytes from the first channel of each stored run to the position's end, and before the first one of a position.
    pub padding: f64,
    /// Stored runs that are shorter than the others, or all channels.
    pub rests: f64,
}

/// Runs of a kernel row that the cores with vector instructions take from the index at once.
pub(crate) const TAKE: usize = 24;

impl Stored {
    /// All weights of a layer.
    pub fn dense(layer: &Layer) -> Self {
        let [filters, positions, channels] = layer.dims();
        let all = std::iter::repeat_n(true, positions);
        let mut one = Stored::of([1, positions, channels], layer.window.kernel, (Form::Dense, channels), all);
        one.scale(filters as f64);
        one
    }

    /// Of a layer with `[filters, positions, channels]` the runs of `group` channels for which `kept` yields true, in
    /// filter order; `kernel` is the window's height and width.
    pub fn of(
        [filters, positions, channels]: [usize; 3],
        kernel: [usize; 2],
        (form, group): (Form, usize),
        kept: impl IntoIterator<Item = bool>,
    ) -> Self {
        let group = group.clamp(1, channels.max(1));
        let groups = channels.div_ceil(group);
        let mut counts = Counts::new(form, channels, group);
        if form == Form::Bitmap {
            counts.words = (filters * positions * groups).div_ceil(8) / 4 * 32;
        }
        let mut kept = kept.into_iter();
        for _ in 0..filters {
            for position in 0..positions {
                if position % kernel[1].max(1) == 0 {
                    counts.end_row();
                }
                for at in 0..groups {
                    counts.run(at, kept.next().unwrap_or(false));
                }
                counts.end_position();
            }
            counts.end_filter();
        }
        counts.stored
    }

    /// A random mask that keeps `share` of the runs, always the same one; of layers with many filters some are looked at.
    pub fn random(layer: &Layer, (form, group): (Form, usize), share: f64) -> Self {
        const RUNS: usize = 20_000;
        let [filters, positions, channels] = layer.dims();
        let per_filter = positions * channels.div_ceil(group.max(1));
        let some = filters.min((RUNS / per_filter.max(1)).max(8));
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let kept = std::iter::repeat_with(|| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            ((state >> 33) as f64) < share * f64::from(1u32 << 31)
        });
        let mut stored = Stored::of([some, positions, channels], layer.window.kernel, (form, group), kept);
        stored.scale(filters as f64 / some.max(1) as f64);
        stored
    }

    /// Nothing yet.
    fn none(form: Form, group: usize) -> Self {
        Stored {
            form,
            group,
            bits: 0.0,
            kept: 0.0,
            weights: 0.0,
            runs: Stretches::default(),
            joined: Stretches::default(),
            padded: Stretches::default(),
            padded_joined: Stretches::default(),
            row_runs: 0.0,
            vectors: 0.0,
            row_words: [0.0; 3],
            row_bits: 0.0,
            word_vectors: 0.0,
            reads: 0.0,
            takes: 0.0,
            full_takes: 0.0,
            busy_takes: 0.0,
            pieces: 0.0,
            position_takes: 0.0,
            padding: 0.0,
            rests: 0.0,
        }
    }

    fn scale(&mut self, factor: f64) {
        let Stored { form: _, group: _, bits, kept, weights, .. } = self;
        [bits, kept, weights].into_iter().for_each(|count| *count *= factor);
        let Stored { row_runs, vectors, row_bits, word_vectors, busy_takes, rests, .. } = self;
        for count in [row_runs, vectors, row_bits, word_vectors, busy_takes, rests] {
            *count *= factor;
        }
        let Stored { reads, takes, full_takes, pieces, position_takes, padding, .. } = self;
        [reads, takes, full_takes, pieces, position_takes, padding]
            .into_iter()
            .for_each(|count| *count *= factor);
        self.row_words.iter_mut().for_each(|count| *count *= factor);
        let Stored { runs, joined, padded, padded_joined, .. } = self;
        for count in [runs, joined, padded, padded_joined].into_iter().flat_map(Stretches::each) {
            *count *= factor;
        }
    }
}

/// Channels of the stretches that have not ended yet.
#[derive(Default)]
struct Open {
    /// At this kernel position.
    run: usize,
    /// From an earlier kernel position on.
    joined: usize,
    /// Of positions with zeros to whole blocks.
    padded: usize,
    /// In this kernel row.
    row: usize,
}

/// Counts while runs come by.
struct Counts {
    stored: Stored,
    channels: usize,
    open: Open,
    /// Whether the position has a stored run.
    any: bool,
    /// Runs of this kernel row.
    row_bits: usize,
    /// Of those that are taken at once, the place behind the last stored one; 0 when none is stored.
    row_busy: usize,
    /// Weights of this filter.
    filter: usize,
    /// Runs that come in words of the index, and those so far.
    words: usize,
    index: usize,
    /// Of this take: whether it has begun, whether it has a run of full length, and a stored one of those.
    begun: bool,
    full: bool,
    busy: bool,
    /// Whether the last run is stored, at this position and in this take.
    inside: bool,
}

/// Ends a stretch, if there is one.
fn close(open: &mut usize, stretches: &mut Stretches) {
    let channels = std::mem::take(open);
    if channels > 0 {
        stretches.add(channels);
    }
}

/// Of the words of a stretch those that are listed one by one, eights of others, and 1 when there are some: the compiler
/// makes vectors of eight, but leaves at least one word.
fn row_words(words: usize) -> [usize; 3] {
    let eights = words.saturating_sub(1) / 8;
    [words - 8 * eights, eights, usize::from(eights > 0)]
}

impl Counts {
    fn new(form: Form, channels: usize, group: usize) -> Self {
        let (stored, open) = (Stored::none(form, group), Open::default());
        Counts {
            stored,
            channels,
            open,
            any: false,
            row_bits: 0,
            row_busy: 0,
            filter: 0,
            words: usize::MAX,
            index: 0,
            begun: false,
            full: false,
            busy: false,
            inside: false,
        }
    }

    fn run(&mut self, at: usize, kept: bool) {
        let len = self.stored.group.min(self.channels - at * self.stored.group);
        self.stored.bits += 1.0;
        let place = self.row_bits % TAKE;
        // A run that is shorter than the others is taken by itself.
        if !kept || place == 0 || len < self.stored.group {
            self.close_row_run();
        }
        if place == 0 {
            self.row_busy = 0;
        }
        self.row_bits += 1;
        self.next_of_take(at == 0);
        if len == self.stored.group && len < self.channels {
            self.stored.full_takes += f64::from(u8::from(!self.full));
            self.full = true;
        }
        if !kept {
            self.inside = false;
            close(&mut self.open.run, &mut self.stored.runs);
            return close(&mut self.open.joined, &mut self.stored.joined);
        }
        let channel = at * self.stored.group;
        let before = if self.any { 0 } else { channel };
        self.stored.padding += (before + self.channels.next_multiple_of(4) - channel) as f64;
        self.stored.pieces += f64::from(u8::from(!std::mem::replace(&mut self.inside, true)));
        self.stored.kept += 1.0;
        self.stored.row_bits += (place + 1 - self.row_busy) as f64;
        self.row_busy = place + 1;
        if len < self.stored.group || len == self.channels {
            self.stored.rests += 1.0;
        } else {
            self.stored.busy_takes += f64::from(u8::from(!std::mem::replace(&mut self.busy, true)));
        }
        self.stored.weights += len as f64;
        let Open { run, joined, row, .. } = &mut self.open;
        [run, joined, row, &mut self.filter].into_iter().for_each(|open| *open += len);
        self.any = true;
    }

    /// One run more, perhaps the first at its position; with the first one of a word or of a filter a take begins.
    fn next_of_take(&mut self, first: bool) {
        let word = if self.index < self.words { 32 } else { 8 };
        let read = self.index.is_multiple_of(word);
        self.index += 1;
        self.stored.reads += f64::from(u8::from(read));
        self.stored.position_takes += f64::from(u8::from(read || first));
        if read || !self.begun {
            self.stored.takes += 1.0;
            (self.begun, self.full, self.busy, self.inside) = (true, false, false, false);
        }
    }

    fn close_row_run(&mut self) {
        let len = std::mem::take(&mut self.open.row);
        if len > 0 {
            self.stored.row_runs += 1.0;
            self.stored.vectors += len.div_ceil(16) as f64;
            let words = row_words(len / 4).map(|n| n as f64);
            self.stored.row_words.iter_mut().zip(words).for_each(|(sum, n)| *sum += n);
        }
    }

    fn end_position(&mut self) {
        close(&mut self.open.run, &mut self.stored.runs);
        self.inside = false;
        if std::mem::take(&mut self.any) {
            let channels = self.channels.next_multiple_of(4);
            self.stored.padded.add(channels);
            self.open.padded += channels;
        } else {
            close(&mut self.open.padded, &mut self.stored.padded_joined);
        }
    }

    fn end_row(&mut self) {
        self.close_row_run();
        self.row_bits = 0;
    }

    fn end_filter(&mut self) {
        self.end_row();
        self.begun = false;
        close(&mut self.open.joined, &mut self.stored.joined);
        close(&mut self.open.padded, &mut self.stored.padded_joined);
        self.stored.word_vectors += std::mem::take(&mut self.filter).div_ceil(16) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One filter of two kernel rows of one position with 16 channels in runs of 4.
    fn column(kept: [u8; 8]) -> Stored {
        Stored::of([1, 2, 16], [2, 1], (Form::Bitmap, 4), kept.map(|k| k == 1))
    }

    #[test]
    fn stretches_end_with_their_position_or_go_on_in_the_next_one() {
        let stored = column([1, 0, 1, 1, 1, 1, 1, 0]);
        let runs = Stretches { count: 3.0, blocks: 6.0, tail_blocks: 6.0, tailed: 3.0, odd_blocks: 2.0 };
        assert_eq!(stored.runs, runs);
        let joined = Stretches { count: 2.0, blocks: 6.0, tail_blocks: 2.0, tailed: 2.0, odd_blocks: 2.0 };
        assert_eq!(stored.joined, joined);
        assert_eq!((stored.padded.count, stored.padded_joined.count), (2.0, 1.0));
        assert_eq!(stored.padded_joined.blocks, 8.0);
        assert_eq!(runs.towards(&joined, 0.5).count, 2.5);
    }

    #[test]
    fn a_take_ends_with_a_filter_or_word_and_some_with_a_position() {
        let stored = column([0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(
            (stored.takes, stored.position_takes, stored.busy_takes, stored.kept),
            (1.0, 2.0, 1.0, 2.0)
        );
        assert_eq!((stored.pieces, stored.padding), (2.0, 4.0 + 12.0 + 4.0));
    }
}
