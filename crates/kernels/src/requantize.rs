//! Fixed-point rescaling with TFLite's rounding. Host code uses the same functions.

/// `a * b / 2^31`, rounded to nearest (ties away from zero for positive, towards zero for negative products, as
/// gemmlowp); saturates when both are `i32::MIN`.
pub const fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN { i32::MAX } else { rounding_high_mul(a, b) }
}

/// The same for one factor that is not negative: nothing saturates.
const fn rounding_high_mul(a: i32, b: i32) -> i32 {
    // Half of the divisor, and a shift to the right, which rounds down: ties go upwards.
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^exponent`, rounded to nearest, ties away from zero; `exponent` in 0..=31.
pub const fn rounding_divide_by_pot(x: i32, exponent: u32) -> i32 {
    let exponent = if exponent > 31 { 31 } else { exponent };
    let mask = ((1u32 << exponent) - 1).cast_signed();
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    (x >> exponent) + (remainder > threshold) as i32
}

/// `x * multiplier / 2^31 * 2^shift`: TFLite's `MultiplyByQuantizedMultiplier` with double rounding.
///
/// `multiplier` is Q31 and not negative, `shift` in -31..=30; a positive shift wraps like the C code on overflow.
pub const fn multiply(x: i32, multiplier: i32, shift: i8) -> i32 {
    let left = if shift > 0 { shift as u32 } else { 0 };
    let right = if shift < 0 { shift.unsigned_abs() as u32 } else { 0 };
    let high = rounding_high_mul(x.wrapping_shl(left), multiplier);
    rounding_divide_by_pot(high, right)
}

/// `x * multiplier / 2^31 * 2^shift`, rounded once, ties away from zero; saturates. The fully connected layers of the
/// TFLite reference kernels round so.
///
/// `multiplier` is Q31 and not negative, `shift` in -31..=30.
pub const fn multiply_once(x: i32, multiplier: i32, shift: i8) -> i32 {
    let bits = 31 - if shift > 30 { 30 } else { shift as i32 };
    let product = x as i64 * multiplier as i64;
    // One less below zero: there ties go down. The last bit goes when a half was added.
    let rounded = (((product + (product >> 63)) >> (bits - 1)) + 1) >> 1;
    if rounded > i32::MAX as i64 {
        i32::MAX
    } else if rounded < i32::MIN as i64 {
        i32::MIN
    } else {
        rounded as i32
    }
}

/// `value` clamped to int8.
pub const fn saturate(value: i32) -> i8 {
    clamp(value, i8::MIN, i8::MAX)
}

/// `value` clamped to `min..=max`; `min` wins when they cross.
pub const fn clamp(value: i32, min: i8, max: i8) -> i8 {
    let value = if value > max as i32 { max as i32 } else { value };
    if value < min as i32 { min } else { value as i8 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounds_ties_as_gemmlowp() {
        // -3 * 2^30 / 2^31 = -1.5 rounds towards zero in the high multiplication, 1.5 away from it.
        assert_eq!(saturating_rounding_doubling_high_mul(3, 1 << 30), 2);
        assert_eq!(saturating_rounding_doubling_high_mul(-3, 1 << 30), -1);
        assert_eq!(saturating_rounding_doubling_high_mul(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!((rounding_divide_by_pot(5, 1), rounding_divide_by_pot(-5, 1)), (3, -3));
        assert_eq!((rounding_divide_by_pot(i32::MIN, 31), rounding_divide_by_pot(i32::MAX, 31)), (-1, 1));
        assert_eq!(rounding_divide_by_pot(7, 0), 7);
    }

    #[test]
    fn a_half_shifted_left_once_is_the_identity() {
        for x in [-255, -1, 0, 1, 254] {
            assert_eq!(multiply(x, 1 << 30, 1), x);
        }
    }

    #[test]
    fn rounding_once_takes_ties_away_from_zero() {
        let quarters = [-10, -6, -2, 2, 6, 10].map(|x| multiply_once(x, 1 << 30, -1));
        assert_eq!(quarters, [-3, -2, -1, 1, 2, 3]);
        assert_eq!(multiply_once(i32::MAX, i32::MAX, 30), i32::MAX);
        assert_eq!(multiply_once(i32::MIN, i32::MAX, 30), i32::MIN);
        assert_eq!(multiply_once(i32::MIN, i32::MAX, -31), -1);
    }

    proptest! {
        /// One rounding: never further than half from the real product.
        #[test]
        fn one_rounding_is_nearest(x in -(1 << 24)..(1 << 24), m in (1 << 30)..=i32::MAX, s in -20i8..=0) {
            let exact = f64::from(x) * f64::from(m) / 2f64.powi(31) * 2f64.powi(i32::from(s));
            prop_assert!((f64::from(multiply_once(x, m, s)) - exact).abs() <= 0.5);
        }

        /// Two roundings of half a unit each: never further than one from the real product.
        #[test]
        fn stays_within_one_of_the_real_product(x in -(1 << 24)..(1 << 24), m in (1 << 30)..=i32::MAX, s in -20i8..=0) {
            let exact = f64::from(x) * f64::from(m) / 2f64.powi(31) * 2f64.powi(i32::from(s));
            prop_assert!((f64::from(multiply(x, m, s)) - exact).abs() <= 1.0);
        }
    }
}
