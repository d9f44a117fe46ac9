//! Marker instructions that the emulator's plugin looks for: reserved hints, which do nothing on any core. The barrier
//! behind each ends the emulator's translation block, so that counting is exact.

use core::arch::asm;

/// Counting starts behind this.
#[inline(always)]
pub fn start() {
    // SAFETY: `hint #7` and the barrier change no register and no memory.
    unsafe { asm!(".hword 0xbf70", "isb", options(nostack, preserves_flags)) }
}

/// Counting stops before this.
#[inline(always)]
pub fn stop() {
    // SAFETY: `hint #8` and the barrier change no register and no memory.
    unsafe { asm!(".hword 0xbf80", "isb", options(nostack, preserves_flags)) }
}
