//! Scaling with one rounding, as fully connected layers do.

use core::arch::asm;

/// As [`crate::requantize::multiply_once`]: the 64-bit product is rounded by the saturating long shift. That rounds ties up, so
/// negative products are first lowered by one.
#[inline(always)]
pub(super) fn multiply_once(x: i32, multiplier: i32, shift: i8) -> i32 {
    let bits = 31i32.wrapping_sub(i32::from(shift.min(30)));
    let (low, high): (u32, i32);
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "smull r2, r3, {x}, {multiplier}
             asrs {sign}, r3, #31
             adds r2, r2, {sign}
             adcs r3, {sign}
             sqrshrl r2, r3, #64, {bits}",
            x = in(reg) x,
            multiplier = in(reg) multiplier,
            sign = out(reg) _,
            bits = in(reg) bits,
            out("r2") low,
            out("r3") high,
            options(pure, nomem, nostack),
        );
    }
    let low = low.cast_signed();
    if high == low >> 31 { low } else { (high >> 31) ^ i32::MAX }
}
