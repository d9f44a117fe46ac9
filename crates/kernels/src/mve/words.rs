//! The inner kernel of convolutions whose runs are shorter than a vector: four output pixels times a table of filters,
//! with the kept words of four channels gathered from each pixel.

use core::arch::asm;

use super::runs::{Tile, enter, leave, scale, store};

macro_rules! word_kernel {
    ($(#[$doc:meta])* $name:ident, $shift:ident) => {
        $(#[$doc])*
        pub(super) unsafe fn $name(tile: &Tile) {
            // SAFETY: the caller's promise; every register that is not named below is saved and restored.
            unsafe { asm!(
                enter!(),
                "mov r7, r11
                 add r8, r9, r10
                 add r11, r8, r12
                 add r10, r11, r10",
                // A filter: address of the weights, their number, then one u16 for each word of the input.
                "2: ldrd r1, r3, [r7], #8",
                "wlstp.8 lr, r3, 4f",
                "3: vldrh.u32 q1, [r7], #8
                 vldrb.8 q0, [r1], #16
                 vldrw.u32 q2, [r9, q1, uxtw #2]
                 vldrw.u32 q3, [r8, q1, uxtw #2]
                 vmladava.s8 r0, q2, q0
                 vldrw.u32 q2, [r11, q1, uxtw #2]
                 vmladava.s8 r2, q3, q0
                 vldrw.u32 q3, [r10, q1, uxtw #2]
                 vmladava.s8 r4, q2, q0
                 vmladava.s8 r6, q3, q0
                 letp lr, 3b",
                "4: vmov q0[2], q0[0], r0, r4
                 vmov q0[3], q0[1], r2, r6
                 ldm r7!, {{r0, r1, r3, r5}}",
                word_kernel!(@save $shift),
                scale!($shift, "r1", "r3"),
                word_kernel!(@restore $shift),
                store!("r5"),
                "mov r2, r0
                 mov r4, r0
                 mov r6, r0
                 cmp r3, #0
                 bmi 2b",
                leave!(),
                inout("r0") tile => _, out("r1") _, out("r2") _, out("r3") _, out("r12") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            ) }
        }
    };
    (@save right) => { "" };
    (@save any) => { "mov r2, r5\n mov r4, r7" };
    (@restore right) => { "" };
    (@restore any) => { "mov r5, r2\n mov r7, r4" };
}

word_kernel! {
    /// All shifts are to the right, by at least one.
    ///
    /// # Safety
    /// Every word of the table lies inside the input from each of the four windows, which are aligned to words; the
    /// weights of each filter lie inside the weights; every channel lies inside the output at each of the addresses.
    conv_words_right, right
}
word_kernel! {
    /// Any shifts.
    ///
    /// # Safety
    /// As [`conv_words_right`].
    conv_words_any, any
}
