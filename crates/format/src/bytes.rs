//! Cursors over bytes that return `None` instead of panicking.

use core::ops::Range;

/// The number in `field`, or `None` outside the bytes.
pub(crate) fn get<const N: usize>(bytes: &[u8], field: Range<usize>) -> Option<[u8; N]> {
    bytes.get(field)?.first_chunk().copied()
}

/// Writes `value` to the start of `field`, or returns `None` outside the bytes.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], field: Range<usize>, value: [u8; N]) -> Option<()> {
    *bytes.get_mut(field)?.first_chunk_mut()? = value;
    Some(())
}

/// Reads records front to back.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// `count` numbers of `N` bytes.
    pub fn numbers<const N: usize>(&mut self, count: usize) -> Option<&'a [[u8; N]]> {
        Some(self.take(count.checked_mul(N)?)?.as_chunks().0)
    }

    pub fn i8s(&mut self, len: usize) -> Option<&'a [i8]> {
        as_i8(self.take(len)?)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// Three `u32` (h, w, c).
    pub fn triple(&mut self) -> Option<[u32; 3]> {
        Some(bytemuck::cast::<[u8; 12], [u32; 3]>(self.array()?).map(u32::from_le))
    }
}

/// Writes records front to back; `None` when the buffer is too short.
pub(crate) struct Emitter<'a> {
    rest: &'a mut [u8],
    /// Bytes written so far.
    pub written: usize,
}

impl<'a> Emitter<'a> {
    pub fn new(out: &'a mut [u8]) -> Self {
        Emitter { rest: out, written: 0 }
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let (head, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len())?;
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.rest = rest;
        self.written += bytes.len();
        Some(())
    }

    pub fn i8s(&mut self, values: &[i8]) -> Option<()> {
        self.bytes(as_u8(values)?)
    }

    pub fn numbers<const N: usize>(&mut self, values: &[[u8; N]]) -> Option<()> {
        self.bytes(values.as_flattened())
    }

    pub fn u32s(&mut self, values: &[u32]) -> Option<()> {
        values.iter().try_for_each(|v| self.bytes(&v.to_le_bytes()))
    }

    /// Zeros up to the next multiple of `alignment`, counted from the start.
    pub fn align(&mut self, alignment: usize) -> Option<()> {
        while !self.written.is_multiple_of(alignment) {
            self.bytes(&[0])?;
        }
        Some(())
    }
}

/// The same bytes as signed numbers.
pub(crate) fn as_i8(bytes: &[u8]) -> Option<&[i8]> {
    bytemuck::try_cast_slice(bytes).ok()
}

/// The same bytes as unsigned numbers.
pub(crate) fn as_u8(bytes: &[i8]) -> Option<&[u8]> {
    bytemuck::try_cast_slice(bytes).ok()
}
