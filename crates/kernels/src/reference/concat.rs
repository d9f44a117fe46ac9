//! Concat.

use crate::{KernelError, Shape};

/// Copies one input of a concatenation into `y`. `before` counts the elements along `axis` (0 = h, 1 = w, 2 = c) of
/// the inputs before it. Inputs and output have the same scale and zero point.
///
/// # Errors
/// When lengths and shapes disagree.
pub fn concat_s8(
    input: &Shape,
    output: &Shape,
    axis: usize,
    before: usize,
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    super::check_len(x, input)?;
    super::check_len(y, output)?;
    let inner = |shape: &Shape| shape.dims().iter().skip(axis).product::<usize>();
    let (read, written) = (inner(input), inner(output));
    let start = before.wrapping_mul(output.dims().iter().skip(axis.wrapping_add(1)).product());
    if read == 0 || written == 0 || x.len() / read != y.len() / written {
        return Err(KernelError::Shape);
    }
    let mut outputs = y.chunks_exact_mut(written);
    for from in x.chunks_exact(read) {
        // Not zipped: a zip of chunks divides by the chunk size where the compiler cannot see that it is not 0.
        let to = outputs.next().unwrap_or_default();
        let to = to.get_mut(start..).and_then(|to| to.get_mut(..read)).ok_or(KernelError::Shape)?;
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    Ok(())
}
