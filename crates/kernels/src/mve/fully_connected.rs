//! FullyConnected.
//!
//! Dense: four filters share each load of the input. FWCS: the index is read bit by bit along the input, since most such
//! layers have a single row and a decoded filter would be used once.

use core::arch::asm;

use super::single::multiply_once;
use crate::tiled::Index;
use crate::{Conv2d, KernelError, Linear, Weights};

/// As [`crate::reference::fully_connected_s8`]; no scratch memory is used.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn fully_connected_s8(
    p: &Conv2d<'_>,
    _scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let (channels, filters) = (p.input.c, p.output.c);
    if !p.input.holds(x, &p.output, y) {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(filters)?;
    match p.linear.weights {
        Weights::Dense(w) if filters.checked_mul(channels) == Some(w.len()) => {
            for (x, y) in x.chunks_exact(channels.max(1)).zip(y.chunks_exact_mut(filters.max(1))) {
                dense_row(p, w, x, y);
            }
            Ok(())
        }
        Weights::Dense(_) => Err(KernelError::ParameterLength),
        _ => fwcs(p, x, y),
    }
}

/// One row times all filters.
fn dense_row(p: &Conv2d<'_>, w: &[i8], x: &[i8], y: &mut [i8]) {
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
                *y = finish(&p.linear, o, sum);
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

/// Scales the sum of filter `o`, less its bias.
#[inline(always)]
fn finish(linear: &Linear<'_>, o: usize, sum: i32) -> i8 {
    let (multiplier, shift) = linear.scale(o);
    let scaled = multiply_once(sum.wrapping_add(linear.bias(o)), multiplier, shift);
    linear.clamp.apply(scaled.saturating_add(i32::from(linear.output_zero_point)))
}

fn fwcs(p: &Conv2d<'_>, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let channels = p.input.c;
    let (group, runs, index) = match p.linear.weights {
        Weights::Bitmap { group, bitmap, runs } => (group, runs, Index::bitmap(bitmap)),
        Weights::Gaps { group, gaps, runs } => (group, runs, Index::gaps(gaps)),
        Weights::Dense(_) => return Err(KernelError::ParameterLength),
    };
    if group == 0 {
        return Err(KernelError::ParameterLength);
    }
    let filters = p.linear.bias.len();
    let mut outputs = y.chunks_exact_mut(filters.max(1));
    for x in x.chunks_exact(channels.max(1)) {
        let mut rest = Runs { group, whole: channels / group, index: index.clone(), weights: runs };
        let Some(y) = outputs.next() else { return Err(KernelError::ActivationLength) };
        for (o, y) in y.iter_mut().enumerate() {
            let sum = rest.filter(x).ok_or(KernelError::ParameterLength)?;
            *y = finish(&p.linear, o, sum);
        }
    }
    Ok(())
}

/// What has not been read yet of a layer.
struct Runs<'a> {
    group: usize,
    /// Runs of a filter that have `group` channels.
    whole: usize,
    index: Index<'a>,
    weights: &'a [i8],
}

impl Runs<'_> {
    /// The sum of the next filter.
    #[inline(never)]
    fn filter(&mut self, x: &[i8]) -> Option<i32> {
        let (mut sum, mut left, mut x) = (0, self.whole, x);
        while left > 0 {
            let (bits, n) = self.index.take(left)?;
            let stored = (bits.count_ones() as usize).wrapping_mul(self.group);
            let (weights, after) = self.weights.split_at_checked(stored)?;
            let (now, behind) = x.split_at_checked(n.wrapping_mul(self.group))?;
            // SAFETY: `now` holds `n` groups, and `weights` one for each of the lowest `n` bits that is set.
            sum = unsafe { dot_groups(bits, weights, now, self.group, sum) };
            (self.weights, x) = (after, behind);
            left = left.wrapping_sub(n);
        }
        // What is left of the input is shorter than a group.
        if !x.is_empty() && self.index.take(1)?.0 == 1 {
            let (weights, after) = self.weights.split_at_checked(x.len())?;
            self.weights = after;
            sum = dot(weights, x, sum);
        }
        Some(sum)
    }
}

/// `sum` plus the products of the groups of `x` whose bit is set, the first in the lowest bit, with the weights.
///
/// # Safety
/// `x` has a group for every bit up to the highest that is set, `w` one for each that is.
#[inline(always)]
unsafe fn dot_groups(bits: u32, w: &[i8], x: &[i8], group: usize, mut sum: i32) -> i32 {
    let bits = bits.reverse_bits();
    // SAFETY: each step reads `group` bytes of a group and its weights; without a bit there is no step.
    unsafe {
        if group == 16 {
            asm!(
                "cmp {bits}, #0
                 beq 3f",
                "2: clz {n}, {bits}
                 lsl {bits}, {bits}, {n}
                 add {x}, {x}, {n}, lsl #4
                 vldrb.8 q0, [{w}], #16
                 vldrb.8 q1, [{x}], #16
                 lsls {bits}, {bits}, #1
                 vmladava.s8 r0, q0, q1
                 bne 2b",
                "3:",
                bits = inout(reg) bits => _,
                n = out(reg) _,
                w = inout(reg) w.as_ptr() => _,
                x = inout(reg) x.as_ptr() => _,
                inout("r0") sum,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack, readonly),
            );
        } else {
            asm!(
                // Skipped groups, then a stretch of stored ones.
                "cmp {bits}, #0
                 beq 5f",
                "2: clz {n}, {bits}
                 lsl {bits}, {bits}, {n}
                 mla {x}, {n}, {group}, {x}
                 mvn {n}, {bits}
                 clz {n}, {n}
                 lsls {bits}, {bits}, {n}
                 mul {n}, {n}, {group}
                 add {next_w}, {w}, {n}
                 add {next_x}, {x}, {n}",
                "wlstp.8 lr, {n}, 4f",
                "3: vldrb.8 q0, [{w}], #16
                 vldrb.8 q1, [{x}], #16
                 vmladava.s8 r0, q0, q1
                 letp lr, 3b",
                "4: mov {w}, {next_w}
                 mov {x}, {next_x}
                 bne 2b",
                "5:",
                bits = inout(reg) bits => _,
                n = out(reg) _,
                next_w = out(reg) _,
                next_x = out(reg) _,
                w = inout(reg) w.as_ptr() => _,
                x = inout(reg) x.as_ptr() => _,
                group = in(reg) group,
                inout("r0") sum, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack, readonly),
            );
        }
    }
    sum
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
