//! Scales, zero points and fixed-point multipliers.

use dtmm_graph::{Op, QuantParams};

use crate::Range;

/// Asymmetric int8 parameters that cover `range`; zero is represented exactly.
pub fn activation_params(range: Range) -> QuantParams {
    let (min, max) = (f64::from(range.min.min(0.0)), f64::from(range.max.max(0.0)));
    let scale = ((max - min) / 255.0) as f32;
    if !(scale.is_finite() && scale >= f32::MIN_POSITIVE) {
        // A tensor that is always zero: any scale represents it.
        return QuantParams::per_tensor(1.0 / 255.0, -128);
    }
    let zero_point = (-128.0 - min / f64::from(scale)).round().clamp(-128.0, 127.0);
    QuantParams::per_tensor(scale, zero_point as i32)
}

/// The output parameters that TFLite's int8 specification fixes for some operators.
pub fn fixed_output_params(op: &Op) -> Option<QuantParams> {
    match op {
        Op::Softmax { .. } | Op::Sigmoid => Some(QuantParams::per_tensor(1.0 / 256.0, -128)),
        Op::Tanh => Some(QuantParams::per_tensor(1.0 / 128.0, 0)),
        Op::LogSoftmax => Some(QuantParams::per_tensor(16.0 / 256.0, 127)),
        _ => None,
    }
}

/// The int8 value nearest to `real`.
pub fn quantize_value(real: f32, scale: f32, zero_point: i32) -> i8 {
    let q = (f64::from(real) / f64::from(scale)).round() + f64::from(zero_point);
    q.clamp(-128.0, 127.0) as i8
}

/// `real` as `multiplier / 2^31 * 2^shift` with `multiplier` in `[2^30, 2^31)`, rounded as TFLite's
/// `QuantizeMultiplier`: values below 2^-32 become 0, values of 2^30 and more saturate.
pub fn quantize_multiplier(real: f64) -> (i32, i32) {
    if real == 0.0 || !real.is_finite() {
        return (0, 0);
    }
    let (fraction, mut shift) = split(real);
    let mut q = (fraction * (1i64 << 31) as f64).round() as i64;
    if q == 1 << 31 {
        q /= 2;
        shift += 1;
    }
    match shift {
        ..-31 => (0, 0),
        31.. => (i32::MAX, 30),
        _ => (q as i32, shift),
    }
}

/// C's `frexp`: a fraction in `[0.5, 1)` and an exponent with `value = fraction · 2^exponent`.
fn split(value: f64) -> (f64, i32) {
    let (scaled, offset) =
        if value.abs() < f64::MIN_POSITIVE { (value * 2f64.powi(64), -64) } else { (value, 0) };
    let exponent = ((scaled.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    (scaled / 2f64.powi(exponent), exponent + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_match_the_definition() {
        assert_eq!(quantize_multiplier(1.0), (1 << 30, 1));
        assert_eq!(quantize_multiplier(0.5), (1 << 30, 0));
        assert_eq!(quantize_multiplier(0.25), (1 << 30, -1));
        assert_eq!(quantize_multiplier(0.0), (0, 0));
        assert_eq!(quantize_multiplier(1e-12), (0, 0));
        assert_eq!(
            quantize_multiplier(f64::from_bits(1.0f64.to_bits() - 1)),
            (1 << 30, 1),
            "rounds up to a power"
        );
        for real in [0.000_31, 0.003_921, 0.117, 0.731, 1.93, 17.3] {
            let (m, s) = quantize_multiplier(real);
            let back = f64::from(m) / 2f64.powi(31) * 2f64.powi(s);
            assert!(m >= 1 << 30 && (back - real).abs() / real < 1e-9, "{real}");
        }
    }

    #[test]
    fn zero_is_exact_and_the_ends_are_reached() {
        for (min, max) in [(0.0, 6.0), (-1.0, 1.0), (-0.3, 2.7), (0.5, 3.0), (-4.0, -1.0)] {
            let q = activation_params(Range { min, max });
            let (scale, zp) = (q.scale[0], q.zero_point[0]);
            assert!((-128..=127).contains(&zp));
            assert_eq!(i32::from(quantize_value(0.0, scale, zp)), zp);
            assert!(quantize_value(max.max(0.0), scale, zp) >= 126);
            assert!(quantize_value(min.min(0.0), scale, zp) <= -127);
        }
        assert!(activation_params(Range { min: 0.0, max: 0.0 }).scale[0] > 0.0);
    }
}
