//! The part of QEMU's plugin interface that is used here (`qemu-plugin.h`).

use std::ffi::{c_int, c_uint, c_void};

use crate::blocks::Instruction;

/// QEMU accepts a plugin whose version lies between the oldest and the newest that it supports.
pub const VERSION: c_int = if cfg!(feature = "api3") {
    3
} else if cfg!(feature = "api2") {
    2
} else {
    1
};

/// QEMU's number of the plugin.
pub type Id = u64;
type Callback = extern "C" fn(c_uint, *mut c_void);
/// `QEMU_PLUGIN_CB_NO_REGS`
const NO_REGISTERS: c_int = 0;
/// The first half-word of a 32-bit Thumb instruction is at least this.
const WIDE: u16 = 0xe800;

/// A translation block, owned by QEMU.
#[repr(C)]
pub struct Tb {
    _private: [u8; 0],
}

/// An instruction in a translation block, owned by QEMU.
#[repr(C)]
pub struct Insn {
    _private: [u8; 0],
}

unsafe extern "C" {
    pub fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: extern "C" fn(Id, *mut Tb));
    pub fn qemu_plugin_register_atexit_cb(
        id: Id,
        callback: extern "C" fn(Id, *mut c_void),
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_tb_exec_cb(tb: *mut Tb, callback: Callback, flags: c_int, data: *mut c_void);
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut Insn,
        callback: Callback,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(tb: *const Tb) -> usize;
    fn qemu_plugin_tb_get_insn(tb: *const Tb, index: usize) -> *mut Insn;
    fn qemu_plugin_insn_vaddr(insn: *const Insn) -> u64;
    fn qemu_plugin_insn_size(insn: *const Insn) -> usize;
    #[cfg(not(feature = "api3"))]
    fn qemu_plugin_insn_data(insn: *const Insn) -> *const u8;
    #[cfg(feature = "api3")]
    fn qemu_plugin_insn_data(insn: *const Insn, to: *mut c_void, len: usize) -> usize;
}

/// Calls `callback` whenever the block runs.
///
/// # Safety
/// `tb` is a block during its translation; `callback` may use `data` at any later time.
pub unsafe fn on_block(tb: *mut Tb, callback: Callback, data: *mut c_void) {
    // SAFETY: as this function's.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, callback, NO_REGISTERS, data) }
}

/// Calls `callback` whenever the instruction runs.
///
/// # Safety
/// `insn` belongs to a block during its translation.
pub unsafe fn on_instruction(insn: *mut Insn, callback: Callback) {
    // SAFETY: as this function's.
    unsafe { qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, NO_REGISTERS, std::ptr::null_mut()) }
}

/// The instructions of a block.
///
/// # Safety
/// `tb` is a block during its translation.
pub unsafe fn instructions(tb: *const Tb) -> Vec<(*mut Insn, Instruction)> {
    // SAFETY: as this function's, and the index stays below the count.
    let pointers = unsafe { (0..qemu_plugin_tb_n_insns(tb)).map(|i| qemu_plugin_tb_get_insn(tb, i)) };
    // SAFETY: the pointers are the block's.
    pointers.map(|p| (p, unsafe { read(p) })).collect()
}

/// # Safety
/// `insn` belongs to a block during its translation.
unsafe fn read(insn: *const Insn) -> Instruction {
    let mut bytes = [0u8; 4];
    // SAFETY: the instruction has so many bytes, and at most four are copied.
    let pc = unsafe {
        let len = qemu_plugin_insn_size(insn).min(bytes.len());
        #[cfg(not(feature = "api3"))]
        std::ptr::copy_nonoverlapping(qemu_plugin_insn_data(insn), bytes.as_mut_ptr(), len);
        #[cfg(feature = "api3")]
        qemu_plugin_insn_data(insn, bytes.as_mut_ptr().cast(), len);
        qemu_plugin_insn_vaddr(insn)
    };
    let [first, second] = [[bytes[0], bytes[1]], [bytes[2], bytes[3]]].map(u16::from_le_bytes);
    // QEMU 7.2 tells a length 2 too large where the next instruction crosses a page, so the opcode decides.
    if first >= WIDE {
        Instruction { pc, opcode: u32::from(first) << 16 | u32::from(second), len: 4 }
    } else {
        Instruction { pc, opcode: u32::from(first), len: 2 }
    }
}
