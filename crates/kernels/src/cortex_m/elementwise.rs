//! Add, Sub, Mul and Requantize without products of 64 bits where they are not needed.
//!
//! A row of channels is a run of elements with steps of 0 or 1 in each input; inputs that are not repeated are one row.

use crate::requantize::multiply;
use crate::{Clamp, Elementwise, KernelError, Operand, Rescale, Shape};

/// As [`crate::reference::add_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn add_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    binary(p, 1, [a, b], y)
}

/// As [`crate::reference::sub_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn sub_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    binary(p, -1, [a, b], y)
}

/// As [`crate::reference::mul_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn mul_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    binary(p, 0, [a, b], y)
}

/// As [`crate::reference::requantize_s8`].
///
/// # Errors
/// When input and output differ in length.
#[allow(unsafe_code)]
pub fn requantize_s8(
    p: &Rescale,
    zero_points: [i8; 2],
    x: Operand<'_>,
    y: &mut [i8],
) -> Result<(), KernelError> {
    let [from, to] = zero_points.map(i32::from);
    let output = Output::new([p.multiplier, p.shift.into()], to, p.clamp);
    let len = y.len();
    let y = y.as_mut_ptr();
    let x = match x {
        Operand::Slice(x) if x.len() == len => x.as_ptr(),
        Operand::Slice(_) => return Err(KernelError::ActivationLength),
        Operand::Output => y.cast_const(),
    };
    for i in 0..len {
        // SAFETY: `x` and `y` have `len` values; where they are the same, each is read before it is written.
        unsafe { *y.add(i) = output.finish(i32::from(*x.add(i)).wrapping_sub(from)) };
    }
    Ok(())
}

/// What becomes of a pair of elements less their zero points.
enum Kind {
    /// The sum of both on the common scale, the second times 1 or -1.
    Sum([Input; 2], i32),
    Product,
    /// As `Sum`, with scales that have no short form.
    General(i32),
}

impl Kind {
    /// A product for a sign of 0.
    #[inline(always)]
    fn of(p: &Elementwise, sign: i32) -> Self {
        if sign == 0 {
            return Kind::Product;
        }
        let [ma, mb, _] = p.multiplier;
        let [sa, sb, _] = p.shift;
        match (Input::new(p.left_shift, ma, sa), Input::new(p.left_shift, mb, sb)) {
            (Some(a), Some(b)) => Kind::Sum([a, b], sign),
            _ => Kind::General(sign),
        }
    }
}

/// Rounded division by a power of two, ties away from zero.
#[derive(Clone, Copy)]
struct Divide {
    half: i32,
    /// What a negative number is less by: -1 unless it is not divided.
    less: i32,
    right: u32,
}

impl Divide {
    /// By 2^-shift; by 1 for shifts that are not negative.
    fn new(shift: i32) -> Self {
        let right = shift.wrapping_neg().clamp(0, 31).cast_unsigned();
        Divide { half: (1i32 << right) >> 1 & i32::MAX, less: if right > 0 { -1 } else { 0 }, right }
    }

    /// A number that is divided is less than 2^30 in magnitude.
    #[inline(always)]
    fn of(&self, x: i32) -> i32 {
        x.wrapping_add(self.half).wrapping_add(x >> 31 & self.less).wrapping_shr(self.right)
    }
}

/// Brings nine bits to the common scale: `value * 2^(31 - low_bits) * multiplier / 2^31`, rounded, is the product with
/// the multiplier's high bits plus a rounded part of the product with its `low_bits` low bits.
#[derive(Clone, Copy)]
struct Input {
    high: i32,
    low: i32,
    low_bits: u32,
    half: i32,
    divide: Divide,
}

impl Input {
    /// `None` when the products, or twice the result and a half, do not fit into 32 bits.
    fn new(left_shift: u8, multiplier: i32, shift: i8) -> Option<Self> {
        let left = i32::from(left_shift).wrapping_add(i32::from(shift).max(0));
        let low_bits = 31i32.wrapping_sub(left).cast_unsigned();
        (9..=20).contains(&left).then_some(Input {
            high: multiplier.wrapping_shr(low_bits),
            low: multiplier & (1i32.wrapping_shl(low_bits)).wrapping_sub(1),
            low_bits,
            half: 1i32.wrapping_shl(low_bits) >> 1,
            divide: Divide::new(shift.into()),
        })
    }

    #[inline(always)]
    fn scaled(&self, value: i32) -> i32 {
        let low = value.wrapping_mul(self.low).wrapping_add(self.half).wrapping_shr(self.low_bits);
        self.divide.of(value.wrapping_mul(self.high).wrapping_add(low))
    }
}

/// The last rescaling.
struct Output {
    multiplier: i32,
    left: u32,
    divide: Divide,
    zero_point: i32,
    clamp: [i32; 2],
}

impl Output {
    fn new([multiplier, shift]: [i32; 2], zero_point: i32, clamp: Clamp) -> Self {
        let clamp = [clamp.min.into(), clamp.max.into()];
        Output {
            multiplier,
            left: shift.max(0).cast_unsigned(),
            divide: Divide::new(shift),
            zero_point,
            clamp,
        }
    }

    #[inline(always)]
    fn finish(&self, value: i32) -> i8 {
        let scaled = self.divide.of(high_mul(value.wrapping_shl(self.left), self.multiplier));
        let [min, max] = self.clamp;
        scaled.wrapping_add(self.zero_point).min(max).max(min) as i8
    }
}

/// `a * b / 2^31`, rounded to nearest, ties upwards; `b` is not negative.
#[inline(always)]
fn high_mul(a: i32, b: i32) -> i32 {
    #[cfg(dtmm_isa = "v6m")]
    {
        super::pairs::high_mul(a, b)
    }
    #[cfg(not(dtmm_isa = "v6m"))]
    {
        let product = i64::from(a).wrapping_mul(b.into());
        (product.wrapping_add(1 << 30) >> 31) as i32
    }
}

/// Where an input's values are.
#[derive(Clone, Copy)]
struct Source {
    values: *const i8,
    /// Steps on h, w and c: 0 where it is repeated.
    strides: [usize; 3],
    zero_point: i32,
}

impl Source {
    fn new(
        x: Operand<'_>,
        shape: &Shape,
        output: &Shape,
        zero_point: i8,
        y: *const i8,
    ) -> Result<Self, KernelError> {
        let values = match x {
            Operand::Slice(x) if x.len() == shape.elements() => x.as_ptr(),
            Operand::Slice(_) => return Err(KernelError::ActivationLength),
            Operand::Output if shape == output => y,
            Operand::Output => return Err(KernelError::Shape),
        };
        let stride = |size: usize, out: usize, step: usize| match size {
            1 => Some(0),
            _ => (size == out).then_some(step),
        };
        let row = shape.w.wrapping_mul(shape.c);
        let strides = (
            stride(shape.h, output.h, row),
            stride(shape.w, output.w, shape.c),
            stride(shape.c, output.c, 1),
        );
        let (Some(h), Some(w), Some(c)) = strides else { return Err(KernelError::Shape) };
        Ok(Source { values, strides: [h, w, c], zero_point: zero_point.into() })
    }

    /// The first value of a row of channels.
    fn at(&self, row: usize, column: usize) -> *const i8 {
        let [h, w, _] = self.strides;
        self.values.wrapping_add(row.wrapping_mul(h).wrapping_add(column.wrapping_mul(w)))
    }
}

/// The sum with the second input times `sign`, or the product for a sign of 0.
#[inline(never)]
#[allow(unsafe_code)]
fn binary(p: &Elementwise, sign: i32, x: [Operand<'_>; 2], y: &mut [i8]) -> Result<(), KernelError> {
    let Shape { h, w, c } = p.output;
    if y.len() != p.output.elements() || y.is_empty() {
        return Err(KernelError::ActivationLength);
    }
    let out = y.as_mut_ptr();
    let [a, b] = x;
    let [sa, sb] = &p.inputs;
    let [za, zb] = p.input_zero_points;
    let mut sources = [Source::new(a, sa, &p.output, za, out)?, Source::new(b, sb, &p.output, zb, out)?];
    let kind = Kind::of(p, sign);
    let (mut rows, mut columns, mut len) = (h, w, c);
    if p.inputs == [p.output; 2] {
        (rows, columns, len) = (1, 1, y.len());
        // An axis of size 1 has steps of 0.
        sources.iter_mut().for_each(|s| s.strides = [0, 0, 1]);
    }
    let [.., multiplier] = p.multiplier;
    let [.., shift] = p.shift;
    let output = Output::new([multiplier, shift.into()], p.output_zero_point.into(), p.clamp);
    #[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
    if let (Kind::Sum(_, 1), [1, 1], Some(short)) = (&kind, [rows, columns], instructions::Short::new(p)) {
        let [a, b] = sources.map(|s| s.values);
        // SAFETY: there is one row, in which both sources have `len` values, and there is at least one.
        unsafe { instructions::add_row(&short, a, b, out, out.add(len)) };
        return Ok(());
    }
    let mut first = 0usize;
    for row in 0..rows {
        for column in 0..columns {
            // SAFETY: every input's steps lead to its own elements, `len` of them from here on; `rows * columns * len` is
            // the output's length.
            unsafe { one_row(p, &kind, &output, &sources, [row, column], (out.add(first), len)) };
            first = first.wrapping_add(len);
        }
    }
    Ok(())
}

/// The outputs of one row of channels.
///
/// # Safety
/// At the row and column, both sources have `len` values, or one where the step is 0, and `y` has room for `len`.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn one_row(
    p: &Elementwise,
    kind: &Kind,
    output: &Output,
    [a, b]: &[Source; 2],
    [row, column]: [usize; 2],
    (y, len): (*mut i8, usize),
) {
    let (mut from_a, mut from_b) = (a.at(row, column), b.at(row, column));
    for i in 0..len {
        // SAFETY: the caller's; an input that is the output is read before it is written.
        let (x, z) = unsafe { (i32::from(*from_a), i32::from(*from_b)) };
        let (x, z) = (x.wrapping_sub(a.zero_point), z.wrapping_sub(b.zero_point));
        let value = match kind {
            Kind::Sum([a, b], sign) => {
                output.finish(b.scaled(z).wrapping_mul(*sign).wrapping_add(a.scaled(x)))
            }
            Kind::Product => output.finish(x.wrapping_mul(z)),
            Kind::General(sign) => general_sum(p, x, z, *sign),
        };
        // SAFETY: as above.
        unsafe { *y.add(i) = value };
        (from_a, from_b) = (from_a.wrapping_add(a.strides[2]), from_b.wrapping_add(b.strides[2]));
    }
}

/// The output for a sum by the general rules.
#[cold]
#[inline(never)]
fn general_sum(p: &Elementwise, a: i32, b: i32, sign: i32) -> i8 {
    let [ma, mb, multiplier] = p.multiplier;
    let [sa, sb, shift] = p.shift;
    let shifted = |value: i32| value.wrapping_shl(p.left_shift.into());
    let sum = multiply(shifted(b), mb, sb).wrapping_mul(sign).wrapping_add(multiply(shifted(a), ma, sa));
    p.clamp.apply(multiply(sum, multiplier, shift).wrapping_add(p.output_zero_point.into()))
}

/// Sums of rows without repetition, with the usual scales.
#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
#[allow(unsafe_code)]
mod instructions {
    use core::arch::naked_asm;

    use super::Divide;
    use crate::Elementwise;

    /// What the assembler reads.
    #[repr(C)]
    pub struct Short {
        /// Of each input: zero point times 2^20, twice the multiplier less 2^32, and the division.
        inputs: [[i32; 5]; 2],
        /// As `tiled::Short`.
        output: [i32; 5],
    }

    impl Short {
        /// `None` unless all multipliers are at least 2^30, shifts go to the right and the left shift is 20.
        pub fn new(p: &Elementwise) -> Option<Self> {
            let usual = p.multiplier.iter().all(|m| *m >= 1 << 30) && p.shift.iter().all(|s| *s <= 0);
            let [a, b, output] = p.multiplier.map(|m| m.wrapping_shl(1));
            let [sa, sb, shift] = p.shift.map(i32::from);
            let [za, zb] = p.input_zero_points.map(|z| i32::from(z) << 20);
            let input = |zero_point, multiplier, shift| {
                let Divide { half, less, right } = Divide::new(shift);
                [zero_point, multiplier, less, half, right.cast_signed()]
            };
            let back = i32::from(i8::MAX).wrapping_sub(p.clamp.max.into());
            let low = back.wrapping_add(p.clamp.min.into());
            let offset = back.wrapping_add(p.output_zero_point.into()).wrapping_mul(2).wrapping_add(1);
            let right = shift.wrapping_neg().wrapping_sub(1);
            (usual && p.left_shift == 20 && right >= 0).then_some(Short {
                inputs: [input(za, a, sa), input(zb, b, sb)],
                output: [output, right, offset, low, back],
            })
        }
    }

    /// Writes the outputs from `y` to `end`.
    ///
    /// # Safety
    /// There is at least one output, and as many values at `a` and `b`. Either may be `y`.
    #[unsafe(naked)]
    pub unsafe extern "C" fn add_row(short: &Short, a: *const i8, b: *const i8, y: *mut i8, end: *mut i8) {
        naked_asm!(
            // number = number * multiplier / 2^31, as in `tiled::Scale::finish`.
            ".macro DTMM_MULTIPLY number, multiplier, low",
            #[cfg(dtmm_isa = "dsp")]
            "smmlar \\number, \\number, \\multiplier, \\number",
            #[cfg(dtmm_isa = "v7m")]
            "smull \\low, r11, \\number, \\multiplier
            adds \\low, \\low, #0x80000000
            adc \\number, \\number, r11",
            ".endm",
            ".macro DTMM_INPUT value, from",
            "ldrsb \\value, [\\from], #1",
            "ldmia r0!, {{r6-r10}}",
            "rsb \\value, r6, \\value, lsl #20",
            "DTMM_MULTIPLY \\value, r7, r6",
            "and r8, r8, \\value, asr #31",
            "add \\value, r9",
            "add \\value, r8",
            "asr \\value, r10",
            ".endm",
            "push {{r4-r11, lr}}",
            "ldr r12, [sp, #36]",
            "2:",
            "DTMM_INPUT r4, r1",
            "DTMM_INPUT r5, r2",
            "add r4, r5",
            "ldm r0, {{r6-r10}}",
            "sub r0, #40",
            "DTMM_MULTIPLY r4, r6, r5",
            "add r4, r4, r4, asr #31",
            "asr r4, r7",
            "add r4, r8",
            "ssat r4, #8, r4, asr #1",
            "cmp r4, r9",
            "it lt",
            "movlt r4, r9",
            "sub r4, r10",
            "strb r4, [r3], #1",
            "cmp r3, r12",
            "bne 2b",
            "pop {{r4-r11, pc}}",
            ".purgem DTMM_INPUT",
            ".purgem DTMM_MULTIPLY",
        )
    }
}
