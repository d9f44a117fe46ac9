//! Tables of the non-linear functions of one int8 value, equal to what TFLite's reference kernels compute.

use dtmm_graph::Op;
use dtmm_kernels::requantize::{multiply, rounding_divide_by_pot};
use dtmm_quant::quantize_multiplier;

use super::Quant;

/// The output for each input byte: 0..=127, then -128..=-1.
pub(super) fn table(op: &Op, x: Quant, y: Quant) -> [i8; 256] {
    let f: Box<dyn Fn(i32) -> i32> = match *op {
        Op::Sigmoid => by_float(x, y, |v| 1.0 / (1.0 + (-v).exp())),
        Op::Tanh => by_float(x, y, f32::tanh),
        Op::LeakyRelu { alpha } => leaky_relu(x, y, alpha),
        Op::HardSwish => hard_swish(x, y),
        _ => Box::new(|q| q),
    };
    std::array::from_fn(|byte| f(i32::from(byte as u8 as i8)).clamp(-128, 127) as i8)
}

/// Through single precision, as the tables of LOGISTIC and TANH are filled.
fn by_float(x: Quant, y: Quant, f: impl Fn(f32) -> f32 + 'static) -> Box<dyn Fn(i32) -> i32> {
    let inverse = 1.0 / y.scale;
    Box::new(move |q| {
        let real = x.scale * (q - x.zero_point) as f32;
        ((f(real) * inverse).round() + y.zero_point as f32) as i32
    })
}

/// Two rescalings, one for each side of zero.
fn leaky_relu(x: Quant, y: Quant, alpha: f32) -> Box<dyn Fn(i32) -> i32> {
    let identity = quantize_multiplier(f64::from(x.scale / y.scale));
    let negative = f64::from(x.scale * alpha / y.scale);
    let (magnitude, shift) = quantize_multiplier(negative.abs());
    let slope = (if negative < 0.0 { -magnitude } else { magnitude }, shift);
    Box::new(move |q| {
        let v = q - x.zero_point;
        let (multiplier, shift) = if v >= 0 { identity } else { slope };
        y.zero_point + multiply_signed(v, multiplier, shift as i8)
    })
}

/// [`multiply`] takes a multiplier that is not negative; a negative slope mirrors it.
fn multiply_signed(v: i32, multiplier: i32, shift: i8) -> i32 {
    if multiplier < 0 { multiply(-v, -multiplier, shift) } else { multiply(v, multiplier, shift) }
}

/// HARD_SWISH in 16-bit fixed point: the input at 128 times its resolution, times a "ReLU-like" factor in [0, 1] that
/// is the input rescaled from [-3, 3].
fn hard_swish(x: Quant, y: Quant) -> Box<dyn Fn(i32) -> i32> {
    let hires = (1.0f32 / 128.0) * x.scale;
    let (output_multiplier, output_exponent) = half(quantize_multiplier(f64::from(hires / y.scale)));
    let (relu_multiplier, relu_exponent) = half(quantize_multiplier(f64::from(hires / (3.0f32 / 32768.0))));
    Box::new(move |q| {
        let input = ((q - x.zero_point) * 128) as i16;
        let scaled = high_mul_rounding(input, output_multiplier);
        let mut factor = input;
        if relu_exponent > 0 {
            factor = saturating_shift(factor, relu_exponent - 1);
        }
        factor = high_mul_rounding(factor, relu_multiplier);
        if relu_exponent > 0 {
            factor = saturating_shift(factor, 1);
        } else {
            factor = rounding_divide_by_pot(i32::from(factor), relu_exponent.unsigned_abs()) as i16;
        }
        let factor = ((i32::from(factor) + (1 << 15)) >> 1) as i16;
        let product = high_mul_truncating(factor, scaled);
        rounding_divide_by_pot(i32::from(product), (-output_exponent).max(0) as u32) + y.zero_point
    })
}

/// A Q31 multiplier as Q15, rounded.
fn half((multiplier, exponent): (i32, i32)) -> (i16, i32) {
    let rounded = (i64::from(multiplier) + (1 << 15)) >> 16;
    (rounded.min(i64::from(i16::MAX)) as i16, exponent)
}

fn saturating_shift(v: i16, by: i32) -> i16 {
    (i64::from(v) << by).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

fn high_mul_rounding(a: i16, b: i16) -> i16 {
    if a == i16::MIN && b == i16::MIN {
        return i16::MAX;
    }
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)) as i16
}

fn high_mul_truncating(a: i16, b: i16) -> i16 {
    if a == i16::MIN && b == i16::MIN { i16::MAX } else { (i32::from(a) * i32::from(b) / (1 << 15)) as i16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each table is within rounding of the real function.
    #[test]
    fn tables_follow_the_functions() {
        let x = Quant { scale: 0.05, zero_point: 7 };
        type Real = fn(f32) -> f32;
        let cases: [(Op, Quant, Real); 4] = [
            (Op::Sigmoid, Quant { scale: 1.0 / 256.0, zero_point: -128 }, |v| 1.0 / (1.0 + (-v).exp())),
            (Op::Tanh, Quant { scale: 1.0 / 128.0, zero_point: 0 }, f32::tanh),
            (Op::LeakyRelu { alpha: 0.1 }, Quant { scale: 0.03, zero_point: -60 }, |v| v.max(0.1 * v)),
            (Op::HardSwish, Quant { scale: 0.03, zero_point: -100 }, |v| v * (v + 3.0).clamp(0.0, 6.0) / 6.0),
        ];
        for (op, y, f) in cases {
            let t = table(&op, x, y);
            for q in -128i32..=127 {
                let real = f(x.scale * (q - x.zero_point) as f32);
                let expected = (real / y.scale + y.zero_point as f32).clamp(-128.0, 127.0);
                let found = f32::from(t[q as i8 as u8 as usize]);
                assert!((found - expected).abs() <= 1.6, "{op:?} at {q}: {found} instead of {expected}");
            }
        }
    }
}
