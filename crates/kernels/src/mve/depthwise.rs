//! DepthwiseConv2d.
//!
//! The dot product instruction sums over the kernel positions of one channel, so the bytes of a window are turned from
//! positions × channels to channels × positions, 16 positions to a vector, by scatter stores: the weights once for each
//! block of channels, the input for each output pixel.

use super::geometry::{self, BLOCK, DepthwiseParts, POSITIONS, depthwise_parts};
use super::memory;
use super::turn::{self, Grid, Group};
use crate::{Conv2d, KernelError, Shape, Weights};

/// As [`crate::reference::depthwise_conv2d_s8`], for channels with one filter each, at least four in four pixels of a
/// row, or a multiple of four filters for each channel.
///
/// # Errors
/// When lengths and shapes disagree; [`KernelError::Scratch`] for other channel counts and with less scratch memory than
/// [`super::geometry::depthwise_scratch`] says.
pub fn depthwise_conv2d_s8(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let weights = check(p, x, y)?;
    let multiplier = p.output.c.checked_div(p.input.c).ok_or(KernelError::Shape)?;
    if multiplier.wrapping_mul(p.input.c) != p.output.c {
        return Err(KernelError::Shape);
    }
    let own = multiplier == 1;
    let pixels = if own { geometry::depthwise_pixels(&p.output) } else { 1 };
    let takes = geometry::takes_depthwise(&p.input, &p.output);
    if !takes || !scratch.as_ptr().addr().is_multiple_of(4) {
        return Err(KernelError::Scratch);
    }
    let parts = depthwise_parts(&p.output, &p.window);
    let mut memory = Memory::cut(scratch, &parts).ok_or(KernelError::Scratch)?;
    memory::fill(memory.constant, p.linear.input_zero_point);
    // Positions beyond the last one meet weights of zero.
    memory::fill(memory.window, 0);
    let span = if own { p.output.c } else { multiplier };
    for start in (0..p.output.c).step_by(span.max(1)) {
        for at in (0..span).step_by(BLOCK) {
            let count = span.wrapping_sub(at).min(BLOCK);
            // The last block has at least four filters, or several pixels; it may overlap the one before it.
            let narrow = count < 4 && pixels == 1;
            let (at, count) = if narrow { (span.wrapping_sub(4), 4) } else { (at, count) };
            let first = start.wrapping_add(at);
            let inputs = if own { (first, count) } else { (first / multiplier.max(1), 1) };
            let block = Block { p, x, first, count, inputs, pixels, parts };
            block.prepare(weights, &mut memory).ok_or(KernelError::ParameterLength)?;
            block.run(&mut memory, y).ok_or(KernelError::Shape)?;
        }
    }
    Ok(())
}

fn check<'a>(p: &Conv2d<'a>, x: &[i8], y: &[i8]) -> Result<&'a [i8], KernelError> {
    let fits = |len: usize, shape: &Shape| len == shape.elements() && len > 0;
    if !fits(x.len(), &p.input) || !fits(y.len(), &p.output) {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(p.output.c)?;
    let positions = p.window.kernel[0].saturating_mul(p.window.kernel[1]);
    match p.linear.weights {
        Weights::Dense(w) if positions > 0 && positions.checked_mul(p.output.c) == Some(w.len()) => Ok(w),
        _ => Err(KernelError::ParameterLength),
    }
}

/// The parts of the scratch memory.
struct Memory<'a> {
    /// Turned weights.
    weights: &'a mut [i8],
    /// Turned window.
    window: &'a mut [i8],
    /// Biases and scales.
    scales: &'a mut [[i32; 16]],
    /// The input's zero point: channels of a padded pixel.
    constant: &'a mut [i8],
}

impl<'a> Memory<'a> {
    fn cut(scratch: &'a mut [i8], parts: &DepthwiseParts) -> Option<Self> {
        let (weights, rest) = scratch.split_at_mut_checked(parts.turned)?;
        let (window, rest) = rest.split_at_mut_checked(parts.turned)?;
        let (scales, rest) = rest.split_at_mut_checked(parts.scales)?;
        let constant = rest.get_mut(..BLOCK)?;
        Some(Memory { weights, window, scales: memory::scales(scales), constant })
    }
}

/// Up to [`BLOCK`] filters.
struct Block<'a> {
    p: &'a Conv2d<'a>,
    x: &'a [i8],
    first: usize,
    count: usize,
    /// First input channel and their number.
    inputs: (usize, usize),
    /// Output pixels of a row that are computed together; the filters are repeated for each.
    pixels: usize,
    parts: DepthwiseParts,
}

impl Block<'_> {
    /// Filters times pixels.
    fn together(&self) -> usize {
        self.count.wrapping_mul(self.pixels)
    }

    /// Turns the weights and writes the scales down, four filters to a record.
    #[inline(never)]
    fn prepare(&self, weights: &[i8], memory: &mut Memory<'_>) -> Option<()> {
        memory::fill(memory.weights, 0);
        for (at, row) in weights.chunks_exact(self.p.output.c.max(1)).enumerate() {
            let row = row.get(self.first..self.first.wrapping_add(self.count))?;
            for pixel in 0..self.pixels {
                let to = memory.weights.get_mut(self.count.wrapping_mul(pixel).wrapping_mul(POSITIONS)..)?;
                self.turn(to, at, 1, (row, 0), row.len())?;
            }
        }
        let together = self.together();
        let starts = (0..together).step_by(4).map(|at| at.min(together.wrapping_sub(4)));
        for (record, start) in memory.scales.iter_mut().zip(starts) {
            let (quads, _) = record.as_chunks_mut::<4>();
            let [bias, left, multiplier, right] = quads else { return None };
            for lane in 0..4 {
                let o = self.first.wrapping_add(start.wrapping_add(lane).checked_rem(self.count)?);
                let (m, shift) = self.p.linear.scale(o);
                *bias.get_mut(lane)? = self.p.linear.bias(o);
                *left.get_mut(lane)? = i32::from(shift.max(0));
                *multiplier.get_mut(lane)? = m;
                *right.get_mut(lane)? = i32::from(shift.min(0));
            }
        }
        Some(())
    }

    /// Scatters `count` positions from position `at` on; `step` bytes lie between their `channels` in `source`.
    fn turn(
        &self,
        to: &mut [i8],
        mut at: usize,
        mut count: usize,
        (mut source, right): (&[i8], usize),
        channels: usize,
    ) -> Option<()> {
        let grid = |columns| Grid { rows: 1, columns, down: 0, right };
        if self.parts.planes == 1 {
            return turn::positions(to.get_mut(at..)?, source, grid(count), channels);
        }
        while count > 0 {
            let now = count.min(POSITIONS.wrapping_sub(at % POSITIONS));
            let plane = (at / POSITIONS).wrapping_mul(self.parts.plane);
            let to = to.get_mut(plane.wrapping_add(at % POSITIONS)..)?;
            turn::positions(to, source, grid(now), channels)?;
            count = count.wrapping_sub(now);
            at = at.wrapping_add(now);
            if count > 0 {
                source = source.get(right.wrapping_mul(now)..)?;
            }
        }
        Some(())
    }

    /// Turns a window without padding that fits one plane, from input row `top`, column `left` on; `None` for others.
    #[inline(always)]
    fn whole(&self, to: &mut [i8], [top, left]: [isize; 2], pixels: usize, channels: usize) -> Option<()> {
        let ([kh, kw], [dh, dw]) = (self.p.window.kernel, self.p.window.dilation);
        let Shape { h, w, c } = self.p.input;
        let (y, x) = (usize::try_from(top).ok()?, usize::try_from(left).ok()?);
        let bottom = y.wrapping_add(kh.wrapping_sub(1).wrapping_mul(dh));
        let end = x.wrapping_add(kw.wrapping_sub(1).wrapping_mul(dw)).wrapping_add(pixels);
        if self.parts.planes != 1 || bottom >= h || end > w {
            return None;
        }
        let (down, right) = (dh.wrapping_mul(w).wrapping_mul(c), dw.wrapping_mul(c));
        let at = y.wrapping_mul(w).wrapping_add(x).wrapping_mul(c).wrapping_add(self.inputs.0);
        turn::positions(to, self.x.get(at..)?, Grid { rows: kh, columns: kw, down, right }, channels)
    }

    #[inline(never)]
    fn run(&self, memory: &mut Memory<'_>, y: &mut [i8]) -> Option<()> {
        let Shape { h, w, c } = self.p.output;
        let together = self.together();
        let groups = together / 4;
        let tail = !together.is_multiple_of(4);
        let own = self.p.input.c == c;
        let mut group = Group::new(&self.p.linear, self.parts.planes, self.parts.plane, own);
        for row in 0..h {
            for column in (0..w).step_by(self.pixels.max(1)) {
                // The last pixels of a row may overlap those before them.
                let column = column.min(w.wrapping_sub(self.pixels));
                self.windows(memory, row, column)?;
                let at = row.wrapping_mul(w).wrapping_add(column).wrapping_mul(c).wrapping_add(self.first);
                let out = y.get_mut(at..at.wrapping_add(together))?;
                group.run(memory.window, memory.weights, memory.scales, groups, out)?;
                if tail {
                    let skipped = together.wrapping_sub(4);
                    let bytes = skipped.wrapping_mul(POSITIONS);
                    let (x, weights) = (memory.window.get(bytes..)?, memory.weights.get(bytes..)?);
                    group.run(x, weights, memory.scales.get(groups..)?, 1, out.get_mut(skipped..)?)?;
                }
            }
        }
        Some(())
    }

    /// Turns the windows of the outputs from `row`, `column` on.
    #[inline(always)]
    fn windows(&self, memory: &mut Memory<'_>, row: usize, column: usize) -> Option<()> {
        if self.pixels == 1 {
            return self.window(memory, row, column, 0);
        }
        if self.p.window.stride[1] == 1 {
            return self.row(memory, row, column);
        }
        (0..self.pixels).try_for_each(|pixel| {
            self.window(memory, row, column.wrapping_add(pixel), pixel.wrapping_mul(self.count))
        })
    }

    /// Turns the windows of several outputs whose pixels are neighbours in the input, too.
    #[inline(never)]
    fn row(&self, memory: &mut Memory<'_>, row: usize, column: usize) -> Option<()> {
        let [top, left] = self.p.window.corner(row, column);
        let ([kh, kw], [dh, dw]) = (self.p.window.kernel, self.p.window.dilation);
        let Shape { h, w, c } = self.p.input;
        let all = self.together();
        if self.whole(memory.window, [top, left], self.pixels, all).is_some() {
            return Some(());
        }
        let reach = kw.wrapping_sub(1).wrapping_mul(dw).wrapping_add(self.pixels);
        let whole = left >= 0 && left.wrapping_add_unsigned(reach) <= w as isize;
        let constant = &*memory.constant;
        for ky in 0..kh {
            let y = top.wrapping_add_unsigned(ky.wrapping_mul(dh)).cast_unsigned();
            let at = ky.wrapping_mul(kw);
            if y >= h {
                self.turn(memory.window, at, kw, (constant, 0), all)?;
                continue;
            }
            let line = y.wrapping_mul(w);
            if whole {
                let source = self.x.get(line.wrapping_add_signed(left).wrapping_mul(c)..)?;
                self.turn(memory.window, at, kw, (source, dw.wrapping_mul(c)), all)?;
                continue;
            }
            for kx in 0..kw {
                let x = left.wrapping_add_unsigned(kx.wrapping_mul(dw));
                let before = usize::try_from(x.wrapping_neg()).unwrap_or(0).min(self.pixels);
                let end = usize::try_from((w as isize).wrapping_sub(x)).unwrap_or(0).min(self.pixels);
                let end = end.max(before);
                for (from, to, inside) in [(0, before, false), (before, end, true), (end, self.pixels, false)]
                {
                    let channels = to.wrapping_sub(from).wrapping_mul(c);
                    if channels == 0 {
                        continue;
                    }
                    let pixel = line.wrapping_add_signed(x.wrapping_add_unsigned(from)).wrapping_mul(c);
                    let source = if inside { self.x.get(pixel..)? } else { constant };
                    let place = memory.window.get_mut(from.wrapping_mul(c).wrapping_mul(POSITIONS)..)?;
                    self.turn(place, at.wrapping_add(kx), 1, (source, 0), channels)?;
                }
            }
        }
        Some(())
    }

    /// Turns the window of the output at `row`, `column`, to filter `place` of the block.
    #[inline(always)]
    fn window(&self, memory: &mut Memory<'_>, row: usize, column: usize, place: usize) -> Option<()> {
        let window = memory.window.get_mut(place.wrapping_mul(POSITIONS)..)?;
        let [top, left] = self.p.window.corner(row, column);
        let ([kh, kw], [dh, dw]) = (self.p.window.kernel, self.p.window.dilation);
        let Shape { h, w, c } = self.p.input;
        let step = dw.wrapping_mul(c);
        let (first, channels) = self.inputs;
        if self.whole(window, [top, left], 1, channels).is_some() {
            return Some(());
        }
        let (before, end) = if dw == 1 {
            let end = usize::try_from((w as isize).wrapping_sub(left)).unwrap_or(0);
            (usize::try_from(left.wrapping_neg()).unwrap_or(0), end)
        } else {
            let from =
                |edge: isize| usize::try_from(edge.wrapping_sub(left)).unwrap_or(0).div_ceil(dw.max(1));
            (from(0), from(w as isize))
        };
        let (before, end) = (before.min(kw), end.min(kw));
        let inside = end.saturating_sub(before);
        let start = left.wrapping_add_unsigned(before.wrapping_mul(dw)).cast_unsigned();
        let constant = &*memory.constant;
        for ky in 0..kh {
            let y = top.wrapping_add_unsigned(ky.wrapping_mul(dh)).cast_unsigned();
            let at = ky.wrapping_mul(kw);
            if y >= h || inside == 0 {
                self.turn(window, at, kw, (constant, 0), channels)?;
                continue;
            }
            let pixel = y.wrapping_mul(w).wrapping_add(start).wrapping_mul(c).wrapping_add(first);
            let source = self.x.get(pixel..)?;
            self.turn(window, at.wrapping_add(before), inside, (source, step), channels)?;
            if before > 0 {
                self.turn(window, at, before, (constant, 0), channels)?;
            }
            if end < kw {
                let after = kw.wrapping_sub(end);
                self.turn(window, at.wrapping_add(end), after, (constant, 0), channels)?;
            }
        }
        Some(())
    }
}
