//! What depthwise convolutions do on the cores with vector instructions: the channels of each window's positions are
//! turned into positions of channels, then summed four channels at a time. Follows
//! `crates/kernels/src/mve/depthwise.rs`.

use crate::layer::{Layer, Window};
use crate::work::{Feature, Work};

/// Filters that are computed together, kernel positions of a vector, and channels of one.
const BLOCK: usize = 64;
const POSITIONS: usize = 16;
const VECTOR: usize = 16;

/// Turning the windows of a layer.
#[derive(Default)]
struct Turned {
    /// Windows.
    windows: usize,
    /// Kernel rows that are turned by themselves.
    rows: usize,
    /// Kernel positions of several pixels that are turned by themselves.
    columns: usize,
    /// Parts that are turned at once, and what they are cut into where the positions do not fit one vector.
    parts: usize,
    pieces: usize,
    /// Positions turned, and vectors of channels.
    positions: usize,
    vectors: usize,
}

/// How the windows of a block of filters are turned.
struct Turn<'a> {
    window: &'a Window,
    /// The input's height and width.
    size: [usize; 2],
    /// Channels of a pixel, and pixels whose windows are turned together.
    channels: usize,
    pixels: usize,
    /// Vectors for the positions of one channel.
    planes: usize,
    done: Turned,
}

impl Turn<'_> {
    /// `count` positions of so many channels from position `at` on.
    fn part(&mut self, at: usize, count: usize, channels: usize) {
        self.done.parts += 1;
        self.done.pieces += if self.planes == 1 || count == 0 {
            1
        } else {
            (at + count - 1) / POSITIONS - at / POSITIONS + 1
        };
        self.done.positions += count;
        self.done.vectors += count * channels.div_ceil(VECTOR);
    }

    /// The windows of the outputs from `row`, `column` on.
    fn windows(&mut self, [row, column]: [usize; 2]) {
        let [kh, kw] = self.window.kernel;
        let (all, last) = (self.channels * self.pixels, column + self.pixels - 1);
        let inside = |axis: usize, at: usize| self.window.covered(axis, at, self.size[axis]);
        let [first, end] = [column, last].map(|at| inside(1, at));
        let (covered, whole) = (inside(0, row), first == kw && end == kw);
        self.done.windows += 1;
        if self.planes == 1 && covered == kh && whole {
            return self.part(0, kh * kw, all);
        }
        self.done.rows += kh;
        let top = (row * self.window.stride[0]) as isize - self.window.padding[0] as isize;
        for ky in 0..kh {
            let y = top + (ky * self.window.dilation[0]) as isize;
            let blank = !(0..self.size[0] as isize).contains(&y);
            match (blank || whole, self.pixels) {
                (true, _) => self.part(ky * kw, kw, all),
                (_, 1) => self.row(ky * kw, column, first),
                _ => (0..kw).for_each(|kx| self.column(ky * kw + kx, kx, column)),
            }
        }
    }

    /// A kernel row of one pixel's window, of which `inside` positions lie in the input.
    fn row(&mut self, at: usize, column: usize, inside: usize) {
        let kw = self.window.kernel[1];
        let left = self.window.padding[1].saturating_sub(column * self.window.stride[1]);
        let before = left.div_ceil(self.window.dilation[1].max(1)).min(kw - inside);
        for (from, count) in [(0, before), (before, inside), (before + inside, kw - inside - before)] {
            if count > 0 {
                self.part(at + from, count, self.channels);
            }
        }
    }

    /// One kernel position of the windows of several pixels: those before, in and behind the input.
    fn column(&mut self, at: usize, kx: usize, column: usize) {
        self.done.columns += 1;
        let x = (column + kx * self.window.dilation[1]) as isize - self.window.padding[1] as isize;
        let clamped = |n: isize| n.clamp(0, self.pixels as isize) as usize;
        let before = clamped(-x);
        let end = clamped(self.size[1] as isize - x).max(before);
        for pixels in [before, end - before, self.pixels - end] {
            if pixels > 0 {
                self.part(at, 1, pixels * self.channels);
            }
        }
    }
}

/// A depthwise convolution: of channels with one filter each blocks of channels, else each channel by itself.
pub(crate) fn depthwise(layer: &Layer, work: &mut Work) {
    let ([.., inputs], [_, ow, c]) = (layer.input(), layer.output);
    let own = inputs == c;
    let span = if own { c } else { c / inputs.max(1) };
    let pixels = if own { (BLOCK / c.max(1)).min(ow).max(1) } else { 1 };
    let times = if own { 1 } else { inputs };
    for count in (0..span).step_by(BLOCK).map(|first| (span - first).min(BLOCK)) {
        block(layer, [count, pixels], times as f64, work);
    }
}

/// So many filters, and pixels of a row that are computed together.
fn block(layer: &Layer, [count, pixels]: [usize; 2], times: f64, work: &mut Work) {
    let ([h, w, inputs], [oh, ow, c], window) = (layer.input(), layer.output, &layer.window);
    let (positions, together) = (window.positions(), count * pixels);
    let planes = positions.div_ceil(POSITIONS);
    let channels = if inputs == c { count } else { 1 };
    // Under a stride the windows of pixels computed together are turned one by one.
    let joined = if window.stride[1] == 1 { pixels } else { 1 };
    let mut turn = Turn { window, size: [h, w], channels, pixels: joined, planes, done: Turned::default() };
    let steps = ow.div_ceil(pixels);
    for (row, step) in (0..oh).flat_map(|row| (0..steps).map(move |step| (row, step * pixels))) {
        // The last pixels of a row may overlap those before them.
        let first = step.min(ow - pixels);
        (first..first + pixels).step_by(joined).for_each(|column| turn.windows([row, column]));
    }
    let calls = (oh * steps) as f64;
    let mut add = |feature, n: f64| work.add(feature, times * n);
    add(Feature::DepthwiseParts, 1.0);
    add(Feature::TurnedWeights, (positions * pixels) as f64);
    add(Feature::TurnedWeightVectors, (positions * pixels * count.div_ceil(VECTOR)) as f64);
    add(Feature::VectorFilters, together as f64);
    add(Feature::TurnPlanes, (together * planes) as f64);
    add(Feature::Windows, turn.done.windows as f64);
    add(Feature::EdgeRows, turn.done.rows as f64);
    add(Feature::EdgeColumns, turn.done.columns as f64);
    add(Feature::EdgeParts, turn.done.parts as f64);
    add(Feature::EdgePieces, turn.done.pieces as f64);
    add(Feature::TurnedTaps, turn.done.positions as f64);
    add(Feature::TurnedVectors, turn.done.vectors as f64);
    add(Feature::VectorTiles, calls);
    add(Feature::Groups, calls * (together / 4) as f64);
    add(Feature::GroupPlanes, calls * (together / 4 * (planes - 1)) as f64);
    add(Feature::GroupTails, calls * f64::from(u8::from(!together.is_multiple_of(4))));
}
