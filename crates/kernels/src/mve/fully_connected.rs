//! FullyConnected.
//!
//! Dense: four filters share each load of the input. FWCS: runs are decoded filter by filter and used at once, since
//! most such layers have a single row.

use core::arch::asm;

use super::table::{Filters, Frame};
use crate::{FullyConnected, KernelError, Weights, Window};

/// As [`crate::reference::fully_connected_s8`]; no scratch memory is used.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn fully_connected_s8(
    p: &FullyConnected<'_>,
    _scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let filters = p.linear.bias.len();
    let fits = |len: usize, c: usize| len > 0 && p.rows.checked_mul(c) == Some(len);
    if !fits(x.len(), p.input_channels) || !fits(y.len(), filters) {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(filters)?;
    match p.linear.weights {
        Weights::Dense(w) if filters.checked_mul(p.input_channels) == Some(w.len()) => {
            for (x, y) in x.chunks_exact(p.input_channels.max(1)).zip(y.chunks_exact_mut(filters.max(1))) {
                dense_row(p, w, x, y);
            }
            Ok(())
        }
        Weights::Dense(_) => Err(KernelError::ParameterLength),
        _ => fwcs(p, x, y),
    }
}

/// One row times all filters.
fn dense_row(p: &FullyConnected<'_>, w: &[i8], x: &[i8], y: &mut [i8]) {
    let (filters, len) = (y.len(), x.len());
    let (last, step) = (filters.saturating_sub(4), if filters < 4 { 0 } else { len });
    let mut done = 0;
    while done < filters {
        // The last four overlap those before them; fewer than four are computed one by one.
        let first = if step == 0 { done } else { done.min(last) };
        let Some(weights) = w.get(first.wrapping_mul(len)..) else { return };
        // SAFETY: filter `first`, and with a step the three behind it, have `len` weights each in `w`.
        let sums = unsafe { dot_four(weights.as_ptr(), step, x) };
        let count = if step == 0 { 1 } else { 4 };
        for (o, sum) in (first..).zip(sums).take(count) {
            if let Some(y) = y.get_mut(o) {
                *y = p.linear.finish_once(o, sum.wrapping_add(p.linear.bias(o)));
            }
        }
        done = first.wrapping_add(count);
    }
}

/// Products of `x` with four filters that lie `step` bytes apart.
///
/// # Safety
/// Each of the four filters has as many weights as `x` elements.
#[inline(always)]
unsafe fn dot_four(w: *const i8, step: usize, x: &[i8]) -> [i32; 4] {
    let mut sums = [0; 4];
    // SAFETY: the predicated loop reads as many bytes of `x` and of each filter as `x` has.
    unsafe {
        asm!(
            "wlstp.8 lr, {len}, 3f",
            "2: vldrb.8 q0, [{x}], #16
             vldrb.8 q1, [{a}], #16
             vldrb.8 q2, [{b}], #16
             vmladava.s8 r0, q1, q0
             vldrb.8 q3, [{c}], #16
             vmladava.s8 r2, q2, q0
             vldrb.8 q1, [{d}], #16
             vmladava.s8 r4, q3, q0
             vmladava.s8 r12, q1, q0
             letp lr, 2b",
            "3: vmov q0[2], q0[0], r0, r4
             vmov q0[3], q0[1], r2, r12
             vstrw.32 q0, [{sums}]",
            len = in(reg) x.len(),
            x = inout(reg) x.as_ptr() => _,
            a = inout(reg) w => _,
            b = inout(reg) w.wrapping_add(step) => _,
            c = inout(reg) w.wrapping_add(step.wrapping_mul(2)) => _,
            d = inout(reg) w.wrapping_add(step.wrapping_mul(3)) => _,
            sums = in(reg) sums.as_mut_ptr(),
            inout("r0") 0 => _, inout("r2") 0 => _, inout("r4") 0 => _, inout("r12") 0 => _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
    sums
}

fn fwcs(p: &FullyConnected<'_>, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let channels = p.input_channels;
    let frame = Frame::new(&Window::POINT, channels, channels, &p.linear.weights);
    let mut filters =
        Filters::new(&Window::POINT, frame.ok_or(KernelError::ParameterLength)?, &p.linear, false);
    for o in 0..p.linear.bias.len() {
        let start = filters.clone();
        let (mut rows, mut outputs) =
            (x.chunks_exact(channels.max(1)), y.chunks_exact_mut(p.linear.bias.len().max(1)));
        while let (Some(x), Some(y)) = (rows.next(), outputs.next()) {
            filters = start.clone();
            let mut sum = p.linear.bias(o);
            filters.each_stored(|weights, at| {
                sum = dot(weights, x.get(at..at.wrapping_add(weights.len()))?, sum);
                Some(())
            })?;
            if let Some(y) = y.get_mut(o) {
                *y = p.linear.finish_once(o, sum);
            }
        }
    }
    Ok(())
}

/// `sum` plus the products of both; as many as the shorter one has.
#[inline(always)]
fn dot(w: &[i8], x: &[i8], mut sum: i32) -> i32 {
    let len = w.len().min(x.len());
    // SAFETY: the predicated loop reads `len` bytes of each.
    unsafe {
        asm!(
            "wlstp.8 lr, {len}, 3f",
            "2: vldrb.8 q0, [{w}], #16
             vldrb.8 q1, [{x}], #16
             vmladava.s8 r0, q0, q1
             letp lr, 2b",
            "3:",
            len = in(reg) len,
            w = inout(reg) w.as_ptr() => _,
            x = inout(reg) x.as_ptr() => _,
            inout("r0") sum,
            out("lr") _, out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack, readonly),
        );
    }
    sum
}
