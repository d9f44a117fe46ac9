//! The instructions of Armv6-M.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::Pairs;
use crate::tiled::{Filter, Out, Run, Scale, Scaling, apply_by_tiles};

/// The sums of the tile whose cells start `first` bytes behind the first tile's. `plane` is the engine's.
pub fn sum(_: &mut Row, filter: &Filter<'_>, bias: i32, first: usize, plane: usize) -> [i32; 4] {
    let [low, high] = super::starts(filter, bias);
    let mut sums = [low, low, high, high];
    let (runs, weights) = (filter.runs().as_ptr(), filter.weights().as_ptr());
    let rows = filter.rows().as_ptr().cast::<u8>().wrapping_add(first);
    // SAFETY: a `Filter` has runs that end with `END`, whose cells lie inside the row buffer for every tile of the
    // row, and as many weights as the runs take.
    unsafe { add_runs(sums.as_mut_ptr(), runs, weights, rows, plane.wrapping_sub(16)) }
    sums
}

/// `sum` plus the products of all runs.
///
/// # Safety
/// The runs end with `END`; their words lie behind `cells`, one for each channel, and there are as many weights as
/// they take.
#[unsafe(naked)]
pub unsafe extern "C" fn add_single(runs: *const Run, weights: *const i8, cells: *const u8, sum: i32) -> i32 {
    naked_asm!(
        // The run's words at r7, its weights at r1 (+ r6, which is 0) up to lr; all words start at r12.
        ".macro DTMM_TWO",
        "ldmia r7!, {{r4, r5}}",
        "ldrsb r2, [r1, r6]",
        "muls r4, r2, r4",
        "adds r3, r3, r4",
        "adds r1, #1",
        "ldrsb r2, [r1, r6]",
        "muls r5, r2, r5",
        "adds r3, r3, r5",
        "adds r1, #1",
        ".endm",
        "push {{r4-r7, lr}}",
        "mov r12, r2",
        "movs r6, #0",
        "1:",
        "ldmia r0!, {{r4, r5}}",
        "lsls r5, r5, #2",
        "beq 3f",
        "adds r5, r1, r5",
        "mov lr, r5",
        "add r4, r12",
        "mov r7, r4",
        "2:",
        "DTMM_TWO",
        "DTMM_TWO",
        "cmp r1, lr",
        "bne 2b",
        "b 1b",
        "3:",
        "mov r0, r3",
        "pop {{r4-r7, pc}}",
        ".purgem DTMM_TWO",
    )
}

pub type Row = ();

pub fn start(_: [usize; 2], _: &Out<'_>, _: &Scaling<'_>) -> Row {}

pub fn apply(row: &mut Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &mut Out<'_>) {
    apply_by_tiles::<Pairs>(row, filter, scale, out);
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
        "mvns r4, r4",
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
