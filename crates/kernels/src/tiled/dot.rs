//! Fully connected layers, row by row.

use super::finish::{Rounding, Scaling};
use super::geometry::{BLOCK, Geometry};
use super::runs::Decoder;
use crate::{FullyConnected, KernelError, Shape, Weights, Window};

/// What an instruction set brings to dot products.
pub(crate) trait Dot {
    /// Words that a block of four channels takes when prepared.
    const WORDS: usize;

    /// Brings a block of channels into the form that [`Dot::dot`] reads.
    fn prepare(block: [i8; 4], words: &mut [u32]);

    /// `sum` plus the products of whole blocks: [`Dot::WORDS`] words for each four weights.
    fn dot(words: &[u32], weights: &[[i8; 4]], sum: i32) -> i32;
}

/// Bytes of scratch memory of [`fully_connected`], a multiple of 4.
pub(crate) const fn scratch_len<E: Dot>(input_channels: usize) -> usize {
    input_channels.div_ceil(BLOCK).saturating_mul(E::WORDS).saturating_mul(4)
}

/// Weights OI in any storage form times every row of `x`; `y` is rows × O.
///
/// # Errors
/// [`KernelError::Scratch`] when the scratch memory is too short or not aligned to 4; then nothing has been written to
/// `y`. Else when lengths and shapes disagree.
#[inline(never)]
pub(crate) fn fully_connected<E: Dot>(
    p: &FullyConnected<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    let (channels, filters) = (p.input_channels, p.linear.bias.len());
    let lengths = [p.rows.checked_mul(channels), p.rows.checked_mul(filters)];
    if lengths != [Some(x.len()), Some(y.len())] || y.is_empty() || x.is_empty() {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(filters)?;
    let row = Shape { h: 1, w: 1, c: channels };
    let g = Geometry::new(&row, &Shape { c: filters, ..row }, &Window::POINT);
    let decoder = Decoder::new(&p.linear.weights, &g, filters)?;
    let group = match p.linear.weights {
        Weights::Dense(_) => channels,
        Weights::Bitmap { group, .. } | Weights::Gaps { group, .. } => group,
    };
    let words =
        scratch.get_mut(..scratch_len::<E>(channels)).and_then(|s| bytemuck::try_cast_slice_mut(s).ok());
    let words: &mut [u32] = words.ok_or(KernelError::Scratch)?;
    let whole = group >= channels || group.is_multiple_of(BLOCK);
    let mut outputs = y.chunks_exact_mut(filters.max(1));
    for x in x.chunks_exact(channels.max(1)) {
        let y = outputs.next().ok_or(KernelError::ActivationLength)?;
        each_row::<E>(p, decoder.clone(), (words, whole), x, y).ok_or(KernelError::ParameterLength)?;
    }
    Ok(())
}

/// One row. Runs are `whole` when only a row's last one is no whole number of blocks.
fn each_row<E: Dot>(
    p: &FullyConnected<'_>,
    mut decoder: Decoder<'_>,
    (words, whole): (&mut [u32], bool),
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let channels = p.input_channels;
    let (blocks, tail) = x.as_chunks::<BLOCK>();
    for (to, block) in words.chunks_exact_mut(E::WORDS.max(1)).zip(blocks) {
        E::prepare(*block, to);
    }
    let scaling = Scaling::new(&p.linear, Rounding::Once);
    let add = |first: usize, weights: &[i8], sum: i32| {
        if !whole {
            return one_by_one(x.get(first..).unwrap_or_default(), weights, sum);
        }
        let (whole, rest) = weights.as_chunks::<BLOCK>();
        let sum = E::dot(words.get((first / BLOCK).wrapping_mul(E::WORDS)..).unwrap_or_default(), whole, sum);
        one_by_one(tail, rest, sum)
    };
    if let Weights::Dense(weights) = p.linear.weights {
        let mut filters = weights.chunks_exact(channels.max(1));
        for (o, y) in y.iter_mut().enumerate() {
            let scale = scaling.filter(o);
            let sum = add(0, filters.next().unwrap_or_default(), scale.bias);
            *y = scale.finish_once(sum);
        }
        return Some(());
    }
    for (o, y) in y.iter_mut().enumerate() {
        let scale = scaling.filter(o);
        let mut sum = scale.bias;
        decoder.each_run(channels, |first, weights| sum = add(first, weights, sum))?;
        *y = scale.finish_once(sum);
    }
    Some(())
}

/// `sum` plus the products of `x` and `w`.
#[inline(never)]
fn one_by_one(x: &[i8], w: &[i8], sum: i32) -> i32 {
    let products = x.iter().zip(w).map(|(x, w)| i32::from(*x).wrapping_mul(i32::from(*w)));
    products.fold(sum, i32::wrapping_add)
}
