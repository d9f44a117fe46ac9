//! Operators that only move elements: Transpose, Slice, Pad, ResizeNearest.

use super::check_len;
use crate::{KernelError, Shape};

/// Output axis `i` is input axis `perm[i]` (0 = h, 1 = w, 2 = c).
///
/// # Errors
/// When lengths and shapes disagree.
pub fn transpose_s8(
    input: &Shape,
    output: &Shape,
    perm: [u8; 3],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let steps = [input.w.wrapping_mul(input.c), input.c, 1];
    let step = |axis: u8| steps.get(usize::from(axis)).copied();
    let [Some(sh), Some(sw), Some(sc)] = perm.map(step) else { return Err(KernelError::Shape) };
    gather(input, output, x, y, |[h, w, c]| {
        h.checked_mul(sh)?.checked_add(w.checked_mul(sw)?)?.checked_add(c.checked_mul(sc)?)
    })
}

/// Elements `begin + i * stride` on each of h, w, c.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn slice_s8(
    input: &Shape,
    output: &Shape,
    begin: [u32; 3],
    stride: [u32; 3],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let [bh, bw, bc] = begin.map(|b| b as usize);
    let [sh, sw, sc] = stride.map(|s| s as usize);
    let along = |begin: usize, stride: usize, i: usize| i.checked_mul(stride)?.checked_add(begin);
    gather(input, output, x, y, |[h, w, c]| {
        let (h, w, c) = (along(bh, sh, h)?, along(bw, sw, w)?, along(bc, sc, c)?);
        offset(input, [h, w, c])
    })
}

/// A border of `value`, `before` elements on h, w, c; behind, the output's size says how many.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn pad_s8(
    input: &Shape,
    output: &Shape,
    before: [u32; 3],
    value: i8,
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    check_len(x, input)?;
    check_len(y, output)?;
    let [bh, bw, bc] = before.map(|b| b as usize);
    for (at, out) in y.iter_mut().enumerate() {
        let [h, w, c] = output.position(at);
        let inside = || offset(input, [h.checked_sub(bh)?, w.checked_sub(bw)?, c.checked_sub(bc)?]);
        *out = inside().and_then(|from| x.get(from)).copied().unwrap_or(value);
    }
    Ok(())
}

/// Nearest-neighbour resize: source row (u16, little-endian) of each output row, source column of each column.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn resize_nearest_s8(
    input: &Shape,
    output: &Shape,
    rows: &[[u8; 2]],
    columns: &[[u8; 2]],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let source = |table: &[[u8; 2]], at: usize| table.get(at).map(|i| usize::from(u16::from_le_bytes(*i)));
    gather(input, output, x, y, |[h, w, c]| offset(input, [source(rows, h)?, source(columns, w)?, c]))
}

/// Fills each output element from the offset that `source` gives for its position.
fn gather(
    input: &Shape,
    output: &Shape,
    x: &[i8],
    y: &mut [i8],
    source: impl Fn([usize; 3]) -> Option<usize>,
) -> Result<(), KernelError> {
    check_len(x, input)?;
    check_len(y, output)?;
    for (at, out) in y.iter_mut().enumerate() {
        let from = source(output.position(at));
        *out = *from.and_then(|from| x.get(from)).ok_or(KernelError::Shape)?;
    }
    Ok(())
}

/// Offset of an element; `None` outside the shape.
fn offset(shape: &Shape, [h, w, c]: [usize; 3]) -> Option<usize> {
    let inside = h < shape.h && w < shape.w && c < shape.c;
    inside.then(|| h.wrapping_mul(shape.w).wrapping_add(w).wrapping_mul(shape.c).wrapping_add(c))
}
