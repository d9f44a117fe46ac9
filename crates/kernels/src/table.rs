//! Integer activation functions of one value, for building look-up tables; as the TFLite reference kernels compute
//! them.

use crate::fixed_point;
use crate::requantize::{clamp, multiply, rounding_divide_by_pot, saturate};

/// The 256 values of `f` in the order that a look-up table has: 0..=127, then -128..=-1.
pub fn build(f: impl Fn(i8) -> i8) -> [i8; 256] {
    let mut table = [0; 256];
    for (value, byte) in table.iter_mut().zip(0u8..=255) {
        *value = f(byte.cast_signed());
    }
    table
}

/// Scaling of the input of [`logistic`] and [`tanh`] to Q4.27.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Q4Input {
    /// Zero point of the input.
    pub zero_point: i8,
    /// Inputs this far from the zero point or farther saturate.
    pub range_radius: i32,
    /// Q31.
    pub multiplier: i32,
    /// Positive to the left.
    pub shift: i8,
}

impl Q4Input {
    /// The input in Q4.27, or the side on which it saturates.
    fn scale(&self, x: i8) -> Result<i32, bool> {
        let x = i32::from(x) - i32::from(self.zero_point);
        if x <= -self.range_radius {
            Err(false)
        } else if x >= self.range_radius {
            Err(true)
        } else {
            Ok(multiply(x, self.multiplier, self.shift))
        }
    }
}

/// Logistic function; output scale 1/256, zero point -128.
pub fn logistic(input: &Q4Input, x: i8) -> i8 {
    match input.scale(x) {
        Ok(q4) => saturate(rounding_divide_by_pot(fixed_point::logistic(q4, 4), 31 - 8) - 128),
        Err(high) => extreme(high),
    }
}

/// Hyperbolic tangent; output scale 1/128, zero point 0.
pub fn tanh(input: &Q4Input, x: i8) -> i8 {
    match input.scale(x) {
        Ok(q4) => saturate(rounding_divide_by_pot(fixed_point::tanh(q4, 4), 31 - 7)),
        Err(high) => extreme(high),
    }
}

fn extreme(high: bool) -> i8 {
    if high { i8::MAX } else { i8::MIN }
}

/// Scaling of [`leaky_relu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakyRelu {
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Q31 multiplier and shift from input to output where `x >= 0`.
    pub identity: (i32, i8),
    /// The same times alpha, where `x < 0`.
    pub alpha: (i32, i8),
}

/// `x` where not negative, else `alpha * x`.
pub fn leaky_relu(p: &LeakyRelu, x: i8) -> i8 {
    let x = i32::from(x) - i32::from(p.input_zero_point);
    let (multiplier, shift) = if x >= 0 { p.identity } else { p.alpha };
    saturate(multiply(x, multiplier, shift) + i32::from(p.output_zero_point))
}

/// Scaling of [`hard_swish`]: 16-bit fixed-point multipliers, exponents positive to the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardSwish {
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// From the input, shifted left by 7, to the output's scale: Q15 multiplier and exponent (not positive).
    pub output: (i16, i32),
    /// From the same to the scale 3/32768 of the relu-ish factor: Q15 multiplier and exponent.
    pub reluish: (i16, i32),
}

/// `x * min(max(x + 3, 0), 6) / 6` in 16-bit fixed point.
pub fn hard_swish(p: &HardSwish, x: i8) -> i8 {
    let high = ((i32::from(x) - i32::from(p.input_zero_point)) << 7) as i16;
    let on_output_scale = saturating_rounding_doubling_high_mul_i16(high, p.output.0);
    let (multiplier, exponent) = p.reluish;
    let mut reluish = high;
    if exponent > 0 {
        reluish = saturating_left_shift(reluish, exponent - 1);
    }
    reluish = saturating_rounding_doubling_high_mul_i16(reluish, multiplier);
    if exponent > 0 {
        reluish = saturating_left_shift(reluish, 1);
    }
    if exponent < 0 {
        reluish = rounding_divide_by_pot(i32::from(reluish), exponent.unsigned_abs()) as i16;
    }
    // From [-1, 1] to [0, 1].
    let factor = ((i32::from(reluish) + (1 << 15)) >> 1) as i16;
    let product = saturating_doubling_high_mul_i16(factor, on_output_scale);
    let output = rounding_divide_by_pot(i32::from(product), p.output.1.unsigned_abs());
    clamp(i32::from(output as i16) + i32::from(p.output_zero_point), i8::MIN, i8::MAX)
}

fn saturating_rounding_doubling_high_mul_i16(a: i16, b: i16) -> i16 {
    if a == i16::MIN && b == i16::MIN {
        return i16::MAX;
    }
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)) as i16
}

/// As above, but truncating.
fn saturating_doubling_high_mul_i16(a: i16, b: i16) -> i16 {
    if a == i16::MIN && b == i16::MIN {
        return i16::MAX;
    }
    (i32::from(a) * i32::from(b) / (1 << 15)) as i16
}

fn saturating_left_shift(x: i16, amount: i32) -> i16 {
    let wide = i64::from(x) << amount.clamp(0, 31);
    wide.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_indexed_by_the_byte() {
        let table = build(|x| x);
        assert_eq!((table[0], table[127], table[128], table[255]), (0, 127, -128, -1));
    }

    #[test]
    fn logistic_and_tanh_follow_the_real_functions() {
        // Input scale 1/16: Q4.27 = x * 2^27 / 16 = x * 2^23 = x * 2^30 / 2^31 * 2^24.
        let input = Q4Input { zero_point: 3, range_radius: 128, multiplier: 1 << 30, shift: 24 };
        for x in i8::MIN..=i8::MAX {
            let real = (f64::from(x) - 3.0) / 16.0;
            let sigmoid = (256.0 / (1.0 + (-real).exp()) - 128.0).round().clamp(-128.0, 127.0);
            assert!((f64::from(logistic(&input, x)) - sigmoid).abs() <= 1.0, "logistic({real})");
            let tangent = (128.0 * real.tanh()).round().clamp(-128.0, 127.0);
            assert!((f64::from(tanh(&input, x)) - tangent).abs() <= 1.0, "tanh({real})");
        }
    }

    #[test]
    fn hard_swish_follows_the_real_function() {
        // Both scales 1/16; relu-ish scale 3/32768: (1/16 / 128) / (3 / 32768) = 16/3 = 0.6667 * 2^3.
        let p = HardSwish {
            input_zero_point: 0,
            output_zero_point: -100,
            output: (16384, -6),
            reluish: (21845, 3),
        };
        for x in i8::MIN..=i8::MAX {
            let real = f64::from(x) / 16.0;
            let expected = real * (real + 3.0).clamp(0.0, 6.0) / 6.0 * 16.0 - 100.0;
            let found = f64::from(hard_swish(&p, x));
            assert!((found - expected.clamp(-128.0, 127.0)).abs() <= 1.0, "{real}: {found} {expected}");
        }
    }
}
