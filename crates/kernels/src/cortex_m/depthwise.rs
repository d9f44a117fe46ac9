//! Depthwise convolution: for each output pixel a list of the pixels under the kernel, for four channels at a time a walk
//! along the list.

use crate::tiled::{BLOCK, Engine, Rounding, Scaling};
use crate::{Conv2d, KernelError, Weights, Window};

/// Words of scratch memory: the list, two numbers for each channel, a pixel of padding.
fn sizes(channels: usize, window: &Window) -> [usize; 3] {
    let [kh, kw] = window.kernel;
    [kh.saturating_mul(kw).saturating_mul(2), channels.saturating_mul(2), channels.div_ceil(4)]
}

/// Bytes of scratch memory, a multiple of 4.
pub(crate) fn scratch_len(channels: usize, window: &Window) -> usize {
    sizes(channels, window).iter().fold(0usize, |n, words| n.saturating_add(*words)).saturating_mul(4)
}

/// Where a kernel position reads: first element of its pixel, first element of its weights.
type Tap = [u32; 2];

/// Depthwise convolution of `x` (NHWC) with dense filters 1HWO, as many as there are channels, into `y` (NHWC).
///
/// # Errors
/// [`KernelError::Scratch`] when the scratch memory is too short or not aligned to 4, or there are more filters than
/// channels; then nothing has been written to `y`. Else when lengths and shapes disagree.
pub(super) fn depthwise<E: Engine>(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let c = p.input.c;
    if x.len() != p.input.elements() || y.len() != p.output.elements() || y.is_empty() || x.is_empty() {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(p.output.c)?;
    let [kh, kw] = p.window.kernel;
    let Weights::Dense(weights) = p.linear.weights else { return Err(KernelError::ParameterLength) };
    if kh.saturating_mul(kw).checked_mul(p.output.c) != Some(weights.len()) || weights.is_empty() {
        return Err(KernelError::ParameterLength);
    }
    let words =
        scratch.get_mut(..scratch_len(c, &p.window)).and_then(|s| bytemuck::try_cast_slice_mut(s).ok());
    match words {
        Some(words) if c == p.output.c => {
            pixels::<E>(p, weights, words, x, y).ok_or(KernelError::ParameterLength)
        }
        _ => Err(KernelError::Scratch),
    }
}

fn pixels<E: Engine>(
    p: &Conv2d<'_>,
    weights: &[i8],
    words: &mut [u32],
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let c = p.input.c;
    let [taps, numbers, _] = sizes(c, &p.window);
    let (taps, words) = words.split_at_mut_checked(taps)?;
    let (numbers, padding) = words.split_at_mut_checked(numbers)?;
    let taps = bytemuck::cast_slice_mut::<u32, Tap>(taps);
    let numbers = bytemuck::cast_slice_mut::<u32, [u32; 2]>(numbers);
    let padding = bytemuck::cast_slice_mut::<u32, i8>(padding);
    padding.fill(p.linear.input_zero_point);
    let scaling = Scaling::new(&p.linear, Rounding::Twice);
    for (o, numbers) in numbers.iter_mut().enumerate() {
        *numbers = scaling.filter(o).numbers();
    }
    let mut outputs = y.chunks_exact_mut(c.max(1));
    for row in 0..p.output.h {
        for column in 0..p.output.w {
            let out = outputs.next()?;
            let inside = list(p, [row, column], taps)?;
            let (inside, outside) = taps.split_at_checked(inside)?;
            let sources = [Source::new(inside, x, weights, c)?, Source::new(outside, padding, weights, c)?];
            channels::<E>(&scaling, numbers, &sources, out);
        }
    }
    Some(())
}

/// Lists the kernel positions of an output: first those on pixels, then those on padding. The number of the former.
fn list(p: &Conv2d<'_>, [row, column]: [usize; 2], taps: &mut [Tap]) -> Option<usize> {
    let [top, left] = p.window.corner(row, column);
    let ([kh, kw], [dh, dw]) = (p.window.kernel, p.window.dilation);
    let c = p.input.c;
    let (mut inside, mut outside, mut at) = (0usize, taps.len(), 0usize);
    for ky in 0..kh {
        // Negative numbers become large ones.
        let iy = top.wrapping_add_unsigned(ky.wrapping_mul(dh)).cast_unsigned();
        let mut ix = left.cast_unsigned();
        for _ in 0..kw {
            if iy < p.input.h && ix < p.input.w {
                let pixel = iy.wrapping_mul(p.input.w).wrapping_add(ix).wrapping_mul(c);
                *taps.get_mut(inside)? = [pixel as u32, at as u32];
                inside = inside.wrapping_add(1);
            } else {
                outside = outside.wrapping_sub(1);
                *taps.get_mut(outside)? = [0, at as u32];
            }
            ix = ix.wrapping_add(dw);
            at = at.wrapping_add(c);
        }
    }
    Some(inside)
}

/// Kernel positions whose pixels all lie in one slice.
struct Source<'a> {
    taps: &'a [Tap],
    values: &'a [i8],
    weights: &'a [i8],
    /// At each position, so many values and weights lie inside the slices.
    channels: usize,
}

impl<'a> Source<'a> {
    /// `None` when a position has fewer than `channels` values or weights.
    fn new(taps: &'a [Tap], values: &'a [i8], weights: &'a [i8], channels: usize) -> Option<Self> {
        let last = [values.len().checked_sub(channels)?, weights.len().checked_sub(channels)?];
        let fits = |[value, weight]: &Tap| *value as usize <= last[0] && *weight as usize <= last[1];
        taps.iter().all(fits).then_some(Source { taps, values, weights, channels })
    }

    /// Adds the products of one channel.
    fn add_one(&self, channel: usize, mut sum: i32) -> i32 {
        for [value, weight] in self.taps {
            let at = |from: &[i8], start: u32| {
                from.get((start as usize).wrapping_add(channel)).map_or(0, |v| (*v).into())
            };
            let (x, w): (i32, i32) = (at(self.values, *value), at(self.weights, *weight));
            sum = sum.wrapping_add(x.wrapping_mul(w));
        }
        sum
    }
}

/// All channels of an output pixel.
fn channels<E: Engine>(
    scaling: &Scaling<'_>,
    numbers: &[[u32; 2]],
    sources: &[Source<'_>; 2],
    out: &mut [i8],
) {
    let (blocks, tail) = out.as_chunks_mut::<BLOCK>();
    let (fours, last) = numbers.as_chunks::<BLOCK>();
    let mut channel = 0usize;
    for (out, numbers) in blocks.iter_mut().zip(fours) {
        let mut sums = scaling.biases(channel);
        for source in sources.iter().filter(|s| !s.taps.is_empty()) {
            add_four(source, channel, &mut sums);
        }
        for (i, ((out, numbers), sum)) in out.iter_mut().zip(numbers).zip(sums).enumerate() {
            *out = scaling.finish_numbers(*numbers, channel.wrapping_add(i), sum, E::high_mul);
        }
        channel = channel.wrapping_add(BLOCK);
    }
    for (out, numbers) in tail.iter_mut().zip(last) {
        let [bias, ..] = scaling.biases(channel);
        let sum = sources.iter().fold(bias, |sum, source| source.add_one(channel, sum));
        *out = scaling.finish_numbers(*numbers, channel, sum, E::high_mul);
        channel = channel.wrapping_add(1);
    }
}

/// Adds the products of four channels from `first` on.
#[inline(always)]
#[allow(unsafe_code)]
fn add_four(source: &Source<'_>, first: usize, sums: &mut [i32; BLOCK]) {
    if first.wrapping_add(BLOCK) > source.channels {
        return;
    }
    let (values, weights) =
        (source.values.as_ptr().wrapping_add(first), source.weights.as_ptr().wrapping_add(first));
    let [mut a, mut b, mut c, mut d] = *sums;
    for [value, weight] in source.taps {
        // SAFETY: at each position, all channels lie inside the slices.
        let (x, w) = unsafe {
            let x = values.add(*value as usize).cast::<[i8; BLOCK]>().read();
            (x, weights.add(*weight as usize).cast::<[i8; BLOCK]>().read())
        };
        let products = products(x, w);
        a = a.wrapping_add(products[0]);
        b = b.wrapping_add(products[1]);
        c = c.wrapping_add(products[2]);
        d = d.wrapping_add(products[3]);
    }
    *sums = [a, b, c, d];
}

/// The products, each on its own.
#[inline(always)]
fn products(x: [i8; BLOCK], w: [i8; BLOCK]) -> [i32; BLOCK] {
    #[cfg(dtmm_isa = "dsp")]
    {
        let low = |v: u32| i32::from(v as u16 as i16);
        let high = |v: u32| v.cast_signed() >> 16;
        let [x, w] = [x, w].map(|v| super::dsp::halves(u32::from_le_bytes(v.map(i8::cast_unsigned))));
        [low(x[0]) * low(w[0]), low(x[1]) * low(w[1]), high(x[0]) * high(w[0]), high(x[1]) * high(w[1])]
    }
    #[cfg(not(dtmm_isa = "dsp"))]
    {
        let [a, b, c, d] = x.map(i32::from);
        let [e, f, g, h] = w.map(i32::from);
        [a * e, b * f, c * g, d * h]
    }
}
