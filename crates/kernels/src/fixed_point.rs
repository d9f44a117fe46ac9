//! Fixed-point exponential, logistic, hyperbolic tangent and logarithm, bit for bit as gemmlowp and the TFLite
//! reference kernels compute them. `Qm.n` is an i32 with `m` integer and `n = 31 - m` fractional bits.

use crate::requantize::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul as mul};

/// 1.0 in Q0.31, as near as it gets.
const ONE_Q0: i32 = i32::MAX;
/// 1.0 in Q2.29.
const ONE_Q2: i32 = 1 << 29;

/// `x * 2^exponent`: saturating to the left, rounding to the right.
pub const fn saturating_rounding_multiply_by_pot(x: i32, exponent: i32) -> i32 {
    if exponent <= 0 {
        return rounding_divide_by_pot(x, exponent.unsigned_abs());
    }
    let wide = (x as i64) << if exponent > 31 { 31 } else { exponent };
    if wide > i32::MAX as i64 {
        i32::MAX
    } else if wide < i32::MIN as i64 {
        i32::MIN
    } else {
        wide as i32
    }
}

/// `(a + b) / 2`, rounded to nearest, ties away from zero.
const fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = a as i64 + b as i64;
    let sign = if sum >= 0 { 1 } else { -1 };
    ((sum + sign) / 2) as i32
}

/// `exp(a)` in Q0.31 for `a` in [-1/4, 0) in Q0.31.
const fn exp_on_last_quarter(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    let inner = mul(rounding_divide_by_pot(x4, 2).wrapping_add(x3), THIRD).wrapping_add(x2);
    let series = rounding_divide_by_pot(inner, 1);
    EXP_MINUS_EIGHTH.wrapping_add(mul(EXP_MINUS_EIGHTH, x.wrapping_add(series)))
}

/// `exp(a)` in Q0.31 for `a <= 0` with `integer_bits` (at most 5) integer bits.
pub const fn exp_on_negative_values(a: i32, integer_bits: u32) -> i32 {
    /// exp(-2^k) in Q0.31 for k = -2, -1, …, 4.
    const STEPS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if a == 0 {
        return ONE_Q0;
    }
    let fractional = 31 - if integer_bits > 5 { 5 } else { integer_bits };
    let quarter = 1i32 << (fractional - 2);
    let last = (a & (quarter - 1)).wrapping_sub(quarter);
    let mut result = exp_on_last_quarter(saturating_rounding_multiply_by_pot(last, 31 - fractional as i32));
    let remainder = last.wrapping_sub(a);
    let mut bit = fractional - 2;
    let mut steps: &[i32] = &STEPS;
    while let [step, rest @ ..] = steps {
        if bit < 31 && remainder & (1 << bit) != 0 {
            result = mul(result, *step);
        }
        bit += 1;
        steps = rest;
    }
    result
}

/// Newton's iteration for `2 / (1 + a)` in Q2.29, `a` in [0, 1] in Q0.31.
const fn two_over_one_plus(a: i32) -> i32 {
    const C48_OVER_17: i32 = 1_515_870_810;
    const MINUS_32_OVER_17: i32 = -1_010_580_540;
    let half_denominator = rounding_half_sum(a, ONE_Q0);
    let mut x = C48_OVER_17.wrapping_add(mul(half_denominator, MINUS_32_OVER_17));
    let mut step = 0;
    while step < 3 {
        let rest = ONE_Q2.wrapping_sub(mul(half_denominator, x));
        x = x.wrapping_add(saturating_rounding_multiply_by_pot(mul(x, rest), 2));
        step += 1;
    }
    x
}

/// `1 / (1 + a)` in Q0.31 for `a` in [0, 1] in Q0.31.
pub const fn one_over_one_plus(a: i32) -> i32 {
    // Halving is exact here: the bits of Q2.29 are read as Q1.30.
    saturating_rounding_multiply_by_pot(two_over_one_plus(a), 1)
}

/// `(1 - a) / (1 + a)` in Q0.31 for `a` in [0, 1] in Q0.31.
const fn one_minus_over_one_plus(a: i32) -> i32 {
    saturating_rounding_multiply_by_pot(two_over_one_plus(a).wrapping_sub(ONE_Q2), 2)
}

/// The logistic function in Q0.31 of `a` with `integer_bits` (at most 5) integer bits.
pub const fn logistic(a: i32, integer_bits: u32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let magnitude = if a > 0 { a.wrapping_neg() } else { a };
    let positive = one_over_one_plus(exp_on_negative_values(magnitude, integer_bits));
    if a > 0 { positive } else { ONE_Q0.wrapping_sub(positive) }
}

/// The hyperbolic tangent in Q0.31 of `a` with `integer_bits` (at most 4) integer bits.
pub const fn tanh(a: i32, integer_bits: u32) -> i32 {
    if a == 0 {
        return 0;
    }
    let magnitude = if a > 0 { a.wrapping_neg() } else { a };
    // exp(2 a): the same bits with one integer bit more.
    let t = one_minus_over_one_plus(exp_on_negative_values(magnitude, integer_bits + 1));
    if a > 0 { t } else { t.wrapping_neg() }
}

/// `1 / x` for `x > 0` with `integer_bits`: a Q0.31 factor and the number of bits to shift the product right by.
pub const fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    let headroom = x.leading_zeros();
    let fraction = (x as u32).wrapping_shl(headroom).wrapping_sub(1 << 31);
    (one_over_one_plus(fraction as i32), integer_bits - headroom as i32)
}

/// `ln(x)` in Q5.26 for `x >= 1` in Q12.19.
pub const fn log_q12_to_q5(x: i32) -> i32 {
    const INPUT_BITS: i32 = 12;
    const ACCUMULATOR_BITS: i32 = 6;
    const LOG_2: i32 = 1_488_522_236;
    const SQRT_SQRT_HALF: i32 = 1_805_811_301;
    const SQRT_HALF: i32 = 1_518_500_250;
    const ALPHA_N: i32 = 117_049_297;
    const ALPHA_D: i32 = 127_690_142;
    const ALPHA_I: i32 = 1_057_819_769;
    const ALPHA_F: i32 = 638_450_708;
    const QUARTER: i32 = rounding_divide_by_pot(1 << 29, ACCUMULATOR_BITS as u32);
    let pot = saturating_rounding_multiply_by_pot;

    let headroom_a = x.leading_zeros() as i32;
    let shifted_a = pot(x, headroom_a - 1);
    let r_a = pot(mul(shifted_a, SQRT_HALF), 1);
    let power_a = pot(INPUT_BITS - headroom_a, 31 - ACCUMULATOR_BITS).saturating_add(QUARTER);

    let headroom_b = mul(x, SQRT_HALF).leading_zeros() as i32 - 1;
    let r_b = pot(x, headroom_b);
    let power_b = pot(INPUT_BITS - headroom_b, 31 - ACCUMULATOR_BITS).saturating_sub(QUARTER);

    let r = if r_a < r_b { r_a } else { r_b };
    let power = if power_a > power_b { power_a } else { power_b };

    let p = rounding_half_sum(r, SQRT_SQRT_HALF);
    let q = r.wrapping_sub(SQRT_SQRT_HALF).wrapping_mul(2);
    let square = mul(q, q);
    let numerator = mul(q, r).wrapping_add(mul(mul(q, square), ALPHA_N));
    let inner = ALPHA_I.wrapping_add(q).wrapping_add(mul(ALPHA_D, square));
    let denominator = mul(p, inner).wrapping_add(mul(ALPHA_F, q));
    let fraction = mul(pot(numerator, -ACCUMULATOR_BITS), one_over_one_plus(denominator));
    pot(mul(power, LOG_2).wrapping_add(fraction), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(x: i32, integer_bits: i32) -> f64 {
        f64::from(x) / 2f64.powi(31 - integer_bits)
    }

    #[test]
    fn exp_is_near_the_real_function() {
        for i in 0..2000 {
            let a = -i * (1 << 20);
            let error = real(exp_on_negative_values(a, 5), 0) - real(a, 5).exp();
            assert!(error.abs() < 1e-6, "exp({}) is off by {error}", real(a, 5));
        }
    }

    #[test]
    fn logistic_and_tanh_are_near_the_real_functions() {
        for i in -2000..2000 {
            let a = i * (1 << 20);
            let x = real(a, 4);
            assert!((real(logistic(a, 4), 0) - 1.0 / (1.0 + (-x).exp())).abs() < 1e-6, "logistic({x})");
            assert!((real(tanh(a, 4), 0) - x.tanh()).abs() < 1e-6, "tanh({x})");
        }
    }

    #[test]
    fn log_is_near_the_real_function() {
        for i in 0..4000 {
            let x = (1 << 19) + i * 500_000;
            let error = real(log_q12_to_q5(x), 5) - real(x, 12).ln();
            assert!(error.abs() < 1e-6, "ln({}) is off by {error}", real(x, 12));
        }
    }

    #[test]
    fn reciprocal_is_near_the_real_function() {
        for x in [1 << 19, 3 << 19, 12345678, i32::MAX] {
            let (factor, shift) = reciprocal(x, 12);
            let value = real(factor, 0) * 2f64.powi(-shift);
            assert!((value * real(x, 12) - 1.0).abs() < 1e-6);
        }
    }
}
