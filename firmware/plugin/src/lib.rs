//! QEMU TCG plugin: counts the instructions executed between two marker instructions, exactly.
//!
//! `hint #7` starts a region and `hint #8` ends it; each is followed by ISB, which ends a translation block, so that
//! nothing else of the block is counted. Use: `-plugin libdtmm_counter.so,out=FILE[,detail=on]`.
//!
//! The file has a line `region TOTAL` for each region; with details, before it a line
//! `PC OPCODE EXECUTED TAKEN` (the first two in hexadecimal) for each instruction that ran, where TAKEN tells how often
//! control went elsewhere than to the next address.

mod blocks;
mod qemu;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::BufWriter;

use blocks::{Block, Counter};
use qemu::{Id, Tb};

const START: u32 = 0xbf70;
const STOP: u32 = 0xbf80;

/// The plugin interface that this build was made for.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = qemu::VERSION;

/// The emulated machines have one core, so QEMU calls from one thread at a time.
static mut COUNTER: Option<Counter> = None;

fn with_counter(act: impl FnOnce(&mut Counter)) {
    // SAFETY: no callback runs during another one, and none keeps a reference.
    if let Some(counter) = unsafe { (*(&raw mut COUNTER)).as_mut() } {
        act(counter);
    }
}

/// Called once by QEMU.
///
/// # Safety
/// `argv` holds `argc` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let (mut out, mut detail) = (None, false);
    for i in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: QEMU passes `argc` strings that end in a zero.
        let argument = unsafe { CStr::from_ptr(*argv.add(i)) }.to_string_lossy().into_owned();
        match argument.split_once('=') {
            Some(("out", path)) => out = File::create(path).ok(),
            Some(("detail", value)) => detail = value == "on",
            _ => return 1,
        }
    }
    let Some(out) = out else { return 1 };
    // SAFETY: nothing is registered yet, so no callback runs.
    unsafe { COUNTER = Some(Counter::new(BufWriter::new(out), detail)) };
    // SAFETY: `id` is what QEMU gave.
    unsafe {
        qemu::qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu::qemu_plugin_register_atexit_cb(id, exiting, std::ptr::null_mut());
    }
    0
}

extern "C" fn translated(_: Id, tb: *mut Tb) {
    let mut block = Block::default();
    let mut stopped = false;
    // SAFETY: QEMU lends the block and its instructions for this call.
    let instructions = unsafe { qemu::instructions(tb) };
    for (pointer, instruction) in instructions {
        block.reach(&instruction);
        match instruction.opcode {
            // SAFETY: as above; the callback takes no user data.
            START => unsafe { qemu::on_instruction(pointer, started) },
            STOP => {
                stopped = true;
                // SAFETY: as above.
                unsafe { qemu::on_instruction(pointer, ended) }
            }
            _ => {}
        }
        if !stopped {
            block.push(instruction);
        }
    }
    with_counter(|counter| {
        let pointer = counter.keep(block);
        // SAFETY: blocks are never freed, so the pointer stays valid as long as QEMU calls.
        unsafe { qemu::on_block(tb, executed, pointer.cast()) };
    });
}

extern "C" fn executed(_: c_uint, block: *mut c_void) {
    // SAFETY: `translated` gave a pointer that `keep` had made.
    with_counter(|counter| unsafe { counter.executed(block.cast()) });
}

extern "C" fn started(_: c_uint, _: *mut c_void) {
    with_counter(Counter::start);
}

extern "C" fn ended(_: c_uint, _: *mut c_void) {
    with_counter(Counter::stop);
}

extern "C" fn exiting(_: Id, _: *mut c_void) {
    with_counter(Counter::flush);
}
