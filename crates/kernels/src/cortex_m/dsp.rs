//! Armv7E-M and Armv8-M with the DSP extension: two multiplications of 16-bit values at a time.
//!
//! The row buffer holds a cell of two words for each pixel and block of four channels: channels 0 and 2, channels 1 and
//! 3, as signed 16-bit halves. So the halves that SXTB16 makes of four packed weights meet theirs. The cells of
//! neighbouring pixels (of the same phase, under a stride) are neighbours: one load takes two of them, whatever the number
//! of channels, and the inner loop is the same for every shape.

use crate::tiled::{self, BLOCK, Engine, Filter, Geometry, LANES, Rounding};
use crate::{Conv2d, FullyConnected, KernelError};

/// The instruction set.
pub(crate) struct Dsp;

/// Bytes of a cell.
const CELL: usize = 8;

impl Dsp {
    /// Cells of one phase.
    const fn cells(g: &Geometry) -> usize {
        g.width.next_multiple_of(LANES).saturating_add(g.overhang)
    }
}

impl Engine for Dsp {
    const BLOCK: usize = BLOCK;
    const UNIT: usize = 1;

    fn row_units(g: &Geometry) -> usize {
        Self::pitch(g).saturating_mul(g.blocks)
    }

    fn tap(g: &Geometry, kx: usize) -> usize {
        let (phase, column) = g.tap(kx);
        phase.wrapping_mul(Self::cells(g)).wrapping_add(column).wrapping_mul(CELL)
    }

    fn pitch(g: &Geometry) -> usize {
        Self::cells(g).saturating_mul(g.phases).saturating_mul(CELL)
    }

    fn reach(g: &Geometry) -> usize {
        g.width.next_multiple_of(LANES).wrapping_mul(CELL)
    }

    fn fill(g: &Geometry, pixels: &[i8], zero_point: i8, row: &mut [u32]) {
        let cells = Self::cells(g);
        let blank = halves(u32::from_le_bytes([zero_point.cast_unsigned(); 4]));
        let (row, _) = row.as_chunks_mut::<2>();
        let pitch = cells.wrapping_mul(g.phases);
        for phase in 0..g.phases {
            let mut column = phase;
            for cell in 0..cells {
                let first = phase.wrapping_mul(cells).wrapping_add(cell);
                let to = row.get_mut(first..).unwrap_or_default().chunks_mut(pitch.max(1));
                match g.pixel(pixels, column) {
                    Some(pixel) => widen(pixel, to),
                    None => to.for_each(|block| block.first_mut().into_iter().for_each(|cell| *cell = blank)),
                }
                column = column.wrapping_add(g.window.stride[1]);
            }
        }
    }

    fn tiles(g: &Geometry) -> usize {
        g.width.div_ceil(LANES)
    }

    fn output(_: &Geometry, tile: usize, lane: usize) -> usize {
        tile.wrapping_mul(LANES).wrapping_add(lane)
    }

    fn sum(filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4] {
        let pitch = Self::pitch(filter.geometry());
        let mut sums = [bias; 4];
        arithmetic::add(filter, &mut sums, tile.wrapping_mul(LANES).wrapping_mul(CELL), pitch);
        sums
    }

    #[cfg(dtmm_isa = "dsp")]
    #[inline(always)]
    fn high_mul(sum: i32, multiplier: i32) -> i32 {
        arithmetic::high_mul(sum, multiplier)
    }
}

/// Brings a pixel's channels into the first cell of each block; those behind the last channel are 0.
#[inline]
fn widen<'a>(pixel: &[i8], mut to: impl Iterator<Item = &'a mut [[u32; 2]]>) {
    let (words, tail) = pixel.as_chunks::<BLOCK>();
    let tail = tail.split_first().map(|(a, rest)| {
        let at = |i: usize| rest.get(i).copied().unwrap_or(0);
        [*a, at(0), at(1), 0]
    });
    for word in words.iter().copied().chain(tail) {
        let cell = to.next().and_then(|block| block.first_mut());
        let word = u32::from_le_bytes(word.map(i8::cast_unsigned));
        cell.into_iter().for_each(|cell| *cell = halves(word));
    }
}

/// Bytes 0 and 2, and bytes 1 and 3, as signed 16-bit halves.
#[inline(always)]
fn halves(word: u32) -> [u32; 2] {
    [arithmetic::even_bytes(word), arithmetic::even_bytes(word.rotate_right(8))]
}

/// The instructions.
#[cfg(dtmm_isa = "dsp")]
#[allow(unsafe_code)]
mod arithmetic {
    use core::arch::{asm, naked_asm};

    use crate::tiled::{Filter, Run};

    /// Bytes 0 and 2 as signed 16-bit halves.
    #[inline(always)]
    pub fn even_bytes(word: u32) -> u32 {
        let halves;
        // SAFETY: computes with registers only.
        unsafe {
            asm!("sxtb16 {}, {}", lateout(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        halves
    }

    /// `sum * multiplier / 2^31`, rounded to nearest, ties upwards; `multiplier` is not negative.
    #[inline(always)]
    pub fn high_mul(sum: i32, multiplier: i32) -> i32 {
        // (sum * 2^32 + sum * (2 * multiplier - 2^32) + 2^31) / 2^32 where twice the multiplier is beyond an i32.
        let twice = multiplier.wrapping_shl(1);
        let whole = if twice < 0 { sum } else { 0 };
        let result;
        // SAFETY: computes with registers only.
        unsafe {
            asm!("smmlar {}, {}, {}, {}", lateout(reg) result, in(reg) sum, in(reg) twice, in(reg) whole,
                options(pure, nomem, nostack, preserves_flags));
        }
        result
    }

    /// Adds the filter's products for the four outputs whose cells start `first` bytes behind the first output's.
    /// `pitch` is the engine's.
    pub fn add(filter: &Filter<'_>, sums: &mut [i32; 4], first: usize, pitch: usize) {
        let (runs, weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
        let rows = filter.rows().as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of the
        // row, and as many weights as the runs take.
        unsafe { add_runs(sums.as_mut_ptr(), runs, weights, rows, pitch.wrapping_sub(16)) }
    }

    /// Adds the products of all runs to four sums. `rest` is the pitch less the 16 bytes that the first load moves on.
    #[unsafe(naked)]
    unsafe extern "C" fn add_runs(
        sums: *mut i32,
        runs: *const Run,
        weights: *const i8,
        rows: *const u8,
        rest: usize,
    ) {
        naked_asm!(
            ".macro DTMM_BLOCK",
            "ldr r12, [r2], #4",
            "ldmia r0!, {{r8-r11}}",
            "sxtb16 lr, r12, ror #8",
            "sxtb16 r12, r12",
            "smlad r4, r8, r12, r4",
            "smlad r5, r10, r12, r5",
            "smlad r4, r9, lr, r4",
            "smlad r5, r11, lr, r5",
            "ldmia r0, {{r8-r11}}",
            "add r0, r3",
            "smlad r6, r8, r12, r6",
            "smlad r7, r10, r12, r7",
            "smlad r6, r9, lr, r6",
            "smlad r7, r11, lr, r7",
            ".endm",
            "push {{r0, r4-r11, lr}}",
            "ldm r0, {{r4-r7}}",
            // On the stack: the next run, the cells of the tile, the sums, saved registers, `rest`.
            "push {{r1, r3}}",
            "ldr r3, [sp, #48]",
            "1:",
            "ldrd r1, lr, [sp]",
            "ldmia r1!, {{r0, r12}}",
            "str r1, [sp]",
            "add r0, lr",
            "subs r1, r12, #4",
            "blt 3f",
            "2:",
            "DTMM_BLOCK",
            "DTMM_BLOCK",
            "DTMM_BLOCK",
            "DTMM_BLOCK",
            "subs r1, #4",
            "bge 2b",
            "3:",
            "adds r1, #4",
            "beq 1b",
            "bmi 5f",
            "4:",
            "DTMM_BLOCK",
            "subs r1, #1",
            "bne 4b",
            "b 1b",
            "5:",
            "ldr r0, [sp, #8]",
            "stm r0, {{r4-r7}}",
            "add sp, #12",
            "pop {{r4-r11, pc}}",
            ".purgem DTMM_BLOCK",
        )
    }
}

/// The same without the instructions.
#[cfg(not(dtmm_isa = "dsp"))]
mod arithmetic {
    use super::CELL;
    use crate::tiled::{BLOCK, Filter};

    pub fn even_bytes(word: u32) -> u32 {
        let [a, _, b, _] = word.to_le_bytes().map(|b| i16::from(b.cast_signed()) as u16);
        u32::from(a) | u32::from(b) << 16
    }

    pub fn add(filter: &Filter<'_>, sums: &mut [i32; 4], first: usize, pitch: usize) {
        let (mut weights, _) = filter.weights().as_chunks::<BLOCK>();
        for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
            let mut at = (*offset as usize).wrapping_add(first);
            for _ in 0..*blocks {
                let Some((w, rest)) = weights.split_first() else { return };
                weights = rest;
                let w = super::halves(u32::from_le_bytes(w.map(i8::cast_unsigned)));
                let cells = filter.rows().get(at / 4..).unwrap_or_default();
                for (sum, cell) in sums.iter_mut().zip(cells.as_chunks::<{ CELL / 4 }>().0) {
                    *sum = sum.wrapping_add(dual(cell[0], w[0])).wrapping_add(dual(cell[1], w[1]));
                }
                at = at.wrapping_add(pitch);
            }
        }
    }

    /// The sum of the products of both signed halves.
    fn dual(a: u32, b: u32) -> i32 {
        let half = |x: u32| i32::from(x as u16 as i16);
        half(a).wrapping_mul(half(b)).wrapping_add(half(a >> 16).wrapping_mul(half(b >> 16)))
    }
}

/// As [`crate::reference::conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, or the scratch memory is too small or not aligned to 4.
pub fn conv2d_s8(p: &Conv2d<'_>, scratch: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    tiled::convolve::<Dsp>(p, Rounding::Twice, scratch, x, y)
}

/// As [`crate::reference::fully_connected_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the scratch memory is too small or not aligned to 4.
pub fn fully_connected_s8(
    p: &FullyConnected<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    tiled::convolve::<Dsp>(&p.as_conv2d(), Rounding::Once, scratch, x, y)
}
