//! Armv6-M and Armv7-M: one 32-bit multiplication serves two outputs.
//!
//! The row buffer holds words `low + (high << 16)` of two pixels' values of one channel. A product with a weight has both
//! products in its halves, and so has the sum of two of them: from -2 · 127 · 128 to 2 · 128 · 128, so that it fits an
//! unsigned half once 2^15 - 1 is added. So every two channels the low half is split off and the high half added to its
//! own sum. The two pixels are half a row of outputs apart, so that they move together under every kernel column.

use super::cells::{self, Layout, Source};
use crate::tiled::{self, BLOCK, Dot, Engine, Filter, Geometry, Out, Rounding, Scale, Scaling};
use crate::{Conv2d, FullyConnected, KernelError};

/// The instruction set.
pub(crate) struct Pairs;

/// Bytes of a cell: the words of two channels.
const CELL: usize = 8;
/// What keeps the low half from borrowing from the high one.
const BIAS: i32 = (1 << 15) - 1;

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
        let blank = [word(zero_point, zero_point); 2];
        let layout = Layout { cells: Self::cells(g), channels: 2, apart: Self::half(g), blank };
        cells::fill(g, &layout, pixels, row, pair, |pixels| {
            [0, 1].map(|c| {
                let [low, high] = pixels.map(|p| p.map_or(zero_point, |p| p.get(c).copied().unwrap_or(0)));
                word(low, high)
            })
        });
    }

    fn tiles(g: &Geometry) -> usize {
        Self::half(g) / 2
    }

    fn output(g: &Geometry, tile: usize, lane: usize) -> usize {
        let high = if lane < 2 { 0 } else { Self::half(g) };
        tile.wrapping_mul(2).wrapping_add(lane & 1).wrapping_add(high)
    }

    fn sum(row: &mut Self::Row, filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4] {
        arithmetic::sum(row, filter, bias, tile.wrapping_mul(2 * CELL), Self::plane(filter.geometry()))
    }

    type Row = arithmetic::Row;

    fn start(row: &mut Self::Row, g: &Geometry, out: &Out, scaling: &Scaling<'_>) {
        arithmetic::start(row, [Self::plane(g), Self::half(g)], out, scaling);
    }

    fn apply(row: &mut Self::Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &Out, y: &mut [i8]) {
        arithmetic::apply(row, filter, scale, out, y);
    }

    #[cfg(dtmm_isa = "v6m")]
    #[inline(always)]
    fn high_mul(sum: i32, multiplier: i32) -> i32 {
        high_mul(sum, multiplier)
    }
}

/// The values of two pixels in one word.
#[inline(always)]
fn word(low: i8, high: i8) -> u32 {
    i32::from(low).wrapping_add(i32::from(high) << 16).cast_unsigned()
}

/// Brings two channels of neighbouring pixels into their cells.
#[allow(unsafe_code)]
fn pair(cells: &mut [[u32; 2]], source: &Source<'_>) {
    if source.end(cells.len(), 2) > source.values.len() {
        return;
    }
    let mut low = source.values.as_ptr();
    for cell in cells {
        // SAFETY: the last cell's values, of both pixels, lie inside the slice.
        let [a, b, c, d] = unsafe {
            let high = low.add(source.apart);
            [*low, *low.add(1), *high, *high.add(1)]
        };
        *cell = [word(a, c), word(b, d)];
        low = low.wrapping_add(source.step);
    }
}

impl Dot for Pairs {
    const WORDS: usize = BLOCK;

    fn prepare(block: [i8; 4], words: &mut [u32]) {
        words.iter_mut().zip(block).for_each(|(to, from)| *to = i32::from(from).cast_unsigned());
    }

    fn dot(words: &[u32], weights: &[[i8; 4]], sum: i32) -> i32 {
        arithmetic::dot(words.as_chunks().0, weights, sum)
    }
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

/// What the low sums start with: as much less than the bias as `BIAS` is added, twice in each block.
fn low_bias(filter: &Filter<'_>, bias: i32) -> i32 {
    let blocks = (filter.weights().len() / BLOCK) as i32;
    bias.wrapping_sub(blocks.wrapping_mul(2 * BIAS))
}

/// The instructions of Armv7-M.
#[cfg(dtmm_isa = "v7m")]
#[allow(unsafe_code)]
mod arithmetic {
    use core::arch::naked_asm;
    use core::ptr;

    use super::Pairs;
    use crate::tiled::{Filter, Out, Run, Scale, Scaling, Short, apply_by_tiles};

    /// `sum` plus the products of values and weights.
    pub fn dot(values: &[[u32; 4]], weights: &[[i8; 4]], sum: i32) -> i32 {
        let blocks = values.len().min(weights.len());
        if blocks == 0 {
            return sum;
        }
        // SAFETY: both slices have as many blocks, at least one.
        unsafe { add_products(values.as_ptr(), weights.as_ptr(), blocks, sum) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn add_products(
        values: *const [u32; 4],
        weights: *const [i8; 4],
        blocks: usize,
        sum: i32,
    ) -> i32 {
        naked_asm!(
            "push {{r4-r7, lr}}",
            "2:",
            "ldmia r0!, {{r4-r7}}",
            "ldrsb r12, [r1], #1",
            "ldrsb lr, [r1], #1",
            "mla r3, r4, r12, r3",
            "mla r3, r5, lr, r3",
            "ldrsb r12, [r1], #1",
            "ldrsb lr, [r1], #1",
            "mla r3, r6, r12, r3",
            "mla r3, r7, lr, r3",
            "subs r2, #1",
            "bne 2b",
            "mov r0, r3",
            "pop {{r4-r7, pc}}",
        )
    }

    /// What the assembler reads and writes.
    #[repr(C)]
    pub struct Row {
        runs: *const Run,
        weights: *const i8,
        plane: usize,
        /// What the sums of the low halves start with.
        low: i32,
        step: usize,
        /// With a shift of 0 one tile's sums are stored.
        scale: Short,
        /// The first tile's cells for offset 0.
        cells: *const u8,
        y: *mut i8,
        count: usize,
        sums: [i32; 4],
        /// What the sums of the high halves start with.
        high: i32,
        /// From the output of a low half to that of its high half, in elements of `y`.
        apart: usize,
        /// The same in outputs.
        half: usize,
        /// Outputs left when the low halves have no more.
        stop: usize,
    }

    impl Default for Row {
        fn default() -> Self {
            Row {
                runs: ptr::null(),
                weights: ptr::null(),
                plane: 0,
                low: 0,
                step: 0,
                scale: Short::default(),
                cells: ptr::null(),
                y: ptr::null_mut(),
                count: 0,
                sums: [0; 4],
                high: 0,
                apart: 0,
                half: 0,
                stop: 0,
            }
        }
    }

    impl Row {
        #[inline(always)]
        fn set(&mut self, filter: &Filter<'_>, bias: i32) {
            (self.runs, self.weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
            (self.cells, self.low, self.high) =
                (filter.rows().as_ptr().cast(), super::low_bias(filter, bias), bias);
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

    /// Sets what all filters of a row share. `plane` and `half` are the engine's.
    pub fn start(row: &mut Row, [plane, half]: [usize; 2], out: &Out, scaling: &Scaling<'_>) {
        (row.plane, row.scale) = (plane, scaling.short());
        (row.step, row.count) = (out.step, out.count);
        (row.apart, row.half, row.stop) = (half.wrapping_mul(out.step), half, out.count.saturating_sub(half));
    }

    /// All outputs of a row.
    #[inline(always)]
    pub fn apply(row: &mut Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &Out, y: &mut [i8]) {
        let last = row.count.wrapping_sub(1).wrapping_mul(row.step);
        if !scale.shorten(&mut row.scale) || last >= y.len() || row.count > filter.geometry().width {
            return apply_by_tiles::<Pairs>(row, filter, scale, out, y);
        }
        row.set(filter, scale.bias);
        row.y = y.as_mut_ptr();
        // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of the
        // row, and as many weights as the runs take; there are no more outputs than the row has, and the last of them lies
        // in `y`.
        unsafe { add_runs(row) }
    }

    /// Computes the sums of tile after tile and their outputs.
    #[unsafe(naked)]
    unsafe extern "C" fn add_runs(row: &mut Row) {
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
            // (sum * 2^32 + sum * (2 * multiplier - 2^32) + 2^31) / 2^32, and so on: see `Scale::finish`.
            ".macro DTMM_FINISH sum",
            "smull r12, r0, \\sum, r8",
            "adds r12, r12, #0x80000000",
            "adc \\sum, \\sum, r0",
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
            "ldr r6, [r12, #52]",
            "mov r5, r4",
            "mov r7, r6",
            "ldr r11, [sp, #4]",
            "movw r10, #0x7fff",
            "mov lr, r1",
            "3:",
            "ldmia lr!, {{r0, r1}}",
            "add r0, r11",
            "str lr, [sp]",
            "subs r1, #2",
            "blt 5f",
            "4:",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "subs r1, #2",
            "bge 4b",
            "5:",
            "ldr lr, [sp]",
            "adds r1, #2",
            "beq 3b",
            "bmi 6f",
            "DTMM_PAIR",
            "DTMM_PAIR",
            "ldr lr, [sp]",
            "b 3b",
            "6:",
            "ldr r12, [sp, #16]",
            "ldm r12, {{r2, r8-r11, lr}}",
            "cmp r9, #0",
            "beq 9f",
            "DTMM_FINISH r4",
            "DTMM_FINISH r5",
            "DTMM_FINISH r6",
            "DTMM_FINISH r7",
            "ldr r12, [sp, #16]",
            "add r0, sp, #4",
            "ldm r0, {{r0, r1, r3}}",
            // From a low half's output to the high half's, in elements and in outputs; outputs left at the end.
            "add r12, #56",
            "ldm r12, {{r8-r10}}",
            "strb r4, [r1]",
            "cmp r3, #2",
            "it ge",
            "strbge r5, [r1, r2]",
            "add r8, r1",
            "cmp r3, r9",
            "itt gt",
            "strbgt r6, [r8]",
            "addgt r9, #1",
            "cmp r3, r9",
            "it gt",
            "strbgt r7, [r8, r2]",
            "add r0, #16",
            "add r1, r1, r2, lsl #1",
            "subs r3, #2",
            "strd r0, r1, [sp, #4]",
            "str r3, [sp, #12]",
            "cmp r3, r10",
            "bgt 2b",
            "add sp, #20",
            "pop {{r4-r11, pc}}",
            "9:",
            "add r12, #36",
            "stm r12, {{r4-r7}}",
            "add sp, #20",
            "pop {{r4-r11, pc}}",
            ".purgem DTMM_PAIR",
            ".purgem DTMM_FINISH",
        )
    }
}

/// The instructions of Armv6-M.
#[cfg(dtmm_isa = "v6m")]
#[allow(unsafe_code)]
mod arithmetic {
    use core::arch::naked_asm;

    use super::Pairs;
    use crate::tiled::{Filter, Out, Run, Scale, Scaling, apply_by_tiles};

    /// The sums of the tile whose cells start `first` bytes behind the first tile's. `plane` is the engine's.
    pub fn sum(_: &mut Row, filter: &Filter<'_>, bias: i32, first: usize, plane: usize) -> [i32; 4] {
        let low = super::low_bias(filter, bias);
        let mut sums = [low, low, bias, bias];
        let (runs, weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
        let rows = filter.rows().as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of the
        // row, and as many weights as the runs take.
        unsafe { add_runs(sums.as_mut_ptr(), runs, weights, rows, plane.wrapping_sub(16)) }
        sums
    }

    /// `sum` plus the products of values and weights.
    pub fn dot(values: &[[u32; 4]], weights: &[[i8; 4]], sum: i32) -> i32 {
        let blocks = values.len().min(weights.len());
        if blocks == 0 {
            return sum;
        }
        // SAFETY: both slices have as many blocks, at least one.
        unsafe { add_products(values.as_ptr(), weights.as_ptr(), blocks, sum) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn add_products(
        values: *const [u32; 4],
        weights: *const [i8; 4],
        blocks: usize,
        sum: i32,
    ) -> i32 {
        naked_asm!(
            "push {{r4-r7, lr}}",
            "lsls r6, r2, #2",
            "adds r1, r1, r6",
            "adds r7, r1, #1",
            "rsbs r6, r6, #0",
            "2:",
            "ldmia r0!, {{r4, r5}}",
            "ldrsb r2, [r1, r6]",
            "muls r4, r2, r4",
            "adds r3, r3, r4",
            "ldrsb r2, [r7, r6]",
            "muls r5, r2, r5",
            "adds r3, r3, r5",
            "adds r6, #2",
            "ldmia r0!, {{r4, r5}}",
            "ldrsb r2, [r1, r6]",
            "muls r4, r2, r4",
            "adds r3, r3, r4",
            "ldrsb r2, [r7, r6]",
            "muls r5, r2, r5",
            "adds r3, r3, r5",
            "adds r6, #2",
            "bne 2b",
            "mov r0, r3",
            "pop {{r4-r7, pc}}",
        )
    }

    pub type Row = ();

    pub fn start(_: &mut Row, _: [usize; 2], _: &Out, _: &Scaling<'_>) {}

    pub fn apply(row: &mut Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &Out, y: &mut [i8]) {
        apply_by_tiles::<Pairs>(row, filter, scale, out, y);
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
            "subs r4, #1",
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
    use super::{BIAS, CELL, Pairs};
    use crate::tiled::{Filter, Out, Scale, Scaling, apply_by_tiles};

    pub fn dot(values: &[[u32; 4]], weights: &[[i8; 4]], sum: i32) -> i32 {
        let products = values.as_flattened().iter().zip(weights.as_flattened());
        products.fold(sum, |sum, (x, w)| sum.wrapping_add(x.cast_signed().wrapping_mul((*w).into())))
    }

    pub type Row = ();

    pub fn start(_: &mut Row, _: [usize; 2], _: &Out, _: &Scaling<'_>) {}

    pub fn apply(row: &mut Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &Out, y: &mut [i8]) {
        apply_by_tiles::<Pairs>(row, filter, scale, out, y);
    }

    pub fn sum(_: &mut Row, filter: &Filter<'_>, bias: i32, first: usize, plane: usize) -> [i32; 4] {
        let low = super::low_bias(filter, bias);
        let mut sums = [low, low, bias, bias];
        let (mut weights, _) = filter.weights().as_chunks::<2>();
        let [a, b, c, d] = &mut sums;
        for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
            let mut at = (*offset as usize).wrapping_add(first);
            for _ in 0..blocks.wrapping_mul(2) {
                let Some((w, rest)) = weights.split_first() else { return sums };
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
        sums
    }
}

/// As [`crate::reference::conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the scratch memory is too small or not aligned to 4.
pub fn conv2d_s8(p: &Conv2d<'_>, scratch: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    tiled::convolve::<Pairs>(p, Rounding::Twice, scratch, x, y)
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
    super::depthwise::depthwise::<Pairs>(p, scratch, x, y)
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
    tiled::fully_connected::<Pairs>(p, scratch, x, y)
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
