//! Borrows a layer's inputs, output and scratch from one arena at the same time, without unsafe code.

use core::ops::Range;

use dtmm_format::{Package, Place, Scratch, Tensor};
use dtmm_kernels::{KernelError, Operand};

/// What a layer with one input works on.
pub(crate) struct Single<'a> {
    /// The input's elements; empty when the output lies in the same place.
    pub x: &'a [i8],
    /// The output's elements.
    pub y: &'a mut [i8],
    /// Scratch memory of the layer.
    pub scratch: &'a mut [i8],
}

impl<'a> Single<'a> {
    /// Borrows them from the arena; `None` when they overlap, but for an output in its input's place, or leave it.
    #[inline(never)]
    pub fn cut(arena: &'a mut [i8], scratch: &Scratch, x: &Tensor<'a>, y: &Tensor<'_>) -> Option<Self> {
        let written = y.arena_range()?;
        // An empty range at 0 overlaps nothing.
        let read =
            x.arena_range().filter(|x| x.start != written.start || x.end != written.end).unwrap_or(0..0);
        let start = if scratch.len == 0 { 0 } else { scratch.offset as usize };
        let scratch = start..start.wrapping_add(scratch.len as usize);
        let [read, y, scratch] = arena.get_disjoint_mut([read, written, scratch]).ok()?;
        let x = if let Place::Constant(data) = x.place { data } else { read };
        Some(Single { x, y, scratch })
    }

    /// The input as an operand of an operator that may work in place.
    pub const fn operand(&self) -> Operand<'a> {
        if self.x.is_empty() { Operand::Output } else { Operand::Slice(self.x) }
    }
}

/// The arena while `written` is borrowed: everything else.
pub(crate) struct Memory<'a> {
    written: Range<usize>,
    before: &'a [i8],
    after: &'a [i8],
}

impl<'a> Memory<'a> {
    /// Splits off the elements of `output`, which it gives as well; `None` when they leave the arena.
    pub fn cut(arena: &'a mut [i8], output: &Tensor<'_>) -> Option<(Self, &'a mut [i8])> {
        let written = output.arena_range()?;
        let (below, after) = arena.split_at_mut_checked(written.end)?;
        let (before, output) = below.split_at_mut_checked(written.start)?;
        Some((Memory { written, before, after }, output))
    }

    /// The elements of a tensor that the layer reads; `None` when it overlaps the output.
    pub fn read<'m>(&'m self, tensor: &Tensor<'m>) -> Option<&'m [i8]> {
        if let Place::Constant(data) = tensor.place {
            return Some(data);
        }
        let Range { start, end } = tensor.arena_range()?;
        match start.checked_sub(self.written.end) {
            Some(start) => self.after.get(start..end.checked_sub(self.written.end)?),
            None => self.before.get(start..end),
        }
    }

    /// The tensor as an operand of an operator that may work in place.
    pub fn operand<'m>(&'m self, tensor: &Tensor<'m>) -> Result<Operand<'m>, KernelError> {
        if tensor.arena_range().is_some_and(|range| range == self.written) {
            return Ok(Operand::Output);
        }
        self.read(tensor).map(Operand::Slice).ok_or(KernelError::ActivationLength)
    }
}

/// The arena bytes of the tensor with this index of a checked package; none when there is no such tensor.
#[inline(never)]
pub(crate) fn place(package: &Package<'_>, index: Option<u16>) -> Range<usize> {
    index.and_then(|i| package.tensor(i)).and_then(|t| t.arena_range()).unwrap_or(0..0)
}
