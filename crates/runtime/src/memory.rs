//! Borrows a layer's inputs, output and scratch from one arena at the same time, without unsafe code.

use core::ops::Range;

use dtmm_format::{Layer, Package, Place, Tensor};
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
    /// Cuts the arena up for `layer`.
    ///
    /// # Errors
    /// When input, output and scratch overlap or leave the arena, but for an output in its input's place.
    #[inline(never)]
    pub fn cut(
        arena: &'a mut [i8],
        layer: &Layer<'_>,
        x: &Tensor<'a>,
        y: &Tensor<'_>,
    ) -> Result<Self, KernelError> {
        let written = y.arena_range().ok_or(KernelError::ActivationLength)?;
        let start = layer.scratch.offset as usize;
        let scratch =
            if layer.scratch.len == 0 { 0..0 } else { start..start.wrapping_add(layer.scratch.len as usize) };
        let read = x.arena_range().filter(|read| *read != written).unwrap_or(0..0);
        let parts = arena.get_disjoint_mut([read, written, scratch]);
        let [read, y, scratch] = parts.map_err(|_| KernelError::ActivationLength)?;
        let x = if let Place::Constant(data) = x.place { data } else { read };
        Ok(Single { x, y, scratch })
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
