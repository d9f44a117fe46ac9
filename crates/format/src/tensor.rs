//! The tensor table: 20 bytes per tensor.
//!
//! | bytes | field |
//! |---|---|
//! | 0..2 | h (u16) |
//! | 2 | zero point (i8) |
//! | 3 | place: 0 = arena, 1 = constant |
//! | 4..8 | w (u32) |
//! | 8..12 | c (u32) |
//! | 12..16 | arena offset, a multiple of 4, or blob offset of the constant's data (u32) |
//! | 16..20 | scale as the bits of an IEEE-754 single (u32); for host tools, unused on the device |
//!
//! Every dimension is at least 1. A constant's data are h · w · c int8 values, NHWC.

use crate::bytes::{as_i8, put};
use crate::{BufferTooSmall, MAX_BYTES};

/// Bytes of one record.
pub const LEN: usize = 20;
/// Arena offsets of tensors are multiples of this.
pub const ARENA_ALIGNMENT: usize = 4;

/// Byte ranges of the fields.
pub mod field {
    use core::ops::Range;
    /// Height.
    pub const H: Range<usize> = 0..2;
    /// Zero point.
    pub const ZERO_POINT: Range<usize> = 2..3;
    /// Arena or constant.
    pub const PLACE: Range<usize> = 3..4;
    /// Width.
    pub const W: Range<usize> = 4..8;
    /// Channels.
    pub const C: Range<usize> = 8..12;
    /// Arena offset or blob offset.
    pub const OFFSET: Range<usize> = 12..16;
    /// Bits of the scale.
    pub const SCALE: Range<usize> = 16..20;
}

/// Height, width and channels of an NHWC tensor with N = 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Height.
    pub h: u16,
    /// Width.
    pub w: u32,
    /// Channels.
    pub c: u32,
}

impl Shape {
    /// Number of elements (and bytes); `None` when it is not below [`MAX_BYTES`].
    #[inline(never)]
    pub const fn elements(self) -> Option<usize> {
        let [h, w, c] = self.dims();
        let Some(pixels) = h.checked_mul(w) else { return None };
        match pixels.checked_mul(c) {
            Some(n) if n <= MAX_BYTES => Some(n),
            _ => None,
        }
    }

    /// `[h, w, c]`.
    pub const fn dims(self) -> [usize; 3] {
        [self.h as usize, self.w as usize, self.c as usize]
    }
}

/// Where a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In the arena, at this offset.
    Arena(u32),
    /// In the blob.
    Constant(&'a [i8]),
}

/// One int8 tensor, NHWC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Height, width, channels.
    pub shape: Shape,
    /// `real = scale * (q - zero_point)`.
    pub zero_point: i8,
    /// The bits of the scale, an IEEE-754 single; for host tools.
    pub scale_bits: u32,
    /// Where the elements are.
    pub place: Place<'a>,
}

impl<'a> Tensor<'a> {
    /// The tensor of a record; constants lie in `blob`. `None` when anything is out of range.
    #[inline]
    pub(crate) fn parse(
        &[h0, h1, zero_point, place, ref numbers @ ..]: &[u8; LEN],
        blob: &'a [u8],
    ) -> Option<Self> {
        let [w, c, offset, scale_bits] = bytemuck::cast::<[u8; 16], [u32; 4]>(*numbers).map(u32::from_le);
        let shape = Shape { h: u16::from_le_bytes([h0, h1]), w, c };
        let len = shape.elements().filter(|&n| n > 0)?;
        let place = match place {
            0 if (offset as usize).is_multiple_of(ARENA_ALIGNMENT) => Place::Arena(offset),
            1 => Place::Constant(as_i8(blob.get(offset as usize..)?.get(..len)?)?),
            _ => return None,
        };
        Some(Tensor { shape, zero_point: zero_point.cast_signed(), scale_bits, place })
    }

    /// Writes the record. For a constant, `constant_offset` is the blob offset at which its data were put.
    ///
    /// # Errors
    /// When `out` has fewer than [`LEN`] bytes.
    pub fn emit(&self, constant_offset: u32, out: &mut [u8]) -> Result<(), BufferTooSmall> {
        self.try_emit(constant_offset, out).ok_or(BufferTooSmall)
    }

    fn try_emit(&self, constant_offset: u32, out: &mut [u8]) -> Option<()> {
        let (place, offset) = match self.place {
            Place::Arena(offset) => (0, offset),
            Place::Constant(_) => (1, constant_offset),
        };
        put(out, field::H, self.shape.h.to_le_bytes())?;
        put(out, field::ZERO_POINT, self.zero_point.to_le_bytes())?;
        put(out, field::PLACE, [place])?;
        put(out, field::W, self.shape.w.to_le_bytes())?;
        put(out, field::C, self.shape.c.to_le_bytes())?;
        put(out, field::OFFSET, offset.to_le_bytes())?;
        put(out, field::SCALE, self.scale_bits.to_le_bytes())
    }

    /// The arena bytes of the tensor; `None` for a constant.
    #[inline(never)]
    pub fn arena_range(&self) -> Option<core::ops::Range<usize>> {
        match self.place {
            Place::Arena(offset) => {
                let start = offset as usize;
                Some(start..start.checked_add(self.shape.elements()?)?)
            }
            Place::Constant(_) => None,
        }
    }
}
