//! Softmax and LogSoftmax, in the fixed-point arithmetic of the TFLite reference kernels.

use crate::fixed_point::{
    exp_on_negative_values, log_q12_to_q5, reciprocal, saturating_rounding_multiply_by_pot as pot,
};
use crate::requantize::{
    multiply, rounding_divide_by_pot, saturate, saturating_rounding_doubling_high_mul as high_mul,
};
use crate::{KernelError, LogSoftmax, Softmax};

/// Integer bits of scaled differences to the maximum.
const DIFF_BITS: u32 = 5;
/// Integer bits of the sum of exponentials; it holds 2^12 channels.
const SUM_BITS: i32 = 12;

/// Softmax over the channels of every row of `x`; output scale 1/256, zero point -128.
///
/// # Errors
/// When lengths and channels disagree.
pub fn softmax_s8(p: &Softmax, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let exponential = |diff: i32| {
        let scaled = multiply(diff, p.multiplier, p.shift);
        (diff >= p.diff_min).then(|| exp_on_negative_values(scaled, DIFF_BITS))
    };
    each_row(p.channels, x, y, |x, y, max| {
        let (factor, over_unit) = reciprocal(sum_of_exponentials(x, max, exponential), SUM_BITS);
        for (x, y) in x.iter().zip(y) {
            *y = exponential(i32::from(*x) - max).map_or(i8::MIN, |e| {
                let exponent = (over_unit + 31 - 8).clamp(0, 31).unsigned_abs();
                saturate(rounding_divide_by_pot(high_mul(factor, e), exponent).wrapping_sub(128))
            });
        }
    })
}

/// Logarithm of the softmax over the channels of every row of `x`; output scale 16/256, zero point 127.
///
/// # Errors
/// When lengths and channels disagree.
pub fn log_softmax_s8(p: &LogSoftmax, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    const OUTPUT_BITS: u32 = 4;
    let scaled = |diff: i32| multiply(diff, p.multiplier, p.shift);
    let exponential =
        |diff: i32| (diff >= p.diff_min).then(|| exp_on_negative_values(scaled(diff), DIFF_BITS));
    each_row(p.channels, x, y, |x, y, max| {
        let log_sum = log_q12_to_q5(sum_of_exponentials(x, max, exponential));
        let lowest = log_sum.wrapping_add(i32::MIN);
        let in_steps = multiply(lowest, p.reverse_multiplier, p.reverse_shift);
        let diff_min = p.diff_min.wrapping_sub(1).max(in_steps);
        for (x, y) in x.iter().zip(y) {
            let diff = i32::from(*x) - max;
            *y = if diff > diff_min {
                let log = scaled(diff).wrapping_sub(log_sum);
                saturate(rounding_divide_by_pot(log, 31 - DIFF_BITS - OUTPUT_BITS).wrapping_add(127))
            } else {
                i8::MIN
            };
        }
    })
}

/// Sum in Q12.19 of the exponentials (Q0.31) of the differences to `max`; at least 1.0 for a row that holds `max`.
fn sum_of_exponentials(x: &[i8], max: i32, exponential: impl Fn(i32) -> Option<i32>) -> i32 {
    let terms = x.iter().filter_map(|x| exponential(i32::from(*x) - max));
    terms.fold(0i32, |sum, e| sum.wrapping_add(pot(e, -SUM_BITS)))
}

/// Calls `row` with each row of input and output and its maximum.
fn each_row(
    channels: usize,
    x: &[i8],
    y: &mut [i8],
    row: impl Fn(&[i8], &mut [i8], i32),
) -> Result<(), KernelError> {
    if channels == 0 || x.len() != y.len() || !x.len().is_multiple_of(channels) {
        return Err(KernelError::ActivationLength);
    }
    let mut outputs = y.chunks_exact_mut(channels);
    for x in x.chunks_exact(channels) {
        // Not zipped: a zip of chunks divides by the chunk size where the compiler cannot see that it is not 0.
        let Some(y) = outputs.next() else { return Err(KernelError::ActivationLength) };
        let max = x.iter().copied().max().unwrap_or(i8::MIN);
        row(x, y, i32::from(max));
    }
    Ok(())
}
