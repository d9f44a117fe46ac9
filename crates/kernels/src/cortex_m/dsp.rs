//! Armv7E-M and Armv8-M with the DSP extension: two multiplications of 16-bit values at a time.
//!
//! The row buffer holds a cell of two words for each pixel and block of four channels: channels 0 and 2, channels 1 and
//! 3, as signed 16-bit halves. So the halves that SXTB16 makes of four packed weights meet theirs. The cells of
//! neighbouring pixels (of the same phase, under a stride) are neighbours: one load takes two of them, whatever the number
//! of channels, and the inner loop is the same for every shape.

use super::cells::{self, Source};
use crate::tiled::{self, BLOCK, Engine, Filter, Geometry, LANES, Out, Scale, Scaling};
use crate::{Conv2d, KernelError};

/// The instruction set.
pub(crate) struct Dsp;

/// Bytes of a cell.
const CELL: usize = 8;

impl Dsp {
    /// Cells of one phase.
    const fn cells(g: &Geometry) -> usize {
        Self::outputs(g).saturating_add(g.overhang)
    }

    /// Outputs that a row has room for.
    const fn outputs(g: &Geometry) -> usize {
        if g.single { 1 } else { g.width.next_multiple_of(LANES) }
    }
}

impl Engine for Dsp {
    const BLOCK: usize = BLOCK;
    const UNIT: usize = 1;

    fn row_units(g: &Geometry) -> usize {
        let plane = Self::cells(g).saturating_mul(g.phases).saturating_mul(CELL);
        plane.saturating_mul(g.blocks)
    }

    fn tap(g: &Geometry, kx: usize) -> usize {
        let (phase, column) = g.tap(kx);
        phase.wrapping_mul(Self::cells(g)).wrapping_add(column).wrapping_mul(CELL)
    }

    fn pitch(g: &Geometry) -> usize {
        Self::cells(g).wrapping_mul(g.phases).wrapping_mul(CELL)
    }

    fn reach(g: &Geometry) -> usize {
        Self::outputs(g).wrapping_mul(CELL)
    }

    #[inline(never)]
    fn fill(g: &Geometry, pixels: &[i8], zero_point: i8, row: &mut [u32]) {
        if g.single {
            let cells = row.as_chunks_mut().0.get_mut(..g.blocks).unwrap_or_default();
            return arithmetic::widen(cells, &Source { values: pixels, step: BLOCK, apart: 0 });
        }
        let blank = halves(u32::from_le_bytes([zero_point.cast_unsigned(); 4]));
        // A row buffer that is too short stays as it is.
        let _ = cells::widen(g, (Self::cells(g), blank), pixels, row, arithmetic::widen);
    }

    fn tiles(g: &Geometry) -> usize {
        g.width.div_ceil(LANES)
    }

    fn output(_: &Geometry, tile: usize, lane: usize) -> usize {
        tile.wrapping_mul(LANES).wrapping_add(lane)
    }

    fn sum(row: &mut Self::Row, filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4] {
        let first = tile.wrapping_mul(LANES).wrapping_mul(CELL);
        arithmetic::sum(row, filter, bias, first, Self::pitch(filter.geometry()))
    }

    fn single(filter: &Filter<'_>, bias: i32) -> i32 {
        arithmetic::single(filter, bias)
    }

    type Row = arithmetic::Row;

    fn start(g: &Geometry, out: &Out<'_>, scaling: &Scaling<'_>) -> Self::Row {
        arithmetic::start(Self::pitch(g), out, scaling)
    }

    fn apply(row: &mut Self::Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &mut Out<'_>) {
        arithmetic::apply(row, filter, scale, out);
    }
}

/// Bytes 0 and 2, and bytes 1 and 3, as signed 16-bit halves.
#[inline(always)]
pub(super) fn halves(word: u32) -> [u32; 2] {
    [arithmetic::even_bytes(word), arithmetic::even_bytes(word.rotate_right(8))]
}

/// The instructions.
#[cfg(dtmm_isa = "dsp")]
#[allow(unsafe_code)]
mod arithmetic {
    use core::arch::{asm, naked_asm};
    use core::ptr;

    use super::{BLOCK, Dsp, Source};
    use crate::tiled::{Filter, Out, Run, Scale, Scaling, Short, apply_by_tiles};

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

    /// Brings one block of channels of neighbouring pixels into their cells.
    #[inline(never)]
    pub fn widen(mut cells: &mut [[u32; 2]], source: &Source<'_>) {
        // The last pixels' words may end behind the values.
        while source.end(cells.len(), BLOCK) > source.values.len() {
            let Some((cell, rest)) = cells.split_last_mut() else { return };
            let bytes = source.values.get(rest.len().wrapping_mul(source.step)..).unwrap_or_default();
            let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(byte.cast_unsigned()));
            *cell = super::halves(word);
            cells = rest;
        }
        if cells.is_empty() {
            return;
        }
        // SAFETY: there are cells, and the last one's four bytes lie inside the values.
        unsafe {
            asm!(
                "2:",
                "ldr {odd}, [{from}]",
                "add {from}, {step}",
                "sxtb16 {even}, {odd}",
                "sxtb16 {odd}, {odd}, ror #8",
                "strd {even}, {odd}, [{to}], #8",
                "cmp {to}, {end}",
                "bne 2b",
                from = inout(reg) source.values.as_ptr() => _,
                step = in(reg) source.step,
                to = inout(reg) cells.as_mut_ptr() => _,
                end = in(reg) cells.as_mut_ptr_range().end,
                even = out(reg) _,
                odd = out(reg) _,
                options(nostack),
            );
        }
    }

    /// The sum of a row's single output.
    #[inline(always)]
    pub fn single(filter: &Filter<'_>, bias: i32) -> i32 {
        let (runs, weights, cells) =
            (filter.runs().as_ptr(), filter.weights().as_ptr(), filter.rows().as_ptr());
        // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer (one behind the other
        // where rows have a single output), and as many weights as the runs take.
        unsafe { add_single(runs, weights, cells.cast(), bias) }
    }

    /// `sum` plus the products of all runs.
    #[unsafe(naked)]
    unsafe extern "C" fn add_single(runs: *const Run, weights: *const i8, cells: *const u8, sum: i32) -> i32 {
        naked_asm!(
            ".macro DTMM_TWO_BLOCKS a b c d",
            "ldr r0, [r1], #4",
            "sxtb16 r2, r0",
            "sxtb16 r0, r0, ror #8",
            "smlad r3, \\a, r2, r3",
            "smlad r3, \\b, r0, r3",
            "ldr r0, [r1], #4",
            "sxtb16 r2, r0",
            "sxtb16 r0, r0, ror #8",
            "smlad r3, \\c, r2, r3",
            "smlad r3, \\d, r0, r3",
            ".endm",
            ".macro DTMM_FOUR_BLOCKS",
            "ldmia r12!, {{r4-r11}}",
            "DTMM_TWO_BLOCKS r4 r5 r6 r7",
            "DTMM_TWO_BLOCKS r8 r9 r10 r11",
            ".endm",
            // On the stack: the next run, the cells, saved registers.
            "push {{r0, r2, r4-r11, lr}}",
            "2:",
            "ldrd r0, r2, [sp]",
            "ldmia r0!, {{r12, lr}}",
            "str r0, [sp]",
            "add r12, r2",
            "subs lr, #8",
            "blt 4f",
            "3:",
            "DTMM_FOUR_BLOCKS",
            "DTMM_FOUR_BLOCKS",
            "subs lr, #8",
            "bge 3b",
            "4:",
            "adds lr, #8",
            "beq 2b",
            "bmi 6f",
            "subs lr, #4",
            "blt 7f",
            "DTMM_FOUR_BLOCKS",
            "subs lr, #4",
            "7:",
            "adds lr, #4",
            "beq 2b",
            "5:",
            "ldr r0, [r1], #4",
            "ldmia r12!, {{r4, r5}}",
            "sxtb16 r2, r0",
            "sxtb16 r0, r0, ror #8",
            "smlad r3, r4, r2, r3",
            "smlad r3, r5, r0, r3",
            "subs lr, #1",
            "bne 5b",
            "b 2b",
            "6:",
            "mov r0, r3",
            "add sp, #8",
            "pop {{r4-r11, pc}}",
            ".purgem DTMM_TWO_BLOCKS",
            ".purgem DTMM_FOUR_BLOCKS",
        )
    }

    /// What the assembler reads and writes.
    #[repr(C)]
    pub struct Row {
        runs: *const Run,
        weights: *const i8,
        /// The pitch less the 16 bytes that the first load of a block moves on.
        rest: usize,
        bias: i32,
        step: usize,
        /// With a shift of 0 one tile's sums are stored.
        scale: Short,
        /// The first tile's cells for offset 0.
        cells: *const u8,
        y: *mut i8,
        count: usize,
        sums: [i32; 4],
    }

    impl Row {
        #[inline(always)]
        fn set(&mut self, filter: &Filter<'_>, bias: i32) {
            (self.runs, self.weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
            (self.cells, self.bias) = (filter.rows().as_ptr().cast(), bias);
        }
    }

    /// The sums of the tile whose cells start `first` bytes behind the first tile's.
    pub fn sum(row: &mut Row, filter: &Filter<'_>, bias: i32, first: usize, _: usize) -> [i32; 4] {
        row.set(filter, bias);
        row.cells = row.cells.wrapping_add(first);
        row.scale.shift = 0;
        // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of the
        // row, and as many weights as the runs take. Nothing is written to `y`.
        unsafe { add_runs(row) };
        row.sums
    }

    /// What all filters of a row share. `pitch` is the engine's.
    #[inline(always)]
    pub fn start(pitch: usize, out: &Out<'_>, scaling: &Scaling<'_>) -> Row {
        Row {
            runs: ptr::null(),
            weights: ptr::null(),
            rest: pitch.wrapping_sub(16),
            bias: 0,
            step: out.filters(),
            scale: scaling.short(),
            cells: ptr::null(),
            y: ptr::null_mut(),
            count: out.count(),
            sums: [0; 4],
        }
    }

    /// All outputs of a row.
    #[inline(always)]
    pub fn apply(row: &mut Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &mut Out<'_>) {
        match out.first(scale.o) {
            Some(y) if scale.shorten(&mut row.scale) => {
                row.set(filter, scale.bias);
                row.y = y;
                // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of
                // the row, and as many weights as the runs take; `Out` has the outputs that the row was started with, and
                // not more than the geometry has.
                unsafe { add_runs(row) }
            }
            _ => apply_by_tiles::<Dsp>(row, filter, scale, out),
        }
    }

    /// Computes the sums of tile after tile and their outputs.
    #[unsafe(naked)]
    unsafe extern "C" fn add_runs(row: &mut Row) {
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
            // (sum * 2^32 + sum * (2 * multiplier - 2^32) + 2^31) / 2^32, and so on: see `Scale::finish`.
            ".macro DTMM_FINISH sum",
            "smmlar \\sum, \\sum, r8, \\sum",
            "add \\sum, \\sum, \\sum, asr #31",
            "asr \\sum, r9",
            "add \\sum, r10",
            "ssat \\sum, #8, \\sum, asr #1",
            "cmp \\sum, r11",
            "it lt",
            "movlt \\sum, r11",
            "sub \\sum, lr",
            ".endm",
            "add r0, #16",
            "push {{r0, r4-r11, lr}}",
            "add r12, r0, #24",
            "ldm r12, {{r1-r3}}",
            // On the stack: the next run, the tile's cells, its first output, outputs left, `row.step`, saved registers.
            "push {{r0-r3}}",
            "2:",
            "ldr r12, [sp, #16]",
            "ldmdb r12, {{r1-r4}}",
            "str r1, [sp]",
            "mov r5, r4",
            "mov r6, r4",
            "mov r7, r4",
            "3:",
            "ldrd r1, lr, [sp]",
            "ldmia r1!, {{r0, r12}}",
            "str r1, [sp]",
            "add r0, lr",
            "subs r1, r12, #4",
            "blt 5f",
            "4:",
            "DTMM_BLOCK",
            "DTMM_BLOCK",
            "DTMM_BLOCK",
            "DTMM_BLOCK",
            "subs r1, #4",
            "bge 4b",
            "5:",
            "adds r1, #4",
            "beq 3b",
            "bmi 7f",
            "6:",
            "DTMM_BLOCK",
            "subs r1, #1",
            "bne 6b",
            "b 3b",
            "7:",
            "ldr r12, [sp, #16]",
            "ldm r12, {{r2, r8-r11, lr}}",
            "cmp r9, #0",
            "beq 9f",
            "DTMM_FINISH r4",
            "DTMM_FINISH r5",
            "DTMM_FINISH r6",
            "DTMM_FINISH r7",
            "ldrd r0, r1, [sp, #4]",
            "ldr r3, [sp, #12]",
            "strb r4, [r1]",
            "subs r3, #4",
            "blt 8f",
            "add r0, #32",
            "strb r5, [r1, r2]",
            "strb r6, [r1, r2, lsl #1]",
            "add r1, r1, r2, lsl #1",
            "strb r7, [r1, r2]",
            "add r1, r1, r2, lsl #1",
            "strd r0, r1, [sp, #4]",
            "str r3, [sp, #12]",
            "bgt 2b",
            "add sp, #20",
            "pop {{r4-r11, pc}}",
            "8:",
            "adds r3, #2",
            "it ge",
            "strbge r5, [r1, r2]",
            "it gt",
            "strbgt r6, [r1, r2, lsl #1]",
            "add sp, #20",
            "pop {{r4-r11, pc}}",
            "9:",
            "add r12, #36",
            "stm r12, {{r4-r7}}",
            "add sp, #20",
            "pop {{r4-r11, pc}}",
            ".purgem DTMM_BLOCK",
            ".purgem DTMM_FINISH",
        )
    }
}

/// The same without the instructions.
#[cfg(not(dtmm_isa = "dsp"))]
mod arithmetic {
    use super::{BLOCK, CELL, Dsp, Source};
    use crate::tiled::{Filter, Out, Scale, Scaling, apply_by_tiles};

    pub fn even_bytes(word: u32) -> u32 {
        let [a, _, b, _] = word.to_le_bytes().map(|b| i16::from(b.cast_signed()) as u16);
        u32::from(a) | u32::from(b) << 16
    }

    pub fn widen(cells: &mut [[u32; 2]], source: &Source<'_>) {
        for (i, cell) in cells.iter_mut().enumerate() {
            let values = source.values.get(i.wrapping_mul(source.step)..).unwrap_or_default();
            let byte = |i: usize| values.get(i).map_or(0, |v| v.cast_unsigned());
            *cell = super::halves(u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]));
        }
    }

    pub fn single(filter: &Filter<'_>, bias: i32) -> i32 {
        let [sum, ..] = sum(&mut (), filter, bias, 0, CELL);
        sum
    }

    pub type Row = ();

    pub fn start(_: usize, _: &Out<'_>, _: &Scaling<'_>) -> Row {}

    pub fn apply(row: &mut Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &mut Out<'_>) {
        apply_by_tiles::<Dsp>(row, filter, scale, out);
    }

    pub fn sum(_: &mut Row, filter: &Filter<'_>, bias: i32, first: usize, pitch: usize) -> [i32; 4] {
        let mut sums = [bias; 4];
        let (mut weights, _) = filter.weights().as_chunks::<BLOCK>();
        for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
            let mut at = (*offset as usize).wrapping_add(first);
            for _ in 0..*blocks {
                let Some((w, rest)) = weights.split_first() else { return sums };
                weights = rest;
                let w = super::halves(u32::from_le_bytes(w.map(i8::cast_unsigned)));
                let cells = filter.rows().get(at / 4..).unwrap_or_default();
                for (sum, cell) in sums.iter_mut().zip(cells.as_chunks::<{ CELL / 4 }>().0) {
                    *sum = sum.wrapping_add(dual(cell[0], w[0])).wrapping_add(dual(cell[1], w[1]));
                }
                at = at.wrapping_add(pitch);
            }
        }
        sums
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
    tiled::convolve::<Dsp>(p, false, scratch, x, y)
}

/// As [`crate::reference::depthwise_conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the weights are not dense, there are more filters than channels, or the scratch
/// memory is too small or not aligned to 4.
pub fn depthwise_conv2d_s8(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    super::depthwise::depthwise::<Dsp>(p, scratch, x, y)
}

/// As [`crate::reference::fully_connected_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the scratch memory is too small or not aligned to 4.
pub fn fully_connected_s8(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    tiled::convolve::<Dsp>(p, true, scratch, x, y)
}
