//! Armv6-M and Armv7-M: one 32-bit multiplication serves two outputs.
//!
//! The row buffer holds words `low + (high << 16)` of two pixels' values of one channel. A product with a weight has both
//! products in its halves, and so has the sum of two of them: at most 2 · 127 · 128 in magnitude, it fits a half once 2^15
//! is added. So every two channels the low half is split off and the high half added to its own sum. The two pixels are
//! half a row of outputs apart, so that they move together under every kernel column.
//!
//! Weights of -128 would overflow a half; TFLite does not write them, and the reference kernel takes those that have one.

use crate::tiled::{self, BLOCK, Engine, Filter, Geometry, Rounding};
use crate::{Conv2d, FullyConnected, KernelError};

/// The instruction set.
pub(crate) struct Pairs;

/// Bytes of a cell: the words of two channels.
const CELL: usize = 8;
/// What keeps the low half from borrowing from the high one.
const BIAS: i32 = 1 << 15;

impl Pairs {
    /// Outputs in the low halves; the high halves hold as many, not all of them in the row.
    const fn half(g: &Geometry) -> usize {
        g.width.div_ceil(2).next_multiple_of(2)
    }

    /// Cells of one phase.
    const fn cells(g: &Geometry) -> usize {
        Self::half(g).saturating_add(g.overhang)
    }

    /// Bytes from one pair of channels to the next.
    const fn plane(g: &Geometry) -> usize {
        Self::cells(g).saturating_mul(g.phases).saturating_mul(CELL)
    }
}

impl Engine for Pairs {
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
        Self::plane(g).saturating_mul(2)
    }

    fn reach(g: &Geometry) -> usize {
        Self::half(g).wrapping_mul(CELL).wrapping_add(Self::plane(g))
    }

    fn fill(g: &Geometry, pixels: &[i8], zero_point: i8, row: &mut [u32]) {
        let (cells, pitch) = (Self::cells(g), Self::plane(g) / CELL);
        let apart = Self::half(g).wrapping_mul(g.window.stride[1]);
        let (row, _) = row.as_chunks_mut::<2>();
        for phase in 0..g.phases {
            let mut column = phase;
            for cell in 0..cells {
                let first = phase.wrapping_mul(cells).wrapping_add(cell);
                let [low, high] = [column, column.wrapping_add(apart)].map(|c| g.pixel(pixels, c));
                let mut channel = 0usize;
                while let Some(to) = row.get_mut(first.wrapping_add((channel / 2).wrapping_mul(pitch))) {
                    *to = [channel, channel.wrapping_add(1)].map(|c| {
                        let [low, high] = [low, high].map(|pixel| value(pixel, c, zero_point));
                        low.wrapping_add(high << 16).cast_unsigned()
                    });
                    channel = channel.wrapping_add(2);
                }
                column = column.wrapping_add(g.window.stride[1]);
            }
        }
    }

    fn tiles(g: &Geometry) -> usize {
        Self::half(g) / 2
    }

    fn output(g: &Geometry, tile: usize, lane: usize) -> usize {
        let high = if lane < 2 { 0 } else { Self::half(g) };
        tile.wrapping_mul(2).wrapping_add(lane & 1).wrapping_add(high)
    }

    fn takes(weights: &[i8]) -> bool {
        !weights.contains(&i8::MIN)
    }

    fn sum(filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4] {
        // Two additions of `BIAS` in each block.
        let blocks = (filter.weights().len() / BLOCK) as i32;
        let low = bias.wrapping_sub(blocks.wrapping_mul(2 * BIAS));
        let mut sums = [low, low, bias, bias];
        let plane = Self::plane(filter.geometry());
        arithmetic::add(filter, &mut sums, tile.wrapping_mul(2 * CELL), plane);
        sums
    }

    #[cfg(dtmm_isa = "v6m")]
    #[inline(always)]
    fn high_mul(sum: i32, multiplier: i32) -> i32 {
        high_mul(sum, multiplier)
    }
}

/// A channel's value: of padding outside the row, 0 behind the last channel.
#[inline(always)]
fn value(pixel: Option<&[i8]>, channel: usize, zero_point: i8) -> i32 {
    pixel.map_or(zero_point.into(), |pixel| pixel.get(channel).copied().unwrap_or(0).into())
}

/// `sum * multiplier / 2^31`, rounded to nearest, ties upwards, from products of 16 bits; `multiplier` is not negative.
#[cfg(any(dtmm_isa = "v6m", test))]
#[inline(always)]
fn high_mul(sum: i32, multiplier: i32) -> i32 {
    let (sum_high, sum_low) = (sum >> 16, sum & 0xFFFF);
    let (m_high, m_low) = (multiplier >> 16, multiplier & 0xFFFF);
    let low = sum_low.wrapping_mul(m_low).cast_unsigned();
    // sum_high * m_low + low / 2^16 fits: at most 2^15 * 2^16 in magnitude less a little.
    let first = sum_high.wrapping_mul(m_low).wrapping_add((low >> 16).cast_signed());
    let second = sum_low.wrapping_mul(m_high);
    // The sum of both, shifted right by 16, from halves, as the sum itself may not fit; the bits that are lost matter.
    let middle_low = (first & 0xFFFF).wrapping_add(second & 0xFFFF);
    let high = sum_high.wrapping_mul(m_high).wrapping_add(first >> 16).wrapping_add(second >> 16);
    let high = high.wrapping_add(middle_low >> 16);
    // The product is high * 2^32 + (middle_low mod 2^16) * 2^16 + low mod 2^16; 2^30 is added and 31 bits go.
    let top = middle_low & 0xFFFF;
    high.wrapping_shl(1).wrapping_add(top.wrapping_add(1 << 14) >> 15)
}

/// The instructions of Armv7-M.
#[cfg(dtmm_isa = "v7m")]
#[allow(unsafe_code)]
mod arithmetic {
    use core::arch::naked_asm;

    use crate::tiled::{Filter, Run};

    /// Adds the filter's products, and `BIAS` to the low sums for every two channels, for the outputs whose cells start
    /// `first` bytes behind the first output's. `plane` is the engine's.
    pub fn add(filter: &Filter<'_>, sums: &mut [i32; 4], first: usize, plane: usize) {
        let (runs, weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
        let rows = filter.rows().as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of the
        // row, and as many weights as the runs take.
        unsafe { add_runs(sums.as_mut_ptr(), runs, weights, rows, plane) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn add_runs(
        sums: *mut i32,
        runs: *const Run,
        weights: *const i8,
        rows: *const u8,
        plane: usize,
    ) {
        naked_asm!(
            ".macro DTMM_PAIR",
            "ldrsb r12, [r2], #1",
            "ldrsb lr, [r2], #1",
            "ldrd r8, r9, [r0]",
            "mla r8, r8, r12, r10",
            "mla r8, r9, lr, r8",
            "uxth r9, r8",
            "add r4, r9",
            "add r6, r6, r8, asr #16",
            "ldrd r8, r9, [r0, #8]",
            "mla r8, r8, r12, r10",
            "mla r8, r9, lr, r8",
            "uxth r9, r8",
            "add r5, r9",
            "add r7, r7, r8, asr #16",
            "add r0, r3",
            ".endm",
            "push {{r0, r4-r11, lr}}",
            "ldm r0, {{r4-r7}}",
            "mov r11, r3",
            "mov r10, #0x8000",
            // On the stack: the sums, saved registers, `plane`.
            "ldr r3, [sp, #40]",
            "push {{r1}}",
            "1:",
            "ldr lr, [sp]",
            "ldmia lr!, {{r0, r1}}",
            "add r0, r11",
            "str lr, [sp]",
            "subs r1, #2",
            "blt 3f",
            "2:",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "subs r1, #2",
            "bge 2b",
            "3:",
            "adds r1, #2",
            "beq 1b",
            "bmi 5f",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "b 1b",
            "5:",
            "ldr r0, [sp, #4]",
            "stm r0, {{r4-r7}}",
            "add sp, #8",
            "pop {{r4-r11, pc}}",
            ".purgem DTMM_PAIR",
        )
    }
}

/// The instructions of Armv6-M.
#[cfg(dtmm_isa = "v6m")]
#[allow(unsafe_code)]
mod arithmetic {
    use core::arch::naked_asm;

    use crate::tiled::{Filter, Run};

    /// Adds the filter's products, and `BIAS` to the low sums for every two channels, for the outputs whose cells start
    /// `first` bytes behind the first output's. `plane` is the engine's.
    pub fn add(filter: &Filter<'_>, sums: &mut [i32; 4], first: usize, plane: usize) {
        let (runs, weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
        let rows = filter.rows().as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of the
        // row, and as many weights as the runs take.
        unsafe { add_runs(sums.as_mut_ptr(), runs, weights, rows, plane.wrapping_sub(16)) }
    }

    /// `rest` is the plane's bytes less the 16 that the loads move on.
    #[unsafe(naked)]
    unsafe extern "C" fn add_runs(
        sums: *mut i32,
        runs: *const Run,
        weights: *const i8,
        rows: *const u8,
        rest: usize,
    ) {
        naked_asm!(
            // Weights at r1 + r6 and r7 + r6 (one further), r6 from -length to 0; cells at r0; sums r8-r11.
            ".macro DTMM_PAIR",
            "ldrsb r4, [r1, r6]",
            "ldrsb r5, [r7, r6]",
            "ldmia r0!, {{r2, r3}}",
            "muls r2, r4, r2",
            "muls r3, r5, r3",
            "adds r2, r2, r3",
            "add r2, r12",
            "uxth r3, r2",
            "add r8, r3",
            "asrs r2, r2, #16",
            "add r10, r2",
            "ldmia r0!, {{r2, r3}}",
            "muls r2, r4, r2",
            "muls r3, r5, r3",
            "adds r2, r2, r3",
            "add r2, r12",
            "uxth r3, r2",
            "add r9, r3",
            "asrs r2, r2, #16",
            "add r11, r2",
            "add r0, lr",
            "adds r6, #2",
            ".endm",
            "push {{r4-r7, lr}}",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "push {{r4-r7}}",
            "ldmia r0!, {{r4-r7}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "mov r11, r7",
            "subs r0, #16",
            "ldr r4, [sp, #36]",
            "mov lr, r4",
            "movs r4, #1",
            "lsls r4, r4, #15",
            "mov r12, r4",
            // On the stack: the next run, the tile's cells, the sums, saved registers.
            "sub sp, #12",
            "str r0, [sp, #8]",
            "str r3, [sp, #4]",
            "mov r3, r2",
            "1:",
            // r1 = the next run, r3 = the run's weights.
            "ldmia r1!, {{r0, r2}}",
            "str r1, [sp]",
            "ldr r4, [sp, #4]",
            "adds r0, r0, r4",
            "lsls r6, r2, #2",
            "beq 5f",
            "adds r1, r3, r6",
            "adds r7, r1, #1",
            "rsbs r6, r6, #0",
            "2:",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "bne 2b",
            "mov r3, r1",
            "ldr r1, [sp]",
            "b 1b",
            "5:",
            "ldr r0, [sp, #8]",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "stmia r0!, {{r4-r7}}",
            "add sp, #12",
            "pop {{r4-r7}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "mov r11, r7",
            "pop {{r4-r7, pc}}",
            ".purgem DTMM_PAIR",
        )
    }
}

/// The same without the instructions.
#[cfg(not(any(dtmm_isa = "v6m", dtmm_isa = "v7m")))]
mod arithmetic {
    use super::{BIAS, CELL};
    use crate::tiled::Filter;

    pub fn add(filter: &Filter<'_>, sums: &mut [i32; 4], first: usize, plane: usize) {
        let (mut weights, _) = filter.weights().as_chunks::<2>();
        let [a, b, c, d] = sums;
        for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
            let mut at = (*offset as usize).wrapping_add(first);
            for _ in 0..blocks.wrapping_mul(2) {
                let Some((w, rest)) = weights.split_first() else { return };
                weights = rest;
                let cells = filter.rows().get(at / 4..).unwrap_or_default().as_chunks::<{ CELL / 4 }>().0;
                for ((low, high), cell) in [(&mut *a, &mut *c), (&mut *b, &mut *d)].into_iter().zip(cells) {
                    let [x0, x1] = cell.map(u32::cast_signed);
                    let products = x0.wrapping_mul(w[0].into()).wrapping_add(x1.wrapping_mul(w[1].into()));
                    let sum = products.wrapping_add(BIAS);
                    *low = low.wrapping_add(sum & 0xFFFF);
                    *high = high.wrapping_add(sum >> 16);
                }
                at = at.wrapping_add(plane);
            }
        }
    }
}

/// As [`crate::reference::conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the scratch memory is too small or not aligned to 4, or a weight is -128.
pub fn conv2d_s8(p: &Conv2d<'_>, scratch: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    tiled::convolve::<Pairs>(p, Rounding::Twice, scratch, x, y)
}

/// As [`crate::reference::fully_connected_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the scratch memory is too small or not aligned to 4, or a weight is -128.
pub fn fully_connected_s8(
    p: &FullyConnected<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    tiled::convolve::<Pairs>(&p.as_conv2d(), Rounding::Once, scratch, x, y)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::high_mul;
    use crate::requantize::saturating_rounding_doubling_high_mul;

    proptest! {
        #[test]
        fn high_multiplication_from_halves_is_exact(sum in any::<i32>(), multiplier in 0..=i32::MAX) {
            prop_assert_eq!(high_mul(sum, multiplier), saturating_rounding_doubling_high_mul(sum, multiplier));
        }
    }
}
