//! Preprocessing (optional): what turns a raw sample into the model's real input. For host tools.
//!
//! `(x * scale - mean[c]) / std[c]` after an optional bilinear resize.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | scale (bits of an IEEE-754 single) |
//! | 4..6, 6..8 | resize height, width (u16); both 0: the size is kept |
//! | 8..10 | M: number of means (u16): 0 (all are 0), 1, or one per channel |
//! | 10..12 | S: number of deviations (u16): 0 (all are 1), 1, or one per channel |
//! | then 4 · M | means (bits of singles) |
//! | then 4 · S | deviations (bits of singles) |

use crate::BufferTooSmall;
use crate::bytes::{Emitter, Reader};

/// Bytes before the arrays.
pub const FIXED_LEN: usize = 12;

/// `(x * scale - mean[c]) / std[c]` after an optional resize. Numbers are bits of IEEE-754 singles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preprocessing<'a> {
    /// Factor on the raw value.
    pub scale_bits: u32,
    /// Bilinear resize to height, width; `[0, 0]` keeps the size.
    pub resize: [u16; 2],
    /// Means, little-endian.
    pub mean: &'a [[u8; 4]],
    /// Standard deviations, little-endian.
    pub std: &'a [[u8; 4]],
}

impl<'a> Preprocessing<'a> {
    /// Bytes of the record, a multiple of 4.
    pub const fn encoded_len(&self) -> usize {
        FIXED_LEN + 4 * (self.mean.len() + self.std.len())
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When `out` is shorter than [`Preprocessing::encoded_len`].
    pub fn emit(&self, out: &mut [u8]) -> Result<(), BufferTooSmall> {
        self.try_emit(&mut Emitter::new(out)).ok_or(BufferTooSmall)
    }

    fn try_emit(&self, e: &mut Emitter<'_>) -> Option<()> {
        let counts = [u16::try_from(self.mean.len()).ok()?, u16::try_from(self.std.len()).ok()?];
        e.bytes(&self.scale_bits.to_le_bytes())?;
        e.numbers(&self.resize.map(u16::to_le_bytes))?;
        e.numbers(&counts.map(u16::to_le_bytes))?;
        e.numbers(self.mean)?;
        e.numbers(self.std)
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut r = Reader(bytes);
        let scale_bits = r.u32()?;
        let resize = [r.u16()?, r.u16()?];
        let (means, stds) = (r.u16()?, r.u16()?);
        let mean = r.numbers(usize::from(means))?;
        Some(Preprocessing { scale_bits, resize, mean, std: r.numbers(usize::from(stds))? })
    }
}
