//! Vector loops over bytes, and words of the scratch memory.

use core::arch::asm;

/// Copies `from` to the front of `to`; as much as fits.
pub(super) fn copy(to: &mut [i8], from: &[i8]) {
    let len = to.len().min(from.len());
    // SAFETY: the predicated loop touches `len` bytes of each slice; the slices do not overlap.
    unsafe {
        asm!(
            "wlstp.8 lr, {len}, 3f",
            "2: vldrb.8 q0, [{from}], #16
             vstrb.8 q0, [{to}], #16
             letp lr, 2b",
            "3:",
            len = in(reg) len,
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}

/// Sets every byte.
pub(super) fn fill(to: &mut [i8], value: i8) {
    // SAFETY: the predicated loop touches as many bytes as the slice has.
    unsafe {
        asm!(
            "vdup.8 q0, {value}",
            "wlstp.8 lr, {len}, 3f",
            "2: vstrb.8 q0, [{to}], #16
             letp lr, 2b",
            "3:",
            value = in(reg) i32::from(value),
            len = in(reg) to.len(),
            to = inout(reg) to.as_mut_ptr() => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}

/// The aligned words of some bytes.
pub(super) fn words(bytes: &mut [i8]) -> &mut [u32] {
    // SAFETY: every bit pattern is a valid u32.
    unsafe { bytes.align_to_mut::<u32>().1 }
}

/// Words as pairs of half-words.
pub(super) fn halves(words: &mut [u32]) -> &mut [u16] {
    // SAFETY: every bit pattern is a valid u16.
    unsafe { words.align_to_mut::<u16>().1 }
}

/// Records of 16 words.
pub(super) fn scales(bytes: &mut [i8]) -> &mut [[i32; 16]] {
    // SAFETY: every bit pattern is a valid i32.
    unsafe { bytes.align_to_mut::<[i32; 16]>().1 }
}
