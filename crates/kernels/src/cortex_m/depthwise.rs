//! Depthwise convolution: for each output pixel a list of the pixels under the kernel, for four channels at a time a walk
//! along the list.

use crate::tiled::{BLOCK, Engine, Scaling};
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
#[inline(never)]
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

#[inline(always)]
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
    let taps = bytemuck::try_cast_slice_mut::<u32, Tap>(taps).unwrap_or_default();
    let numbers = bytemuck::try_cast_slice_mut::<u32, [u32; 2]>(numbers).unwrap_or_default();
    let padding = bytemuck::try_cast_slice_mut::<u32, i8>(padding).unwrap_or_default();
    padding.fill(p.linear.input_zero_point);
    let scaling = Scaling::new(&p.linear);
    for (o, numbers) in numbers.iter_mut().enumerate() {
        *numbers = scaling.filter(o).numbers();
    }
    let short = numbers.iter().all(|[_, shift]| *shift > 0);
    let mut outputs = y.chunks_exact_mut(c.max(1));
    for row in 0..p.output.h {
        for column in 0..p.output.w {
            let out = outputs.next()?;
            let inside = list(p, [row, column], taps)?;
            let (inside, outside) = taps.split_at_checked(inside)?;
            let sources = [Source::new(inside, x, weights, c)?, Source::new(outside, padding, weights, c)?];
            let done = if short { blocks(&scaling, numbers, &sources, out) } else { 0 };
            channels::<E>(&scaling, done, (numbers.get(done..)?, out.get_mut(done..)?), &sources);
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

/// All channels of an output pixel from `channel` on.
fn channels<E: Engine>(
    scaling: &Scaling<'_>,
    mut channel: usize,
    (numbers, out): (&[[u32; 2]], &mut [i8]),
    sources: &[Source<'_>; 2],
) {
    let (blocks, tail) = out.as_chunks_mut::<BLOCK>();
    let (fours, last) = numbers.as_chunks::<BLOCK>();
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
    // SAFETY: there are positions; at each of them, all channels lie inside the slices.
    #[cfg(dtmm_isa = "v6m")]
    unsafe {
        let taps = source.taps.as_ptr_range();
        add_products(taps.start, taps.end, values, weights, sums);
    }
    #[cfg(not(dtmm_isa = "v6m"))]
    {
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
}

/// Adds the products of four channels at each position from `taps` to `end`, of which there is at least one.
#[cfg(dtmm_isa = "v6m")]
#[allow(unsafe_code)]
#[unsafe(naked)]
unsafe extern "C" fn add_products(
    taps: *const Tap,
    end: *const Tap,
    values: *const i8,
    weights: *const i8,
    sums: &mut [i32; BLOCK],
) {
    core::arch::naked_asm!(
        // Sums in r10-r12 and lr, values at r8, weights at r9; channels at r1 and r2 plus 0 (r6) or 1 (r7).
        ".macro DTMM_PRODUCT sum, step",
        "ldrsb r4, [r1, \\step]",
        "ldrsb r5, [r2, \\step]",
        "muls r4, r5, r4",
        "add \\sum, r4",
        ".endm",
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r1, r4-r7}}",
        "mov r8, r2",
        "mov r9, r3",
        "ldr r1, [sp, #40]",
        "ldmia r1!, {{r4-r7}}",
        "mov r10, r4",
        "mov r11, r5",
        "mov r12, r6",
        "mov lr, r7",
        "movs r6, #0",
        "movs r7, #1",
        "2:",
        "ldmia r0!, {{r1, r2}}",
        "add r1, r8",
        "add r2, r9",
        "DTMM_PRODUCT r10, r6",
        "DTMM_PRODUCT r11, r7",
        "adds r1, #2",
        "adds r2, #2",
        "DTMM_PRODUCT r12, r6",
        "DTMM_PRODUCT lr, r7",
        "ldr r3, [sp]",
        "cmp r0, r3",
        "bne 2b",
        "ldr r0, [sp, #40]",
        "mov r4, r10",
        "mov r5, r11",
        "mov r6, r12",
        "mov r7, lr",
        "stmia r0!, {{r4-r7}}",
        "pop {{r3-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
        ".purgem DTMM_PRODUCT",
    )
}

/// The products, each on its own.
#[cfg(not(dtmm_isa = "v6m"))]
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

/// Computes whole blocks of channels of an output pixel where there are instructions for it; the number of channels. Every
/// filter has the short form of scaling.
#[cfg(not(any(dtmm_isa = "dsp", dtmm_isa = "v7m")))]
fn blocks(_: &Scaling<'_>, _: &[[u32; 2]], _: &[Source<'_>; 2], _: &mut [i8]) -> usize {
    0
}

#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
use instructions::blocks;

/// Four channels at a time.
#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
#[allow(unsafe_code)]
mod instructions {
    use core::arch::naked_asm;

    use super::{BLOCK, Scaling, Source, Tap};

    /// What the assembler reads and moves on.
    #[repr(C)]
    struct Pixel {
        inside: *const Tap,
        outside: *const Tap,
        values: *const i8,
        weights: *const i8,
        end: *const Tap,
        padding: *const i8,
        bias: *const [u8; 4],
        numbers: *const [u32; 2],
        out: *mut i8,
        blocks: usize,
        offset: i32,
        low: i32,
        back: i32,
    }

    /// Computes whole blocks of channels of an output pixel; the number of channels. Every filter has the short form of
    /// scaling.
    pub fn blocks(
        scaling: &Scaling<'_>,
        numbers: &[[u32; 2]],
        sources: &[Source<'_>; 2],
        out: &mut [i8],
    ) -> usize {
        let [inside, outside] = sources;
        let bias = scaling.all_biases();
        let channels =
            inside.channels.min(outside.channels).min(out.len()).min(numbers.len()).min(bias.len());
        let follows = inside.taps.as_ptr_range().end == outside.taps.as_ptr();
        if channels < BLOCK
            || !follows
            || inside.weights.as_ptr() != outside.weights.as_ptr()
            || !bias.as_ptr().cast::<u32>().is_aligned()
        {
            return 0;
        }
        let short = scaling.short();
        let mut pixel = Pixel {
            inside: inside.taps.as_ptr(),
            outside: outside.taps.as_ptr(),
            values: inside.values.as_ptr(),
            weights: inside.weights.as_ptr(),
            end: outside.taps.as_ptr_range().end,
            padding: outside.values.as_ptr(),
            bias: bias.as_ptr(),
            numbers: numbers.as_ptr(),
            out: out.as_mut_ptr(),
            blocks: channels / BLOCK,
            offset: short.offset,
            low: short.low,
            back: short.back,
        };
        // SAFETY: the positions of both sources lie behind each other; at each of them there are as many channels in the
        // values and in the weights, as there are biases, numbers and outputs; padding is read at its start only, where it
        // has a block. The biases are aligned.
        unsafe { add_blocks(&mut pixel) };
        channels / BLOCK * BLOCK
    }

    #[unsafe(naked)]
    unsafe extern "C" fn add_blocks(pixel: &mut Pixel) {
        naked_asm!(
            // Adds the products at the position at r0: values at r2, weights at r3, sums in r4-r7.
            ".macro DTMM_POSITION",
            "ldmia r0!, {{r8, r9}}",
            #[cfg(dtmm_isa = "dsp")]
            "ldr r8, [r2, r8]
            ldr r9, [r3, r9]
            sxtb16 r10, r8
            sxtb16 r11, r9
            sxtb16 r8, r8, ror #8
            sxtb16 r9, r9, ror #8
            smlabb r4, r10, r11, r4
            smlatt r6, r10, r11, r6
            smlabb r5, r8, r9, r5
            smlatt r7, r8, r9, r7",
            #[cfg(dtmm_isa = "v7m")]
            "add r8, r2
            add r9, r3
            ldrsb r10, [r8]
            ldrsb r11, [r9]
            ldrsb r12, [r8, #1]
            ldrsb lr, [r9, #1]
            mla r4, r10, r11, r4
            mla r5, r12, lr, r5
            ldrsb r10, [r8, #2]
            ldrsb r11, [r9, #2]
            ldrsb r12, [r8, #3]
            ldrsb lr, [r9, #3]
            mla r6, r10, r11, r6
            mla r7, r12, lr, r7",
            ".endm",
            ".macro DTMM_SCALE sum",
            "ldrd r2, r3, [r0], #8",
            #[cfg(dtmm_isa = "dsp")]
            "smmlar \\sum, \\sum, r2, \\sum",
            #[cfg(dtmm_isa = "v7m")]
            "smull r11, lr, \\sum, r2
            adds r11, r11, #0x80000000
            adc \\sum, \\sum, lr",
            "add \\sum, \\sum, \\sum, asr #31",
            "asr \\sum, r3",
            "add \\sum, r8",
            "ssat \\sum, #8, \\sum, asr #1",
            "cmp \\sum, r9",
            "it lt",
            "movlt \\sum, r9",
            "sub \\sum, r10",
            "strb \\sum, [r1], #1",
            ".endm",
            "push {{r0, r4-r11, lr}}",
            "2:",
            "ldr r12, [sp]",
            "ldm r12, {{r0-r3}}",
            "ldr lr, [r12, #24]",
            "ldmia lr!, {{r4-r7}}",
            "str lr, [r12, #24]",
            "cmp r0, r1",
            "beq 4f",
            "3:",
            "DTMM_POSITION",
            "cmp r0, r1",
            "bne 3b",
            "4:",
            "ldr r12, [sp]",
            "ldrd r1, r2, [r12, #16]",
            "cmp r0, r1",
            "beq 6f",
            "5:",
            "DTMM_POSITION",
            "cmp r0, r1",
            "bne 5b",
            "6:",
            "ldr r12, [sp]",
            "ldrd r2, r3, [r12, #8]",
            "add r2, #4",
            "add r3, #4",
            "strd r2, r3, [r12, #8]",
            "ldrd r0, r1, [r12, #28]",
            "add r8, r12, #40",
            "ldm r8, {{r8-r10}}",
            "DTMM_SCALE r4",
            "DTMM_SCALE r5",
            "DTMM_SCALE r6",
            "DTMM_SCALE r7",
            "strd r0, r1, [r12, #28]",
            "ldr r2, [r12, #36]",
            "subs r2, #1",
            "str r2, [r12, #36]",
            "bne 2b",
            "pop {{r0, r4-r11, pc}}",
            ".purgem DTMM_POSITION",
            ".purgem DTMM_SCALE",
        )
    }
}
