//! How results are scaled and clamped.

use crate::bytes::{Emitter, Reader};

/// The interval that an output is clamped to, `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Lower end.
    pub min: i8,
    /// Upper end.
    pub max: i8,
}

impl Clamp {
    /// No clamp.
    pub const NONE: Self = Clamp { min: i8::MIN, max: i8::MAX };
}

/// `clamp(zero_point_out + multiply(x, multiplier, shift))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// Q31, not negative.
    pub multiplier: i32,
    /// Positive to the left.
    pub shift: i8,
    /// Clamp of the output.
    pub clamp: Clamp,
}

/// Scaling of Add and Sub: both inputs, less their zero points and shifted left, are brought to a common scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elementwise {
    /// Q31 multipliers of input 1, input 2 and the output.
    pub multiplier: [i32; 3],
    /// Their shifts.
    pub shift: [i8; 3],
    /// Left shift of both inputs (20 in TFLite).
    pub left_shift: u8,
    /// Clamp of the output.
    pub clamp: Clamp,
}

impl Clamp {
    pub(crate) fn parse(r: &mut Reader<'_>) -> Option<Self> {
        let [min, max] = r.array()?.map(u8::cast_signed);
        Some(Clamp { min, max })
    }
}

impl Rescale {
    pub(crate) fn parse(r: &mut Reader<'_>) -> Option<Self> {
        Some(Rescale { multiplier: r.i32()?, shift: r.i8()?, clamp: Clamp::parse(r)? })
    }
}

impl Elementwise {
    pub(crate) fn parse(r: &mut Reader<'_>) -> Option<Self> {
        let multiplier =
            bytemuck::cast::<[u8; 12], [u32; 3]>(r.array()?).map(|m| u32::from_le(m).cast_signed());
        let [a, b, y, left_shift] = r.array()?;
        let shift = [a, b, y].map(u8::cast_signed);
        Some(Elementwise { multiplier, shift, left_shift, clamp: Clamp::parse(r)? })
    }

    pub(crate) fn emit(&self, e: &mut Emitter<'_>) -> Option<()> {
        e.numbers(&self.multiplier.map(i32::to_le_bytes))?;
        e.i8s(&self.shift)?;
        e.bytes(&[self.left_shift])?;
        e.i8s(&[self.clamp.min, self.clamp.max, 0, 0])
    }
}
