//! The memory map, and how much of stack and arena was written. All unsafe reading and writing of fixed addresses is here.

use core::arch::asm;
use core::{ptr, slice};

unsafe extern "C" {
    static _stack_bottom: u8;
    static _free_start: u8;
    static _ram_end: u8;
    static _cases: u8;
    static _cases_end: u8;
}

/// What start-up fills the RAM with.
const PAINT: u32 = 0x5b5b_5b5b;
/// Bytes behind the arena that must stay as they were.
const GUARD: usize = 64;
/// Paint stops this far below the painter's stack pointer.
const OWN_FRAME: usize = 64;

/// Stack pointer when the package started to run.
static mut TOP: usize = 0;

/// The window that the emulator loads the file of cases to.
pub fn cases() -> &'static [u8] {
    let (start, end) = (&raw const _cases, &raw const _cases_end);
    // SAFETY: the machine's map has this memory, and nothing writes to it while the image runs.
    unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// The RAM that neither stack nor variables use. To be called once.
pub fn free() -> &'static mut [i8] {
    let (start, end) = (&raw const _free_start, &raw const _ram_end);
    // SAFETY: start-up wrote all of it; the linker script gives it to nobody else; `main` calls this once.
    unsafe { slice::from_raw_parts_mut(start.cast::<i8>().cast_mut(), end.addr() - start.addr()) }
}

/// The same bytes as signed values.
pub fn signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: i8 has the size and alignment of u8, and every bit pattern is a value.
    unsafe { slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// The same values as bytes.
pub fn unsigned(values: &[i8]) -> &[u8] {
    // SAFETY: as in `signed`.
    unsafe { slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// Writes the pattern behind the first `arena` bytes.
pub fn paint_guard(free: &mut [i8], arena: usize) {
    for byte in free.iter_mut().skip(arena).take(GUARD) {
        *byte = PAINT as i8;
    }
}

/// True when nothing wrote behind the arena.
pub fn guard_is_intact(free: &[i8], arena: usize) -> bool {
    free.iter().skip(arena).take(GUARD).all(|&byte| byte == PAINT as i8)
}

/// Paints the unused stack.
#[inline(never)]
pub fn paint_stack() {
    let mut at = (&raw const _stack_bottom).cast::<u32>().cast_mut();
    let end = stack_pointer() - OWN_FRAME;
    while at.addr() < end {
        // SAFETY: between the stack's end and this function's frame nothing lives.
        unsafe {
            ptr::write_volatile(at, PAINT);
            at = at.add(1);
        }
    }
}

/// From here on down, stack counts as used by the package.
#[inline(always)]
pub fn mark_stack_top() {
    // SAFETY: there is one thread and no interrupt.
    unsafe { TOP = stack_pointer() }
}

/// Deepest stack in bytes since [`mark_stack_top`].
#[inline(never)]
pub fn stack_used() -> u32 {
    let mut at = (&raw const _stack_bottom).cast::<u32>();
    // SAFETY: there is one thread and no interrupt.
    let top = unsafe { TOP };
    // SAFETY: reads the stack's own memory.
    while at.addr() < top && unsafe { ptr::read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    (top - at.addr()) as u32
}

#[inline(always)]
fn stack_pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) }
    sp
}
