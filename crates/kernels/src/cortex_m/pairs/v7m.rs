//! The instructions of Armv7-M.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ptr;

use super::Pairs;
use crate::tiled::{Filter, Out, Run, Scale, Scaling, Short, apply_by_tiles};

/// `sum` plus the products of all runs.
///
/// # Safety
/// The runs end with `END`; their words lie behind `cells`, one for each channel, and there are as many weights as
/// they take.
#[unsafe(naked)]
pub unsafe extern "C" fn add_single(runs: *const Run, weights: *const i8, cells: *const u8, sum: i32) -> i32 {
    naked_asm!(
        "push {{r4-r9, lr}}",
        "2:",
        "ldmia r0!, {{r8, r9}}",
        "cmp r9, #0",
        "ble 4f",
        "add r8, r2",
        "3:",
        "ldmia r8!, {{r4-r7}}",
        "ldrsb r12, [r1], #1",
        "ldrsb lr, [r1], #1",
        "mla r3, r4, r12, r3",
        "mla r3, r5, lr, r3",
        "ldrsb r12, [r1], #1",
        "ldrsb lr, [r1], #1",
        "mla r3, r6, r12, r3",
        "mla r3, r7, lr, r3",
        "subs r9, #1",
        "bne 3b",
        "b 2b",
        "4:",
        "mov r0, r3",
        "pop {{r4-r9, pc}}",
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

impl Row {
    #[inline(always)]
    fn set(&mut self, filter: &Filter<'_>, bias: i32) {
        (self.runs, self.weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
        self.cells = filter.rows().as_ptr().cast();
        [self.low, self.high] = super::starts(filter, bias);
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

/// What all filters of a row share. `plane` and `half` are the engine's.
#[inline(always)]
pub fn start([plane, half]: [usize; 2], out: &Out<'_>, scaling: &Scaling<'_>) -> Row {
    Row {
        runs: ptr::null(),
        weights: ptr::null(),
        plane,
        low: 0,
        step: out.filters(),
        scale: scaling.short(),
        cells: ptr::null(),
        y: ptr::null_mut(),
        count: out.count(),
        sums: [0; 4],
        high: 0,
        apart: half.wrapping_mul(out.filters()),
        half,
        stop: out.count().saturating_sub(half),
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
            // the row, and as many weights as the runs take; `Out` has the outputs that the row was started with, and not
            // more than the geometry has.
            unsafe { add_runs(row) }
        }
        _ => apply_by_tiles::<Pairs>(row, filter, scale, out),
    }
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
        "mvn r10, #0x8000",
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
