//! Geometry of sliding windows: image patches as matrix rows and back.

use std::ops::Range;

use dtmm_graph::Window;

use crate::exec::Dims;

/// A window sliding over one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slide {
    /// Input height, width, channels.
    pub x: Dims,
    /// Output height, width, channels.
    pub y: Dims,
    pub window: Window,
}

impl Slide {
    pub fn new(x: Dims, y: Dims, window: Window) -> Self {
        Slide { x, y, window }
    }

    pub fn x_len(&self) -> usize {
        self.x.iter().product()
    }

    pub fn y_len(&self) -> usize {
        self.y.iter().product()
    }

    /// Output pixels of one sample.
    pub fn pixels(&self) -> usize {
        self.y[0] * self.y[1]
    }

    /// Values of one patch, all input channels.
    pub fn patch(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.x[2]
    }

    /// True when a patch is a pixel and patches follow one another as pixels do.
    pub fn is_pointwise(&self) -> bool {
        self.window == Window::new([1, 1])
    }

    /// Input row of kernel row `k` at output row `o`, when inside.
    pub fn row(&self, o: usize, k: usize) -> Option<usize> {
        let w = &self.window;
        (o * w.stride[0] + k * w.dilation[0]).checked_sub(w.padding.top).filter(|&r| r < self.x[0])
    }

    /// Input column of kernel column `k` at output column `o`, when inside.
    pub fn col(&self, o: usize, k: usize) -> Option<usize> {
        let w = &self.window;
        (o * w.stride[1] + k * w.dilation[1]).checked_sub(w.padding.left).filter(|&c| c < self.x[1])
    }

    /// Kernel columns that lie inside the input at output column `o`.
    pub fn inside(&self, o: usize) -> Range<usize> {
        let (w, kernel) = (&self.window, self.window.kernel[1]);
        let start = o * w.stride[1];
        let lo = w.padding.left.saturating_sub(start).div_ceil(w.dilation[1]).min(kernel);
        let room = (self.x[1] + w.padding.left).saturating_sub(start);
        lo..room.div_ceil(w.dilation[1]).clamp(lo, kernel)
    }

    /// Writes the patches of one sample's output rows from `first` on as rows `(kh, kw, c)`; outside the input is zero.
    #[inline(always)]
    pub fn im2row(&self, x: &[f32], first: usize, rows: &mut [f32]) {
        let ([_, width, c], [_, ow, _]) = (self.x, self.y);
        let segment = self.window.kernel[1] * c;
        let columns = self.columns();
        let (kh, mut at) = (self.window.kernel[0], 0);
        for o in first..first + rows.len() / (ow * self.patch()) {
            for (inside, column) in &columns {
                for k in 0..kh {
                    let seg = &mut rows[at..];
                    at += segment;
                    let Some(iy) = self.row(o, k).filter(|_| !inside.is_empty()) else {
                        seg[..segment].fill(0.0);
                        continue;
                    };
                    let (from, to) = (inside.start * c, inside.end * c);
                    seg[..from].fill(0.0);
                    let src = &x[(iy * width + column) * c..];
                    copy_pixels(&mut seg[from..], to - from, src, c, self.window.dilation[1]);
                    seg[to..segment].fill(0.0);
                }
            }
        }
    }

    /// Adds the patches of output rows from `first` on to the pixels that they came from.
    #[inline(always)]
    pub fn row2im(&self, x: &mut [f32], first: usize, rows: &[f32]) {
        let ([_, width, c], [_, ow, _]) = (self.x, self.y);
        let (segment, dilation) = (self.window.kernel[1] * c, self.window.dilation[1]);
        let columns = self.columns();
        for (o, rows) in (first..).zip(rows.chunks_exact(ow * self.patch())) {
            for ((inside, column), row) in columns.iter().zip(rows.chunks_exact(self.patch())) {
                for (kh, seg) in row.chunks_exact(segment).enumerate() {
                    let Some(iy) = self.row(o, kh).filter(|_| !inside.is_empty()) else { continue };
                    let dst = &mut x[(iy * width + column) * c..];
                    add_pixels(dst, &seg[inside.start * c..inside.end * c], c, dilation);
                }
            }
        }
    }

    /// For each output column the kernel columns inside the input, and the input column of the first of them.
    fn columns(&self) -> Vec<(Range<usize>, usize)> {
        let w = &self.window;
        let column =
            |o: usize, k: usize| (o * w.stride[1] + k * w.dilation[1]).saturating_sub(w.padding.left);
        (0..self.y[1]).map(|o| (self.inside(o), column(o, self.inside(o).start))).collect()
    }
}

/// Copies `len` values in pixels of `c`, `step` pixels apart in `src`. What `dst` holds behind them is lost.
#[inline(always)]
fn copy_pixels(dst: &mut [f32], len: usize, src: &[f32], c: usize, step: usize) {
    if step == 1 {
        copy_run(dst, len, src);
        return;
    }
    for (d, s) in dst[..len].chunks_exact_mut(c).zip(src.chunks(step * c)) {
        d.copy_from_slice(&s[..c]);
    }
}

/// Values of one vector move.
const LANES: usize = 16;

/// Runs are short: whole vectors, also beyond `len` where there is room, beat a call of `memcpy`.
#[inline(always)]
fn copy_run(dst: &mut [f32], len: usize, src: &[f32]) {
    let whole = len.next_multiple_of(LANES);
    if dst.len() < whole || src.len() < whole {
        dst[..len].copy_from_slice(&src[..len]);
        return;
    }
    let (to, from) = (dst[..whole].as_chunks_mut::<LANES>().0, src[..whole].as_chunks::<LANES>().0);
    for (d, s) in to.iter_mut().zip(from) {
        *d = *s;
    }
}

#[inline(always)]
fn add_pixels(dst: &mut [f32], src: &[f32], c: usize, step: usize) {
    if step == 1 {
        dst.iter_mut().zip(src).for_each(|(d, s)| *d += s);
        return;
    }
    for (s, d) in src.chunks_exact(c).zip(dst.chunks_mut(step * c)) {
        d.iter_mut().zip(s).for_each(|(d, s)| *d += s);
    }
}
