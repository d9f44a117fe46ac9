//! Vector table and reset: written in assembly, because no Rust may run before the RAM holds what it expects.

use core::arch::global_asm;

use crate::semihosting;

/// Exit status after a panic.
const PANIC: u32 = 101;
/// Exit status after a fault.
const FAULT: u32 = 102;

global_asm!(
    ".syntax unified",
    ".section .vectors, \"a\"",
    ".word _stack_top",
    ".word Reset",
    // NMI and the faults; nothing else is enabled.
    ".rept 14",
    ".word Fault",
    ".endr",
    ".section .text.Reset, \"ax\"",
    ".global Reset",
    ".type Reset, %function",
    ".thumb_func",
    "Reset:",
    // All of the RAM gets a pattern, which tells later what was used.
    "ldr r0, =_stack_bottom",
    "ldr r1, =_ram_end",
    "ldr r2, =0x5b5b5b5b",
    "1: str r2, [r0]",
    "adds r0, #4",
    "cmp r0, r1",
    "blo 1b",
    "ldr r0, =_data_start",
    "ldr r1, =_data_end",
    "ldr r2, =_data_load",
    "2: cmp r0, r1",
    "bhs 3f",
    "ldr r3, [r2]",
    "str r3, [r0]",
    "adds r0, #4",
    "adds r2, #4",
    "b 2b",
    "3: ldr r1, =_free_start",
    "movs r2, #0",
    "4: cmp r0, r1",
    "bhs 5f",
    "str r2, [r0]",
    "adds r0, #4",
    "b 4b",
    "5:",
    // Coprocessors 10 and 11 are the floating-point and vector registers.
    #[cfg(target_abi = "eabihf")]
    "ldr r0, =0xe000ed88",
    #[cfg(target_abi = "eabihf")]
    "ldr r1, [r0]",
    #[cfg(target_abi = "eabihf")]
    "ldr r2, =0x00f00000",
    #[cfg(target_abi = "eabihf")]
    "orrs r1, r2",
    #[cfg(target_abi = "eabihf")]
    "str r1, [r0]",
    "dsb",
    "isb",
    "bl dtmm_main",
    ".ltorg",
    ".global Fault",
    ".type Fault, %function",
    ".thumb_func",
    "Fault: bl dtmm_fault",
);

#[unsafe(no_mangle)]
extern "C" fn dtmm_main() -> ! {
    semihosting::exit(crate::main())
}

#[unsafe(no_mangle)]
extern "C" fn dtmm_fault() -> ! {
    semihosting::exit(FAULT)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    semihosting::exit(PANIC)
}
