//! Borrows a layer's inputs, output and scratch from one arena at the same time, without unsafe code.

use core::ops::Range;

use dtmm_format::{Layer, Package, Place, Scratch, Tensor};
use dtmm_kernels::Operand;

/// The arena during one layer: the output and the scratch to write, everything else to read.
pub(crate) struct Memory<'a> {
    /// The output's elements.
    pub output: &'a mut [i8],
    /// Where the output lies in the arena.
    written: Range<usize>,
    /// Scratch memory of the layer.
    pub scratch: &'a mut [i8],
    /// What is left of the arena, each part with its offset.
    rest: [(usize, &'a [i8]); 3],
}

impl<'a> Memory<'a> {
    /// Cuts the arena up for `layer`; `None` when output and scratch overlap or leave the arena.
    pub fn cut(arena: &'a mut [i8], layer: &Layer<'_>, output: &Tensor<'_>) -> Option<Self> {
        let written = output.arena_range()?;
        let scratch = scratch_range(&layer.scratch)?;
        if scratch.is_empty() {
            let (before, output, after) = take(arena, &written)?;
            let rest = [(0, before), (written.end, after), (0, &[][..])];
            return Some(Memory { output, written, scratch: &mut [], rest });
        }
        let scratch_first = scratch.start < written.start;
        let (low, high) = if scratch_first { (&scratch, &written) } else { (&written, &scratch) };
        let (below, above) = arena.split_at_mut_checked(low.end)?;
        let (first, low_part) = below.split_at_mut_checked(low.start)?;
        let shifted = high.start.checked_sub(low.end)?..high.end.checked_sub(low.end)?;
        let (between, high_part, last) = take(above, &shifted)?;
        let rest = [(0, &*first), (low.end, between), (high.end, last)];
        let (output, scratch) = if scratch_first { (high_part, low_part) } else { (low_part, high_part) };
        Some(Memory { output, written, scratch, rest })
    }

    /// The elements of a tensor that the layer reads; `None` when it overlaps the output or the scratch.
    pub fn read<'m>(&'m self, tensor: &Tensor<'m>) -> Option<&'m [i8]> {
        match tensor.place {
            Place::Constant(data) => Some(data),
            Place::Arena(_) => self.arena_part(&tensor.arena_range()?),
        }
    }

    fn arena_part(&self, range: &Range<usize>) -> Option<&'a [i8]> {
        self.rest.iter().find_map(|(start, part)| {
            let at = range.start.checked_sub(*start)?;
            part.get(at..at.checked_add(range.len())?)
        })
    }

    /// True when the tensor lies exactly where the output lies.
    pub fn is_output(&self, tensor: &Tensor<'_>) -> bool {
        tensor.arena_range().is_some_and(|range| range == self.written)
    }

    /// The tensor as an operand of an operator that may work in place.
    pub fn operand<'m>(&'m self, tensor: &Tensor<'m>) -> Option<Operand<'m>> {
        if self.is_output(tensor) { Some(Operand::Output) } else { self.read(tensor).map(Operand::Slice) }
    }
}

/// Splits off everything before and after `range`.
fn take<'a>(arena: &'a mut [i8], range: &Range<usize>) -> Option<(&'a [i8], &'a mut [i8], &'a [i8])> {
    let (below, after) = arena.split_at_mut_checked(range.end)?;
    let (before, part) = below.split_at_mut_checked(range.start)?;
    Some((before, part, after))
}

fn scratch_range(scratch: &Scratch) -> Option<Range<usize>> {
    let start = scratch.offset as usize;
    Some(start..start.checked_add(scratch.len as usize)?)
}

/// The elements of a tensor, when nothing is written.
pub(crate) fn whole<'a>(arena: &'a [i8], tensor: &Tensor<'_>) -> Option<&'a [i8]> {
    arena.get(tensor.arena_range()?)
}

/// The tensor with index `index` of a checked package.
pub(crate) fn tensor<'a>(package: &Package<'a>, index: Option<u16>) -> Option<Tensor<'a>> {
    package.tensor(index?)
}
