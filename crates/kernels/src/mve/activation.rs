//! Lut: sixteen look-ups at a time.

use core::arch::asm;

use crate::{KernelError, Operand};

/// As [`crate::reference::lut_s8`].
///
/// # Errors
/// When input and output differ in length, or the table is shorter than 256.
pub fn lut_s8(table: &[i8], x: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    let table = table.first_chunk::<256>().ok_or(KernelError::ParameterLength)?;
    let x = match x {
        Operand::Output => y.as_ptr(),
        Operand::Slice(x) if x.len() == y.len() => x.as_ptr(),
        Operand::Slice(_) => return Err(KernelError::ActivationLength),
    };
    // SAFETY: the predicated loop touches `y.len()` bytes at `x`, which may be `y`, and at `y`; every byte is an index
    // into the table.
    unsafe {
        asm!(
            "wlstp.8 lr, {len}, 3f",
            "2: vldrb.8 q0, [{x}], #16
             vldrb.u8 q1, [{table}, q0]
             vstrb.8 q1, [{y}], #16
             letp lr, 2b",
            "3:",
            len = in(reg) y.len(),
            x = inout(reg) x => _,
            y = inout(reg) y.as_mut_ptr() => _,
            table = in(reg) table.as_ptr(),
            out("lr") _, out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
    Ok(())
}
