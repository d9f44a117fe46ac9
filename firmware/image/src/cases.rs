//! The file of cases.
//!
//! | bytes | field (little-endian u32) |
//! |---|---|
//! | 0 | `DTMC` |
//! | 4 | number of cases |
//! | 8, each 20 | offset and length of the package, offset and length of the input, flags |
//!
//! Offsets count from the start of the file, packages start at multiples of 16. Flag 1: report every layer's output.

/// One package with its input.
pub struct Case<'a> {
    /// The package.
    pub package: &'a [u8],
    /// The values of all inputs, one after another.
    pub input: &'a [i8],
    /// Whether every layer's output is reported.
    pub keep_outputs: bool,
}

const MAGIC: &[u8] = b"DTMC";
const HEADER: usize = 8;
const RECORD: usize = 20;

/// All cases of the file; `None` when it is no such file.
pub fn all(file: &'static [u8]) -> Option<impl Iterator<Item = Case<'static>>> {
    (file.get(..MAGIC.len())? == MAGIC).then_some(())?;
    let count = word(file, 4)?;
    Some((0..count).map_while(move |i| case(file, HEADER.checked_add(i.checked_mul(RECORD)?)?)))
}

fn case(file: &'static [u8], at: usize) -> Option<Case<'static>> {
    let field = |i: usize| word(file, at.checked_add(4 * i)?);
    let part = |start: usize, len: usize| file.get(start..start.checked_add(len)?);
    let package = part(field(0)?, field(1)?)?;
    let input = crate::memory::signed(part(field(2)?, field(3)?)?);
    Some(Case { package, input, keep_outputs: field(4)? & 1 != 0 })
}

fn word(file: &[u8], at: usize) -> Option<usize> {
    let bytes = file.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes) as usize)
}
