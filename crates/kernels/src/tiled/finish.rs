//! From sums to outputs.

use super::engine::Engine;
use crate::Linear;
use crate::requantize::clamp;

/// How sums are rounded when they are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// As [`crate::requantize::multiply`]: convolutions.
    Twice,
    /// As [`crate::requantize::multiply_once`]: fully connected layers.
    Once,
}

/// Scaling of one filter's sums.
pub(crate) struct Scale<'a> {
    linear: &'a Linear<'a>,
    o: usize,
    rounding: Rounding,
    bias: i32,
    multiplier: i32,
    /// One less than the right shift; 0 when the general rule is needed.
    shift: u32,
    /// Twice the output's zero point and 1.
    offset: i32,
}

impl<'a> Scale<'a> {
    /// For filter `o`.
    pub fn new(linear: &'a Linear<'a>, o: usize, rounding: Rounding) -> Self {
        let (multiplier, shift) = linear.scale(o);
        let plain = rounding == Rounding::Twice && (-31..=-2).contains(&shift);
        let shift = if plain { u32::from(shift.unsigned_abs()).wrapping_sub(1) } else { 0 };
        let offset = i32::from(linear.output_zero_point).wrapping_mul(2).wrapping_add(1);
        Scale { linear, o, rounding, bias: linear.bias(o), multiplier, shift, offset }
    }

    /// The filter's bias.
    pub fn bias(&self) -> i32 {
        self.bias
    }

    /// Scales and clamps a sum.
    #[inline(always)]
    pub fn finish<E: Engine>(&self, sum: i32) -> i8 {
        if self.shift == 0 {
            return self.finish_generally(sum);
        }
        // Division by 2^(shift + 1), rounded to nearest, ties away from zero: all but one bit are shifted out of the
        // number (less 1 when it is negative), the last one after a half was added. Together with the half comes the
        // zero point; nothing overflows, as at least one bit is gone.
        let high = E::high_mul(sum, self.multiplier);
        let truncated = high.wrapping_add(high >> 31) >> self.shift;
        let value = truncated.wrapping_add(self.offset) >> 1;
        let interval = self.linear.clamp;
        clamp(value, interval.min, interval.max)
    }

    #[cold]
    #[inline(never)]
    fn finish_generally(&self, sum: i32) -> i8 {
        match self.rounding {
            Rounding::Twice => self.linear.finish(self.o, sum),
            Rounding::Once => self.linear.finish_once(self.o, sum),
        }
    }
}
