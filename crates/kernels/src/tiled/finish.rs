//! From sums to outputs.

use crate::Linear;

/// Scaling of a layer's sums.
///
/// The usual case, a multiplier of at least 2^30 and a shift of at least 3 to the right, has a short form: see
/// [`Scale::finish`]. Everything else goes to the rules of the reference kernels.
pub(crate) struct Scaling<'a> {
    linear: &'a Linear<'a>,
    /// Where the number of filter `o` is: `o & mask`.
    mask: usize,
    /// Twice what is added to a scaled sum, and 1.
    offset: i32,
    /// Lower end of outputs that are too large by `back`.
    low: i32,
    /// What takes the upper end of the clamp to 127.
    back: i32,
}

impl<'a> Scaling<'a> {
    /// For all filters of a layer.
    pub fn new(linear: &'a Linear<'a>) -> Self {
        let back = i32::from(i8::MAX).wrapping_sub(linear.clamp.max.into());
        let low = back.wrapping_add(linear.clamp.min.into());
        let offset = back.wrapping_add(linear.output_zero_point.into()).wrapping_mul(2).wrapping_add(1);
        let mask = if linear.multiplier.len() == 1 { 0 } else { usize::MAX };
        Scaling { linear, mask, offset, low, back }
    }

    #[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
    /// The numbers of the short form that all filters share.
    pub fn short(&self) -> Short {
        let Scaling { offset, low, back, .. } = *self;
        Short { multiplier: 0, shift: 0, offset, low, back }
    }

    /// For filter `o`.
    #[inline(never)]
    pub fn filter(&self, o: usize) -> Scale<'_> {
        let number = |n: Option<&[u8; 4]>| n.map_or(0, |n| i32::from_le_bytes(*n));
        let at = o & self.mask;
        let multiplier = number(self.linear.multiplier.get(at));
        let left = self.linear.shift.get(at).copied().unwrap_or(0);
        let right = -i32::from(left);
        let short = (3..32).contains(&right) && multiplier >= 1 << 30;
        let shift = if short { right.wrapping_sub(1).cast_unsigned() } else { 0 };
        Scale { layer: self, o, bias: number(self.linear.bias.get(o)), multiplier, shift, left }
    }
}

impl Scaling<'_> {
    /// All biases, little-endian.
    #[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
    pub fn all_biases(&self) -> &[[u8; 4]] {
        self.linear.bias
    }

    /// The biases of four filters from `o` on; 0 behind the last one.
    #[inline(always)]
    pub fn biases(&self, o: usize) -> [i32; 4] {
        let bias = self.linear.bias.get(o..).unwrap_or_default();
        let number = |n: Option<&[u8; 4]>| n.map_or(0, |n| i32::from_le_bytes(*n));
        match bias.first_chunk::<4>() {
            Some(four) => four.map(i32::from_le_bytes),
            None => [number(bias.first()), number(bias.get(1)), number(bias.get(2)), 0],
        }
    }

    /// As [`Scale::finish`] for filter `o`, whose [`Scale::numbers`] the caller kept. Where there is assembler, that runs
    /// for nearly all outputs.
    #[cfg_attr(any(dtmm_isa = "dsp", dtmm_isa = "v7m"), inline(never))]
    #[cfg_attr(not(any(dtmm_isa = "dsp", dtmm_isa = "v7m")), inline(always))]
    pub fn finish_numbers(
        &self,
        [multiplier, shift]: [u32; 2],
        o: usize,
        sum: i32,
        high_mul: impl Fn(i32, i32) -> i32,
    ) -> i8 {
        if shift == 0 {
            return self.filter(o).finish_generally(sum, false);
        }
        let multiplier = (multiplier >> 1).cast_signed();
        let left = shift.wrapping_add(1).wrapping_neg() as i8;
        let scale = Scale { layer: self, o, bias: 0, multiplier, shift, left };
        scale.finish(sum, high_mul)
    }
}

/// Scaling of one filter's sums.
pub(crate) struct Scale<'a> {
    layer: &'a Scaling<'a>,
    /// The filter.
    pub o: usize,
    /// The filter's bias.
    pub bias: i32,
    multiplier: i32,
    /// One less than the right shift; 0 when the short form does not apply.
    shift: u32,
    /// The shift as the layer has it, positive to the left.
    left: i8,
}

#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
/// The numbers of the short form, as assembler reads them.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Short {
    /// Twice the multiplier, less 2^32.
    pub multiplier: i32,
    /// One less than the right shift; 0 when the short form does not apply.
    pub shift: u32,
    /// Twice what is added to a scaled sum, and 1.
    pub offset: i32,
    /// Lower end of outputs that are too large by `back`.
    pub low: i32,
    /// What takes the upper end of the clamp to 127.
    pub back: i32,
}

impl Scale<'_> {
    /// Twice the multiplier, and one less than the right shift or 0 when the short form does not apply.
    pub fn numbers(&self) -> [u32; 2] {
        [self.multiplier.cast_unsigned().wrapping_shl(1), self.shift]
    }

    #[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
    /// Puts the filter's numbers into the short form; false when it does not apply.
    #[inline(always)]
    pub fn shorten(&self, short: &mut Short) -> bool {
        short.multiplier = self.multiplier.wrapping_shl(1);
        short.shift = self.shift;
        self.shift > 0
    }

    /// Scales and clamps a sum, rounded twice: convolutions. `high_mul` is `sum * multiplier / 2^31`, rounded to nearest,
    /// ties upwards.
    ///
    /// The short form of the division by 2^(shift + 1), rounded to nearest, ties away from zero: all but one bit are
    /// shifted out of the number (less 1 when it is negative), the last one after a half was added. Together with the
    /// half comes the zero point; nothing overflows, as at least one bit is gone. The upper end of the clamp is moved to
    /// 127, where a saturating instruction finds it.
    #[inline(always)]
    pub fn finish(&self, sum: i32, high_mul: impl Fn(i32, i32) -> i32) -> i8 {
        // Assembler has the short form where there is any: what comes here is rare, and one way is smaller than two.
        let assembled = cfg!(any(dtmm_isa = "dsp", dtmm_isa = "v7m"));
        if assembled || self.shift == 0 {
            return self.finish_generally(sum, false);
        }
        let high = high_mul(sum, self.multiplier);
        self.finish_high(high.wrapping_add(high >> 31) >> self.shift)
    }

    /// As [`Scale::finish`], but rounded once: fully connected layers.
    #[inline(always)]
    pub fn finish_once(&self, sum: i32) -> i8 {
        if self.shift == 0 {
            return self.finish_generally(sum, true);
        }
        let product = i64::from(sum).wrapping_mul(self.multiplier.into());
        let high = product.wrapping_add(product >> 63) >> 32;
        self.finish_high(high as i32 >> self.shift.wrapping_sub(1))
    }

    /// The last bit, the zero point and the clamp.
    #[inline(always)]
    fn finish_high(&self, truncated: i32) -> i8 {
        let value = truncated.wrapping_add(self.layer.offset) >> 1;
        value.clamp(i8::MIN.into(), i8::MAX.into()).max(self.layer.low).wrapping_sub(self.layer.back) as i8
    }

    #[cold]
    #[inline(never)]
    fn finish_generally(&self, sum: i32, once: bool) -> i8 {
        self.layer.linear.finish_scaled((self.multiplier, self.left), sum, once)
    }
}
