//! Checked, allocation-free access to FlatBuffers: every read is bounds-checked against the file.
//!
//! A FlatBuffer may point at the same bytes many times, so its expansion can be far larger than the file. [`Flat`] has a
//! budget proportional to the file: whoever reads or copies charges it, and a file that asks for more is refused.

use std::cell::Cell;

use thiserror::Error;

/// Work allowed for each byte of the file; a table's fixed costs stay well below this in honest files.
const BUDGET_PER_BYTE: usize = 16;
const BUDGET_FLOOR: usize = 1 << 16;
/// Charged for a table on top of its size: what its decoded form takes in memory.
const TABLE_COST: usize = 64;

/// Why the bytes are not a well-formed FlatBuffer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FlatError {
    /// A read would leave the file.
    #[error("{what} at byte {at} reaches beyond the end of the file ({len} bytes): truncated or garbled")]
    OutOfBounds {
        /// What was read.
        what: &'static str,
        /// Byte offset.
        at: usize,
        /// File length.
        len: usize,
    },
    /// A virtual table is malformed.
    #[error("the table at byte {at} has no valid field directory: garbled")]
    VTable {
        /// Byte offset.
        at: usize,
    },
    /// The parts of the file overlap so much that reading it would take unreasonable memory.
    #[error(
        "its parts refer to the same bytes again and again; reading it would take more than {budget} bytes"
    )]
    Budget {
        /// The limit that was passed.
        budget: usize,
    },
}

/// The bytes of a file and the work that is still allowed on them.
pub struct Flat<'a> {
    bytes: &'a [u8],
    left: Cell<usize>,
}

impl<'a> Flat<'a> {
    /// Wraps the bytes; nothing is read yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Flat { bytes, left: Cell::new(budget(bytes.len())) }
    }

    /// The root table.
    pub fn root(&self) -> Result<Table<'_>, FlatError> {
        self.table(0)
    }

    /// Takes `cost` bytes of work from the budget.
    pub fn charge(&self, cost: usize) -> Result<(), FlatError> {
        let left = self.left.get().checked_sub(cost);
        self.left.set(left.ok_or(FlatError::Budget { budget: budget(self.bytes.len()) })?);
        Ok(())
    }

    /// `len` bytes at `at`.
    pub fn slice(&self, at: usize, len: usize, what: &'static str) -> Result<&[u8], FlatError> {
        let end = at.checked_add(len);
        let bytes = end.and_then(|end| self.bytes.get(at..end));
        bytes.ok_or(FlatError::OutOfBounds { what, at, len: self.bytes.len() })
    }

    fn array<const N: usize>(&self, at: usize, what: &'static str) -> Result<[u8; N], FlatError> {
        let mut out = [0; N];
        out.copy_from_slice(self.slice(at, N, what)?);
        Ok(out)
    }

    fn u32(&self, at: usize, what: &'static str) -> Result<usize, FlatError> {
        Ok(u32::from_le_bytes(self.array(at, what)?) as usize)
    }

    /// The position that the unsigned offset stored at `at` points to.
    fn target(&self, at: usize, what: &'static str) -> Result<usize, FlatError> {
        let target = at.checked_add(self.u32(at, what)?);
        target.ok_or(FlatError::OutOfBounds { what, at, len: self.bytes.len() })
    }

    /// The table that the offset at `at` points to.
    fn table(&self, at: usize) -> Result<Table<'_>, FlatError> {
        let pos = self.target(at, "an offset to a table")?;
        let back = i32::from_le_bytes(self.array(pos, "a table")?);
        let bad = || FlatError::VTable { at: pos };
        let vtable = usize::try_from(pos as i64 - i64::from(back)).map_err(|_| bad())?;
        let vtable_len = usize::from(u16::from_le_bytes(self.array(vtable, "a field directory")?));
        let size = usize::from(u16::from_le_bytes(self.array(vtable + 2, "a field directory")?));
        if vtable_len < 4 || vtable_len % 2 != 0 || size < 4 {
            return Err(bad());
        }
        self.slice(vtable, vtable_len, "a field directory")?;
        self.slice(pos, size, "a table")?;
        self.charge(TABLE_COST + size)?;
        Ok(Table { flat: self, pos, size, vtable, vtable_len })
    }
}

fn budget(len: usize) -> usize {
    len.saturating_mul(BUDGET_PER_BYTE).saturating_add(BUDGET_FLOOR)
}

/// A table: numbered, optional fields.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    flat: &'a Flat<'a>,
    pos: usize,
    size: usize,
    vtable: usize,
    vtable_len: usize,
}

impl<'a> Table<'a> {
    /// The position of a field's inline value, `None` when it has its default.
    fn field(&self, id: usize, width: usize) -> Result<Option<usize>, FlatError> {
        let slot = 4 + 2 * id;
        if slot + 2 > self.vtable_len {
            return Ok(None);
        }
        let at = usize::from(u16::from_le_bytes(self.flat.array(self.vtable + slot, "a field directory")?));
        match at {
            0 => Ok(None),
            _ if at < 4 || at + width > self.size => Err(FlatError::VTable { at: self.pos }),
            _ => Ok(Some(self.pos + at)),
        }
    }

    fn scalar<const N: usize>(&self, id: usize) -> Result<Option<[u8; N]>, FlatError> {
        self.field(id, N)?.map(|at| self.flat.array(at, "a field")).transpose()
    }

    /// An int8 or enum field.
    pub fn i8(&self, id: usize, default: i8) -> Result<i8, FlatError> {
        Ok(self.scalar(id)?.map_or(default, i8::from_le_bytes))
    }

    /// A boolean field.
    pub fn bool(&self, id: usize) -> Result<bool, FlatError> {
        Ok(self.i8(id, 0)? != 0)
    }

    /// An int32 field.
    pub fn i32(&self, id: usize, default: i32) -> Result<i32, FlatError> {
        Ok(self.scalar(id)?.map_or(default, i32::from_le_bytes))
    }

    /// A uint64 field.
    pub fn u64(&self, id: usize) -> Result<u64, FlatError> {
        Ok(self.scalar(id)?.map_or(0, u64::from_le_bytes))
    }

    /// A float32 field.
    pub fn f32(&self, id: usize, default: f32) -> Result<f32, FlatError> {
        Ok(self.scalar(id)?.map_or(default, f32::from_le_bytes))
    }

    /// A table field.
    pub fn table(&self, id: usize) -> Result<Option<Table<'a>>, FlatError> {
        self.field(id, 4)?.map(|at| self.flat.table(at)).transpose()
    }

    /// A text field; bytes that are not UTF-8 are replaced.
    pub fn string(&self, id: usize) -> Result<String, FlatError> {
        let bytes = self.bytes(id)?;
        self.flat.charge(bytes.len())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// A byte vector, not charged: the caller charges what it copies.
    pub fn bytes(&self, id: usize) -> Result<&'a [u8], FlatError> {
        Ok(self.vector(id, 1, "a byte vector")?.1)
    }

    /// A vector of int32.
    pub fn i32s(&self, id: usize) -> Result<Vec<i32>, FlatError> {
        self.numbers(id, i32::from_le_bytes)
    }

    /// A vector of int64.
    pub fn i64s(&self, id: usize) -> Result<Vec<i64>, FlatError> {
        self.numbers(id, i64::from_le_bytes)
    }

    /// A vector of float32.
    pub fn f32s(&self, id: usize) -> Result<Vec<f32>, FlatError> {
        self.numbers(id, f32::from_le_bytes)
    }

    /// Applies `decode` to each table of a vector of tables.
    pub fn tables<T>(
        &self,
        id: usize,
        decode: impl Fn(Table<'a>) -> Result<T, FlatError>,
    ) -> Result<Vec<T>, FlatError> {
        let (start, offsets) = self.vector(id, 4, "a vector of tables")?;
        (0..offsets.len() / 4).map(|i| decode(self.flat.table(start + 4 * i)?)).collect()
    }

    fn numbers<const N: usize, T>(&self, id: usize, decode: fn([u8; N]) -> T) -> Result<Vec<T>, FlatError> {
        let (_, bytes) = self.vector(id, N, "a vector")?;
        self.flat.charge(bytes.len())?;
        Ok(bytes.as_chunks::<N>().0.iter().map(|&b| decode(b)).collect())
    }

    /// Position and bytes of a vector's elements; empty when the field is absent.
    fn vector(&self, id: usize, width: usize, what: &'static str) -> Result<(usize, &'a [u8]), FlatError> {
        let Some(at) = self.field(id, 4)? else { return Ok((0, &[])) };
        let start = self.flat.target(at, what)?;
        let count = self.flat.u32(start, what)?;
        let len = count.checked_mul(width);
        let len = len.ok_or(FlatError::OutOfBounds { what, at: start, len: self.flat.bytes.len() })?;
        Ok((start + 4, self.flat.slice(start + 4, len, what)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root table with one int32 field (id 0) of value 7 and one vector (id 1) of two int32.
    fn sample() -> Vec<u8> {
        let mut b = vec![];
        b.extend(12u32.to_le_bytes()); // root at 12
        b.extend([8, 0, 12, 0, 4, 0, 8, 0]); // vtable at 4: length 8, object 12, fields at 4 and 8
        b.extend(8i32.to_le_bytes()); // table at 12, vtable 8 before
        b.extend(7i32.to_le_bytes());
        b.extend(4u32.to_le_bytes()); // at 20: vector at 24
        b.extend(2u32.to_le_bytes());
        b.extend(5i32.to_le_bytes());
        b.extend((-6i32).to_le_bytes());
        b
    }

    #[test]
    fn reads_fields_and_defaults() {
        let bytes = sample();
        let flat = Flat::new(&bytes);
        let root = flat.root().unwrap();
        assert_eq!(root.i32(0, 1), Ok(7));
        assert_eq!(root.i32s(1), Ok(vec![5, -6]));
        assert_eq!(root.i32(2, 1), Ok(1));
        assert_eq!(root.i64s(2), Ok(vec![]));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sample();
        for len in 0..bytes.len() {
            let flat = Flat::new(&bytes[..len]);
            let read = flat.root().and_then(|t| t.i32s(1));
            assert!(read.is_err(), "truncated to {len} bytes");
        }
    }

    #[test]
    fn repeated_references_run_out_of_budget() {
        let bytes = sample();
        let flat = Flat::new(&bytes);
        let error = (0..100_000).find_map(|_| flat.root().err());
        assert!(matches!(error, Some(FlatError::Budget { .. })));
    }
}
