//! Arm semihosting: files of the emulator's host, and the end of the run.

use core::arch::asm;
use core::ffi::CStr;

const SYS_OPEN: u32 = 0x01;
const SYS_WRITE: u32 = 0x05;
const SYS_EXIT_EXTENDED: u32 = 0x20;
/// `wb` in the list of modes.
const WRITE_BINARY: u32 = 5;
const APPLICATION_EXIT: u32 = 0x20026;

/// A file open for writing.
pub struct File {
    handle: u32,
}

impl File {
    /// Creates or empties the file, in the emulator's working directory.
    pub fn create(name: &CStr) -> Option<Self> {
        let block = [name.as_ptr() as u32, WRITE_BINARY, name.count_bytes() as u32];
        // SAFETY: the block holds a string's address and length, as SYS_OPEN asks for.
        let handle = unsafe { call(SYS_OPEN, &block) };
        (handle != u32::MAX).then_some(File { handle })
    }

    /// Appends all bytes; false when some could not be written.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let block = [self.handle, bytes.as_ptr() as u32, bytes.len() as u32];
        // SAFETY: the block holds a readable slice, as SYS_WRITE asks for; it answers the number of bytes not written.
        unsafe { call(SYS_WRITE, &block) == 0 }
    }
}

/// Ends the emulator with this status.
pub fn exit(status: u32) -> ! {
    loop {
        // SAFETY: SYS_EXIT_EXTENDED takes a reason and a status.
        unsafe { call(SYS_EXIT_EXTENDED, &[APPLICATION_EXIT, status]) };
    }
}

/// # Safety
/// `block` is what `operation` asks for.
unsafe fn call(operation: u32, block: &[u32]) -> u32 {
    let answer;
    // SAFETY: the emulator reads the block and memory that it points to, and changes r0 only.
    unsafe {
        asm!("bkpt 0xab", inlateout("r0") operation => answer, in("r1") block.as_ptr(), options(nostack))
    }
    answer
}
