//! A layer as the device runs it, and which of its weights are stored.

use serde::{Deserialize, Serialize};

use crate::{Kernel, Work, plain, scalar, vector};

/// How a kernel slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel height, width.
    pub kernel: [usize; 2],
    /// Step between outputs.
    pub stride: [usize; 2],
    /// Step between kernel positions.
    pub dilation: [usize; 2],
    /// Padding above and on the left.
    pub padding: [usize; 2],
}

impl Window {
    /// One pixel.
    pub const POINT: Window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };

    /// Kernel positions.
    pub fn positions(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// How many of the kernel positions of an output lie inside `size` on `axis`.
    pub(crate) fn covered(&self, axis: usize, output: usize, size: usize) -> usize {
        let first = (output * self.stride[axis]) as isize - self.padding[axis] as isize;
        let inside = |k: &usize| {
            let at = first + (k * self.dilation[axis]) as isize;
            (0..size as isize).contains(&at)
        };
        (0..self.kernel[axis]).filter(inside).count()
    }
}

/// A layer as the device runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its kernel, for dense weights where it has any.
    pub kernel: Kernel,
    /// Each input's `[h, w, c]`; weights are no inputs.
    pub inputs: Vec<[usize; 3]>,
    /// The output's `[h, w, c]`.
    pub output: [usize; 3],
    /// The window of convolutions and pools, [`Window::POINT`] for others.
    pub window: Window,
}

impl Layer {
    /// The first input's `[h, w, c]`.
    pub(crate) fn input(&self) -> [usize; 3] {
        self.inputs.first().copied().unwrap_or([1; 3])
    }

    /// Output pixels.
    pub fn pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Filters, kernel positions and channels of a layer whose weights can be stored in runs.
    pub fn dims(&self) -> [usize; 3] {
        [self.output[2], self.window.positions(), self.input()[2]]
    }

    /// The kernel for weights stored in runs; `None` when the layer has none.
    pub fn runs_kernel(&self) -> Option<Kernel> {
        match self.kernel {
            Kernel::Conv => Some(Kernel::ConvRuns),
            Kernel::Dense => Some(Kernel::DenseRuns),
            _ => None,
        }
    }

    /// The kernel and what it does, with the weights that are stored.
    pub fn work(&self, stored: &Stored) -> (Kernel, Work) {
        let kernel = self.runs_kernel().filter(|_| stored.form != Form::Dense).unwrap_or(self.kernel);
        let mut work = Work::call();
        match self.kernel {
            Kernel::Conv => {
                scalar::conv(self, stored, &mut work);
                vector::conv(self, stored, &mut work);
            }
            Kernel::Dense => {
                scalar::fully_connected(self, stored, &mut work);
                vector::fully_connected(self, stored, &mut work);
            }
            Kernel::Depthwise | Kernel::DepthwiseMultiplied => {
                scalar::depthwise(self, &mut work);
                vector::depthwise(self, &mut work);
            }
            _ => plain::plain(self, &mut work),
        }
        (kernel, work)
    }

    /// [`Layer::work`] with dense weights.
    pub fn dense_work(&self) -> Work {
        self.work(&Stored::dense(self)).1
    }
}

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
    /// Weights behind the last whole four of each stored run.
    pub kept_tails: f64,
    /// Stretches of neighbouring stored runs at one kernel position.
    pub runs: f64,
    /// Whole blocks of four channels in them.
    pub blocks: f64,
    /// Blocks behind the last whole four of a stretch.
    pub tail_blocks: f64,
    /// Stretches that have some.
    pub tailed: f64,
    /// Blocks behind the last whole two of a stretch.
    pub odd_blocks: f64,
    /// Channels behind the last whole block of a stretch.
    pub tail_channels: f64,
    /// Kernel positions of filters with any stored run.
    pub positions: f64,
    /// Stretches of neighbouring stored runs in one kernel row, positions joined where the next one follows.
    pub row_runs: f64,
    /// Vectors of 16 channels in them.
    pub vectors: f64,
    /// Vectors of four words in the weights of a filter.
    pub word_vectors: f64,
    /// Stretches of `TAKE` runs of full length with any stored run.
    pub busy_takes: f64,
    /// Stored runs that are shorter than the others, or all channels.
    pub rests: f64,
}

/// Runs that the vector kernels take from the index at once.
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

    fn scale(&mut self, factor: f64) {
        let Stored {
            form: _,
            group: _,
            bits,
            kept,
            weights,
            kept_tails,
            runs,
            blocks,
            tail_blocks,
            tailed,
            ..
        } = self;
        for count in [bits, kept, weights, kept_tails, runs, blocks, tail_blocks, tailed] {
            *count *= factor;
        }
        let Stored { odd_blocks, tail_channels, positions, row_runs, vectors, word_vectors, .. } = self;
        for count in [odd_blocks, tail_channels, positions, row_runs, vectors, word_vectors] {
            *count *= factor;
        }
        let Stored { busy_takes, rests, .. } = self;
        for count in [busy_takes, rests] {
            *count *= factor;
        }
    }
}

/// Counts while runs come by.
struct Counts {
    stored: Stored,
    channels: usize,
    /// Channels of the stretch at this position.
    open: usize,
    /// Whether the position has a stored run.
    any: bool,
    /// Channels of the stretch in this kernel row.
    row_open: usize,
    /// Runs of this kernel row.
    row_bits: usize,
    /// Weights of this filter.
    filter: usize,
    /// The stretch of runs that a stored one was last seen in.
    busy: Option<usize>,
}

impl Counts {
    fn new(form: Form, channels: usize, group: usize) -> Self {
        let zero = 0.0;
        let stored = Stored {
            form,
            group,
            bits: zero,
            kept: zero,
            weights: zero,
            kept_tails: zero,
            runs: zero,
            blocks: zero,
            tail_blocks: zero,
            tailed: zero,
            odd_blocks: zero,
            tail_channels: zero,
            positions: zero,
            row_runs: zero,
            vectors: zero,
            word_vectors: zero,
            busy_takes: zero,
            rests: zero,
        };
        Counts { stored, channels, open: 0, any: false, row_open: 0, row_bits: 0, filter: 0, busy: None }
    }

    fn run(&mut self, at: usize, kept: bool) {
        let len = self.stored.group.min(self.channels - at * self.stored.group);
        self.stored.bits += 1.0;
        if !kept || self.row_bits.is_multiple_of(TAKE) {
            self.close_row_run();
        }
        self.row_bits += 1;
        if !kept {
            return self.close();
        }
        self.stored.kept += 1.0;
        if len < self.stored.group || len == self.channels {
            self.stored.rests += 1.0;
        } else if self.busy != Some(at / TAKE) {
            self.stored.busy_takes += 1.0;
            self.busy = Some(at / TAKE);
        }
        self.stored.weights += len as f64;
        self.stored.kept_tails += (len % 4) as f64;
        self.open += len;
        self.row_open += len;
        self.filter += len;
        self.any = true;
    }

    /// Ends the stretch at this position.
    fn close(&mut self) {
        let len = std::mem::take(&mut self.open);
        if len == 0 {
            return;
        }
        let (s, blocks) = (&mut self.stored, len / 4);
        s.runs += 1.0;
        s.blocks += blocks as f64;
        s.tail_blocks += (blocks % 4) as f64;
        s.tailed += f64::from(u8::from(!blocks.is_multiple_of(4)));
        s.odd_blocks += (blocks % 2) as f64;
        s.tail_channels += (len % 4) as f64;
    }

    fn close_row_run(&mut self) {
        let len = std::mem::take(&mut self.row_open);
        if len > 0 {
            self.stored.row_runs += 1.0;
            self.stored.vectors += len.div_ceil(16) as f64;
        }
    }

    fn end_position(&mut self) {
        self.close();
        self.busy = None;
        self.stored.positions += f64::from(u8::from(std::mem::take(&mut self.any)));
    }

    fn end_row(&mut self) {
        self.close_row_run();
        self.row_bits = 0;
    }

    fn end_filter(&mut self) {
        self.end_row();
        self.stored.word_vectors += std::mem::take(&mut self.filter).div_ceil(16) as f64;
    }
}
