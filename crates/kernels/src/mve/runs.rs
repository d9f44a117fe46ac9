//! The inner kernel of run-wise convolutions: four output pixels times a table of filters.

use core::arch::asm;

/// What the kernel needs for one tile of four output pixels.
#[repr(C)]
pub(super) struct Tile {
    /// Address of the first pixel's window in the input or the patch.
    pub base: *const i8,
    /// Bytes from the first window to the second, and from the third to the fourth.
    pub step: usize,
    /// The filters; see [`super::table`].
    pub table: *const u32,
    /// Bytes from the second window to the third.
    pub middle_step: usize,
    /// Addresses of the four pixels' first output channel.
    pub out: [*mut i8; 4],
    /// Zero point of the output.
    pub zero_point: i32,
    /// Clamp of the output.
    pub min: i32,
    /// Clamp of the output.
    pub max: i32,
}

/// Code shared by the kernels of four pixels and a table. All registers but r0–r3, r12 and q0–q3 are restored.
///
/// Registers: r0, r2, r4, r6 sums of the four pixels; r11 table; q4 output addresses, q5 minimum, q6 maximum, q7 zero
/// point of the output.
macro_rules! enter {
    () => {
        "push {{r4-r11, lr}}
         vpush {{d8-d15}}
         ldm r0!, {{r9-r12}}
         vldrw.u32 q4, [r0]
         ldrd r1, r2, [r0, #16]
         ldr r3, [r0, #24]
         vdup.32 q7, r1
         vdup.32 q5, r2
         vdup.32 q6, r3
         ldr r0, [r11], #4
         mov r2, r0
         mov r4, r0
         mov r6, r0"
    };
}

macro_rules! leave {
    () => {
        "vpop {{d8-d15}}
         pop {{r4-r11, lr}}"
    };
}

/// Scales q0 by multiplier `$m` and shift `$s`: the double rounding of [`crate::requantize::multiply`]. The high
/// multiplication rounds ties up as gemmlowp does; the rounding shift would, too, so negative values are first lowered
/// by one. `right` is for shifts that are all negative; `any` needs r5 and r7.
macro_rules! scale {
    (right, $m:literal, $s:literal) => {
        concat!(
            "vqrdmulh.s32 q0, q0, ",
            $m,
            "\n sxtb ",
            $m,
            ", ",
            $s,
            "\n vshr.s32 q1, q0, #31\n vadd.i32 q0, q0, q1\n vrshl.s32 q0, ",
            $m
        )
    };
    (any, $m:literal, $s:literal) => {
        concat!(
            "sxtb r5, ",
            $s,
            "\n bic r7, r5, r5, asr #31\n and r5, r5, r5, asr #31\n vshl.s32 q0, r7\n",
            "vqrdmulh.s32 q0, q0, ",
            $m,
            "\n vdup.32 q1, r5\n vand q1, q1, q0\n vshr.s32 q1, q1, #31\n",
            "vadd.i32 q0, q0, q1\n vrshl.s32 q0, r5"
        )
    };
}

/// Adds the zero point to q0, clamps, and stores channel `$c` of each pixel.
macro_rules! store {
    ($c:literal) => {
        concat!(
            "vqadd.s32 q0, q0, q7\n vmax.s32 q0, q0, q5\n vmin.s32 q0, q0, q6\n vstrb.32 q0, [",
            $c,
            ", q4]"
        )
    };
}

pub(super) use {enter, leave, scale, store};

macro_rules! run_kernel {
    ($(#[$doc:meta])* $name:ident, $shift:ident) => {
        $(#[$doc])*
        pub(super) unsafe fn $name(tile: &Tile) {
            // SAFETY: the caller's promise; every register that is not named below is saved and restored.
            unsafe { asm!(
                enter!(),
                // One entry: offset, length, address of the weights; a length of 0 ends the filter.
                "2: ldm r11!, {{r1, r7, r8}}",
                "wlstp.8 lr, r7, 4f",
                "add r1, r9
                 add r3, r1, r10
                 add r5, r3, r12
                 add r7, r5, r10",
                "3: vldrb.8 q0, [r8], #16
                 vldrb.8 q1, [r1], #16
                 vldrb.8 q2, [r3], #16
                 vmladava.s8 r0, q1, q0
                 vldrb.8 q3, [r5], #16
                 vmladava.s8 r2, q2, q0
                 vldrb.8 q1, [r7], #16
                 vmladava.s8 r4, q3, q0
                 vmladava.s8 r6, q1, q0
                 letp lr, 3b",
                "b 2b",
                // r1 is the multiplier, r8 the shift in its lowest byte, negative when another filter follows.
                "4: vmov q0[2], q0[0], r0, r4
                 vmov q0[3], q0[1], r2, r6
                 ldrd r0, r3, [r11], #8",
                scale!($shift, "r1", "r8"),
                store!("r3"),
                "mov r2, r0
                 mov r4, r0
                 mov r6, r0
                 cmp r8, #0
                 bmi 2b",
                leave!(),
                inout("r0") tile => _, out("r1") _, out("r2") _, out("r3") _, out("r12") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            ) }
        }
    };
}

run_kernel! {
    /// All shifts are to the right, by at least one.
    ///
    /// # Safety
    /// Every entry of the table lies inside the weights and, from each of the four windows, inside the input; every
    /// channel lies inside the output at each of the four addresses.
    conv_runs_right, right
}
run_kernel! {
    /// Any shifts.
    ///
    /// # Safety
    /// As [`conv_runs_right`].
    conv_runs_any, any
}
