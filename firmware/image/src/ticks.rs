//! SysTick as a stopwatch, to cross-check the plugin's counts: 24 bits, counts down.

use core::ptr;

const CONTROL: *mut u32 = 0xe000_e010 as *mut u32;
const MASK: u32 = 0x00ff_ffff;
/// Enabled, at the core's clock, without interrupt.
const RUN: u32 = 0b101;

/// Starts counting.
pub fn start() {
    // SAFETY: the timer's three registers, which exist on every machine that we emulate.
    unsafe {
        ptr::write_volatile(CONTROL.add(1), MASK);
        ptr::write_volatile(CONTROL.add(2), 0);
        ptr::write_volatile(CONTROL, RUN);
    }
}

/// The counter.
#[inline(always)]
pub fn now() -> u32 {
    // SAFETY: reads the timer's value register.
    unsafe { ptr::read_volatile(CONTROL.add(2)) }
}

/// Ticks since the counter was `start`, modulo 2^24.
#[inline(always)]
pub fn since(start: u32) -> u32 {
    start.wrapping_sub(now()) & MASK
}
