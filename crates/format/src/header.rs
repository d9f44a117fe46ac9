//! The header, 64 bytes at the start of the blob.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `DTMM` |
//! | 4..6 | format version (u16) |
//! | 6..8 | reserved |
//! | 8..12 | length of the whole blob (u32), a multiple of 16 |
//! | 12..16 | CRC-32 (ISO-HDLC, as in zlib) of bytes 16..length |
//! | 16..20 | arena bytes (u32): activations and scratch |
//! | 20..22 | number of tensors (u16) |
//! | 22..24 | number of layers (u16) |
//! | 24..26 | number of model inputs (u16), at least 1 |
//! | 26..28 | number of model outputs (u16), at least 1 |
//! | 28..32 | offset of the tensor table (u32) |
//! | 32..36 | offset of the layer table (u32) |
//! | 36..40 | offset of the port table (u32) |
//! | 40..44 | offset of the preprocessing (u32), 0 when absent |
//! | 44..48 | offset of the port descriptions (u32), 0 when absent |
//! | 48..52 | offset of the names (u32), 0 when absent |
//! | 52..64 | reserved |

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

use crate::bytes::{get, put};
use crate::{ALIGNMENT, BufferTooSmall, FormatError, MAX_BYTES, VERSION};

/// Bytes of the header.
pub const LEN: usize = 64;
/// The first four bytes of every package.
pub const MAGIC: [u8; 4] = *b"DTMM";

/// Byte ranges of the fields.
pub mod field {
    use core::ops::Range;
    /// `DTMM`.
    pub const MAGIC: Range<usize> = 0..4;
    /// Format version.
    pub const VERSION: Range<usize> = 4..6;
    /// Length of the whole blob.
    pub const TOTAL_LEN: Range<usize> = 8..12;
    /// CRC-32 of everything behind this field.
    pub const CRC: Range<usize> = 12..16;
    /// Arena bytes.
    pub const ARENA_BYTES: Range<usize> = 16..20;
    /// Number of tensors.
    pub const TENSOR_COUNT: Range<usize> = 20..22;
    /// Number of layers.
    pub const LAYER_COUNT: Range<usize> = 22..24;
    /// Number of model inputs.
    pub const INPUT_COUNT: Range<usize> = 24..26;
    /// Number of model outputs.
    pub const OUTPUT_COUNT: Range<usize> = 26..28;
    /// Offset of the tensor table.
    pub const TENSORS: Range<usize> = 28..32;
    /// Offset of the layer table.
    pub const LAYERS: Range<usize> = 32..36;
    /// Offset of the port table.
    pub const PORTS: Range<usize> = 36..40;
    /// Offset of the preprocessing, or 0.
    pub const PREPROCESSING: Range<usize> = 40..44;
    /// Offset of the port descriptions, or 0.
    pub const PORT_INFO: Range<usize> = 44..48;
    /// Offset of the names, or 0.
    pub const NAMES: Range<usize> = 48..52;
}

/// The header's numbers; offsets and lengths in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole blob.
    pub total_len: u32,
    /// Arena bytes: activations and scratch.
    pub arena_bytes: u32,
    /// Number of tensors.
    pub tensor_count: u16,
    /// Number of layers.
    pub layer_count: u16,
    /// Number of model inputs.
    pub input_count: u16,
    /// Number of model outputs.
    pub output_count: u16,
    /// Offset of the tensor table.
    pub tensors: u32,
    /// Offset of the layer table.
    pub layers: u32,
    /// Offset of the port table.
    pub ports: u32,
    /// Offset of the preprocessing, or 0.
    pub preprocessing: u32,
    /// Offset of the port descriptions, or 0.
    pub port_info: u32,
    /// Offset of the names, or 0.
    pub names: u32,
}

impl Header {
    /// Reads the header and checks magic, version, length and checksum.
    ///
    /// # Errors
    /// [`FormatError::Truncated`], [`FormatError::Magic`], [`FormatError::Version`], [`FormatError::Header`] or
    /// [`FormatError::Checksum`].
    pub fn check(bytes: &[u8]) -> Result<Self, FormatError> {
        if get(bytes, field::MAGIC).is_some_and(|m| m != MAGIC) {
            return Err(FormatError::Magic);
        }
        match get(bytes, field::VERSION).map(u16::from_le_bytes) {
            Some(VERSION) => {}
            Some(other) => return Err(FormatError::Version(other)),
            None => return Err(FormatError::Truncated),
        }
        let header = Self::parse(bytes.first_chunk().ok_or(FormatError::Truncated)?);
        let len = header.total_len as usize;
        if !(LEN..=MAX_BYTES).contains(&len) || !len.is_multiple_of(ALIGNMENT) {
            return Err(FormatError::Header);
        }
        let blob = bytes.get(..len).ok_or(FormatError::Truncated)?;
        match get(blob, field::CRC).map(u32::from_le_bytes) {
            Some(crc) if crc == checksum(blob) => {}
            _ => return Err(FormatError::Checksum),
        }
        if header.input_count == 0 || header.output_count == 0 || header.arena_bytes as usize > MAX_BYTES {
            return Err(FormatError::Header);
        }
        Ok(header)
    }

    #[inline(always)]
    pub(crate) fn parse(bytes: &[u8; LEN]) -> Self {
        let u16_at = |f| get(bytes, f).map_or(0, u16::from_le_bytes);
        let u32_at = |f| get(bytes, f).map_or(0, u32::from_le_bytes);
        Header {
            total_len: u32_at(field::TOTAL_LEN),
            arena_bytes: u32_at(field::ARENA_BYTES),
            tensor_count: u16_at(field::TENSOR_COUNT),
            layer_count: u16_at(field::LAYER_COUNT),
            input_count: u16_at(field::INPUT_COUNT),
            output_count: u16_at(field::OUTPUT_COUNT),
            tensors: u32_at(field::TENSORS),
            layers: u32_at(field::LAYERS),
            ports: u32_at(field::PORTS),
            preprocessing: u32_at(field::PREPROCESSING),
            port_info: u32_at(field::PORT_INFO),
            names: u32_at(field::NAMES),
        }
    }

    /// Writes the header without its checksum, which [`seal`] adds when the blob is complete.
    ///
    /// # Errors
    /// When `out` has fewer than [`LEN`] bytes.
    pub fn emit(&self, out: &mut [u8]) -> Result<(), BufferTooSmall> {
        self.try_emit(out).ok_or(BufferTooSmall)
    }

    fn try_emit(&self, out: &mut [u8]) -> Option<()> {
        out.get_mut(..LEN)?.fill(0);
        put(out, field::MAGIC, MAGIC)?;
        put(out, field::VERSION, VERSION.to_le_bytes())?;
        put(out, field::TOTAL_LEN, self.total_len.to_le_bytes())?;
        put(out, field::ARENA_BYTES, self.arena_bytes.to_le_bytes())?;
        put(out, field::TENSOR_COUNT, self.tensor_count.to_le_bytes())?;
        put(out, field::LAYER_COUNT, self.layer_count.to_le_bytes())?;
        put(out, field::INPUT_COUNT, self.input_count.to_le_bytes())?;
        put(out, field::OUTPUT_COUNT, self.output_count.to_le_bytes())?;
        put(out, field::TENSORS, self.tensors.to_le_bytes())?;
        put(out, field::LAYERS, self.layers.to_le_bytes())?;
        put(out, field::PORTS, self.ports.to_le_bytes())?;
        put(out, field::PREPROCESSING, self.preprocessing.to_le_bytes())?;
        put(out, field::PORT_INFO, self.port_info.to_le_bytes())?;
        put(out, field::NAMES, self.names.to_le_bytes())
    }
}

/// Writes the checksum into a complete blob.
///
/// # Errors
/// When the blob is shorter than a header.
pub fn seal(blob: &mut [u8]) -> Result<(), BufferTooSmall> {
    let crc = checksum(blob);
    put(blob, field::CRC, crc.to_le_bytes()).ok_or(BufferTooSmall)
}

/// CRC-32 of everything behind the checksum field; bitwise, because a table would cost a kilobyte of flash.
fn checksum(blob: &[u8]) -> u32 {
    const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
    CRC.checksum(blob.get(field::CRC.end..).unwrap_or_default())
}
