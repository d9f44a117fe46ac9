//! Port descriptions (optional): how the source model presents its inputs and outputs. For host tools.
//!
//! One record per port, inputs first, each padded to a multiple of 4:
//!
//! | bytes | field |
//! |---|---|
//! | 0 | element type: 0 = float32, 1 = int8, 2 = uint8, 3 = int32 |
//! | 1 | rank R, 0..=8 |
//! | 2 | name length L |
//! | 3 | 1 when scale and zero point hold, else 0 |
//! | 4..8 | scale (bits of an IEEE-754 single) |
//! | 8..12 | zero point (i32) |
//! | then 4 · R | source shape (u32) |
//! | then R | permutation (u8): transposing the source by it gives the elements in NHWC order |
//! | then L | name (UTF-8) |

use crate::BufferTooSmall;
use crate::bytes::{Emitter, Reader};

/// Bytes before shape, permutation and name.
pub const FIXED_LEN: usize = 12;
/// Largest rank of a source shape.
pub const MAX_RANK: usize = 8;

/// The element type that the source model takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PortElement {
    /// float32.
    F32 = 0,
    /// int8.
    I8 = 1,
    /// uint8.
    U8 = 2,
    /// int32.
    I32 = 3,
}

impl PortElement {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(PortElement::F32),
            1 => Some(PortElement::I8),
            2 => Some(PortElement::U8),
            3 => Some(PortElement::I32),
            _ => None,
        }
    }
}

/// One model input or output as the source model presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortInfo<'a> {
    /// Element type of the source.
    pub element: PortElement,
    /// Bits of the scale (IEEE-754 single) and zero point, where the source is quantised.
    pub quant: Option<(u32, i32)>,
    /// Source shape (little-endian u32), batch included.
    pub shape: &'a [[u8; 4]],
    /// Transposing the source by it gives NHWC order; as many as dimensions.
    pub perm: &'a [u8],
    /// Name, at most 255 bytes.
    pub name: &'a str,
}

impl<'a> PortInfo<'a> {
    /// Bytes of the record, a multiple of 4.
    pub const fn encoded_len(&self) -> usize {
        (FIXED_LEN + 5 * self.shape.len() + self.name.len()).next_multiple_of(4)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When `out` is shorter than [`PortInfo::encoded_len`], or rank or name are too long.
    pub fn emit(&self, out: &mut [u8]) -> Result<(), BufferTooSmall> {
        self.try_emit(&mut Emitter::new(out)).ok_or(BufferTooSmall)
    }

    fn try_emit(&self, e: &mut Emitter<'_>) -> Option<()> {
        let rank = u8::try_from(self.shape.len()).ok().filter(|_| self.perm.len() == self.shape.len())?;
        let name_len = u8::try_from(self.name.len()).ok()?;
        e.bytes(&[self.element as u8, rank, name_len, u8::from(self.quant.is_some())])?;
        let (scale, zero_point) = self.quant.unwrap_or_default();
        e.bytes(&scale.to_le_bytes())?;
        e.bytes(&zero_point.to_le_bytes())?;
        e.numbers(self.shape)?;
        e.bytes(self.perm)?;
        e.bytes(self.name.as_bytes())?;
        e.align(4)
    }

    pub(crate) fn parse(r: &mut Reader<'a>) -> Option<Self> {
        let [element, rank, name_len, has_quant] = r.array()?;
        let rank = usize::from(rank);
        let quant = (r.u32()?, r.i32()?);
        let shape = r.numbers(rank)?;
        let perm = r.take(rank)?;
        let name = core::str::from_utf8(r.take(usize::from(name_len))?).ok()?;
        let used = FIXED_LEN + 5 * rank + name.len();
        r.take(used.next_multiple_of(4) - used)?;
        let element = PortElement::from_byte(element)?;
        let quant = (has_quant != 0).then_some(quant);
        is_permutation(perm).then_some(PortInfo { element, quant, shape, perm, name })
    }
}

fn is_permutation(perm: &[u8]) -> bool {
    let seen = perm.iter().fold(0u32, |seen, &p| seen | 1u32.checked_shl(u32::from(p)).unwrap_or(0));
    perm.len() <= MAX_RANK && seen == (1 << perm.len()) - 1
}
