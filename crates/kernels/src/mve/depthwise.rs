//! DepthwiseConv2d.
//!
//! The dot product instruction sums over the kernel positions of one channel, so the bytes of a window are turned from
//! positions × channels to channels × positions, 16 positions to a vector, by scatter stores: the weights once for each
//! block of channels, the input for each output pixel.

use super::geometry::{BLOCK, DepthwiseParts, POSITIONS, depthwise_parts};
use super::memory;
use super::turn::{self, Group};
use crate::{Conv2d, KernelError, Shape, Weights};

/// As [`crate::reference::depthwise_conv2d_s8`], for at least four channels with one filter each, or a multiple of four
/// filters for each channel.
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
    let takes = if multiplier == 1 { p.output.c >= 4 } else { multiplier.is_multiple_of(4) };
    if !takes || !scratch.as_ptr().addr().is_multiple_of(4) {
        return Err(KernelError::Scratch);
    }
    let parts = depthwise_parts(&p.output, &p.window);
    let mut memory = Memory::cut(scratch, &parts).ok_or(KernelError::Scratch)?;
    memory::fill(memory.constant, p.linear.input_zero_point);
    // Positions beyond the last one meet weights of zero.
    memory::fill(memory.window, 0);
    let own = multiplier == 1;
    let span = if own { p.output.c } else { multiplier };
    for start in (0..p.output.c).step_by(span.max(1)) {
        for at in (0..span).step_by(BLOCK) {
            let count = span.wrapping_sub(at).min(BLOCK);
            // The last block has at least four filters; it may overlap the one before it.
            let (at, count) = if count < 4 { (span.wrapping_sub(4), 4) } else { (at, count) };
            let first = start.wrapping_add(at);
            let inputs = if own { (first, count) } else { (first / multiplier.max(1), 1) };
            let block = Block { p, x, first, count, inputs, parts };
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
    parts: DepthwiseParts,
}

impl Block<'_> {
    /// Turns the weights and writes the scales down, four filters to a record.
    fn prepare(&self, weights: &[i8], memory: &mut Memory<'_>) -> Option<()> {
        memory::fill(memory.weights, 0);
        for (at, row) in weights.chunks_exact(self.p.output.c.max(1)).enumerate() {
            let row = row.get(self.first..self.first.wrapping_add(self.count))?;
            self.turn(memory.weights, at, 1, (row, 0), row.len())?;
        }
        let starts = (0..self.count).step_by(4).map(|at| at.min(self.count.wrapping_sub(4)));
        for (record, start) in memory.scales.iter_mut().zip(starts) {
            let (quads, _) = record.as_chunks_mut::<4>();
            let [bias, left, multiplier, right] = quads else { return None };
            for lane in 0..4 {
                let o = self.first.wrapping_add(start).wrapping_add(lane);
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
        (mut source, step): (&[i8], usize),
        channels: usize,
    ) -> Option<()> {
        if self.parts.planes == 1 {
            return turn::positions(to.get_mut(at..)?, source, step, count, channels);
        }
        while count > 0 {
            let now = count.min(POSITIONS.wrapping_sub(at % POSITIONS));
            let plane = (at / POSITIONS).wrapping_mul(self.parts.plane);
            turn::positions(to.get_mut(plane.wrapping_add(at % POSITIONS)..)?, source, step, now, channels)?;
            count = count.wrapping_sub(now);
            at = at.wrapping_add(now);
            if count > 0 {
                source = source.get(step.wrapping_mul(now)..)?;
            }
        }
        Some(())
    }

    fn run(&self, memory: &mut Memory<'_>, y: &mut [i8]) -> Option<()> {
        let Shape { h, w, c } = self.p.output;
        let linear = &self.p.linear;
        let groups = self.count / 4;
        let tail = !self.count.is_multiple_of(4);
        let own = self.p.input.c == c;
        let planes = self.parts.planes;
        let mut group = Group::new(linear, planes, self.parts.plane, own);
        let mut at = self.first;
        for row in 0..h {
            for column in 0..w {
                self.window(memory, row, column)?;
                let out = y.get_mut(at..at.wrapping_add(self.count))?;
                group.run(memory.window, memory.weights, memory.scales, groups, out)?;
                if tail {
                    let skipped = self.count.wrapping_sub(4);
                    let bytes = skipped.wrapping_mul(POSITIONS);
                    let (x, weights) = (memory.window.get(bytes..)?, memory.weights.get(bytes..)?);
                    group.run(x, weights, memory.scales.get(groups..)?, 1, out.get_mut(skipped..)?)?;
                }
                at = at.wrapping_add(c);
            }
        }
        Some(())
    }

    /// Turns the window of the output at `row`, `column`.
    #[inline(always)]
    fn window(&self, memory: &mut Memory<'_>, row: usize, column: usize) -> Option<()> {
        let [top, left] = self.p.window.corner(row, column);
        let ([kh, kw], [dh, dw]) = (self.p.window.kernel, self.p.window.dilation);
        let Shape { h, w, c } = self.p.input;
        let step = dw.wrapping_mul(c);
        let (first, channels) = self.inputs;
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
                self.turn(memory.window, at, kw, (constant, 0), channels)?;
                continue;
            }
            let pixel = y.wrapping_mul(w).wrapping_add(start).wrapping_mul(c).wrapping_add(first);
            let source = self.x.get(pixel..)?;
            self.turn(memory.window, at.wrapping_add(before), inside, (source, step), channels)?;
            if before > 0 {
                self.turn(memory.window, at, before, (constant, 0), channels)?;
            }
            if end < kw {
                let after = kw.wrapping_sub(end);
                self.turn(memory.window, at.wrapping_add(end), after, (constant, 0), channels)?;
            }
        }
        Some(())
    }
}
