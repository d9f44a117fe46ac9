//! Fully connected layers, row by row.

use super::finish::{Rounding, Scaling};
use super::geometry::BLOCK;
use super::runs::Decoder;
use crate::{FullyConnected, KernelError};

/// What an instruction set brings to dot products.
pub(crate) trait Dot {
    /// Words that a block of four channels takes when prepared.
    const WORDS: usize;

    /// Brings the whole blocks of the channels into the form that [`Dot::dot`] reads.
    fn prepare(channels: &[i8], words: &mut [u32]) {
        let blocks = channels.as_chunks().0;
        for (to, block) in words.chunks_exact_mut(Self::WORDS.max(1)).zip(blocks) {
            Self::prepare_block(*block, to);
        }
    }

    /// The same with one block.
    fn prepare_block(block: [i8; 4], words: &mut [u32]);

    /// `sum` plus the products of the stored groups.
    fn dot(groups: &Groups<'_>, sum: i32) -> i32;
}

/// Groups of prepared channels of which some have weights. Made in this file alone: at least one group is stored and has
/// at least one block; there are [`Dot::WORDS`] words for each block of every group up to the last stored one, and
/// weights for each block of every stored group.
pub(crate) struct Groups<'a> {
    words: &'a [u32],
    bits: u32,
    blocks: usize,
    weights: &'a [[i8; BLOCK]],
}

/// For assembler.
#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m", dtmm_isa = "v6m"))]
impl<'a> Groups<'a> {
    /// The prepared channels.
    pub fn words(&self) -> &'a [u32] {
        self.words
    }

    /// Which groups are stored, the first in the lowest bit.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Blocks of a group.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The weights of the stored groups.
    pub fn weights(&self) -> &'a [[i8; BLOCK]] {
        self.weights
    }
}

impl Groups<'_> {
    /// Calls `add` with the words and weights of each stored group, `N` words for each block.
    #[inline(always)]
    pub fn fold<const N: usize>(
        &self,
        sum: i32,
        mut add: impl FnMut(i32, &[[u32; N]], &[[i8; BLOCK]]) -> i32,
    ) -> i32 {
        let blocks = self.blocks.max(1);
        let mut weights = self.weights.chunks_exact(blocks);
        let groups = self.words.as_chunks().0.chunks_exact(blocks).enumerate();
        let stored = groups.filter(|(i, _)| self.bits >> (i & 31) & 1 == 1);
        stored.fold(sum, |sum, (_, words)| add(sum, words, weights.next().unwrap_or_default()))
    }
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
    let decoder = &Decoder::new(&p.linear.weights, [filters, 1, channels]);
    let decoder = decoder.as_ref().map_err(|error| *error)?;
    let words =
        scratch.get_mut(..scratch_len::<E>(channels)).and_then(|s| bytemuck::try_cast_slice_mut(s).ok());
    let words: &mut [u32] = words.ok_or(KernelError::Scratch)?;
    let (mut x, mut y) = (x, y);
    while let (Some((now, behind)), Some((out, rest))) =
        (x.split_at_checked(channels), y.split_at_mut_checked(filters))
        && !now.is_empty()
    {
        each_row::<E>(p, decoder, words, now, out).ok_or(KernelError::ParameterLength)?;
        (x, y) = (behind, rest);
    }
    Ok(())
}

/// One row.
#[inline(never)]
fn each_row<E: Dot>(
    p: &FullyConnected<'_>,
    decoder: &Decoder<'_>,
    words: &mut [u32],
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let (blocks, tail) = x.as_chunks::<BLOCK>();
    E::prepare(x, words);
    let runs = &mut Runs::new(decoder, x.len());
    let dense = runs.decoder.index.is_dense();
    let scaling = Scaling::new(&p.linear, Rounding::Once);
    for (o, y) in y.iter_mut().enumerate() {
        let scale = scaling.filter(o);
        let sum = if dense && tail.is_empty() {
            let (weights, _) = runs.decoder.take(x.len())?.as_chunks();
            E::dot(&Groups { words, bits: 1, blocks: blocks.len(), weights }, scale.bias)
        } else {
            runs.filter::<E>(words, x, scale.bias)?
        };
        *y = scale.finish_once(sum);
    }
    Some(())
}

/// What has not been read yet of a layer's weights.
struct Runs<'a> {
    decoder: Decoder<'a>,
    /// True when runs begin with a block.
    aligned: bool,
    /// Runs of a filter that are whole groups of whole blocks, and their channels.
    whole: [usize; 2],
}

impl<'a> Runs<'a> {
    #[inline(always)]
    fn new(decoder: &Decoder<'a>, channels: usize) -> Self {
        let group = decoder.group;
        let aligned = group >= channels || group.is_multiple_of(BLOCK);
        let several = aligned && group < channels;
        let whole = if several { channels.checked_div(group).unwrap_or(0) } else { 0 };
        Runs { decoder: decoder.clone(), aligned, whole: [whole, whole.wrapping_mul(group)] }
    }

    /// `sum` plus the products of a row with the next filter; `None` when the index or the weights end too soon.
    #[inline(never)]
    fn filter<E: Dot>(&mut self, mut words: &[u32], x: &[i8], mut sum: i32) -> Option<i32> {
        let [mut left, channels] = self.whole;
        let blocks = self.decoder.group / BLOCK;
        while left > 0 {
            let (bits, n) = self.decoder.index.take(left)?;
            let (now, behind) = words.split_at_checked(blocks.wrapping_mul(E::WORDS).wrapping_mul(n))?;
            if bits != 0 {
                let stored = (bits.count_ones() as usize).wrapping_mul(self.decoder.group);
                let weights = self.decoder.take(stored)?.as_chunks().0;
                sum = E::dot(&Groups { words: now, bits, blocks, weights }, sum);
            }
            words = behind;
            left = left.wrapping_sub(n);
        }
        let mut x = x.get(channels..)?;
        while !x.is_empty() {
            let (now, behind) = x.split_at_checked(self.decoder.group.min(x.len()))?;
            if self.decoder.index.stored()? {
                let weights = self.decoder.take(now.len())?;
                sum = self.one_run::<E>(words, now, weights, sum);
            }
            x = behind;
        }
        Some(sum)
    }

    /// `sum` plus the products of a run that is not one of several; `words` are those of `x` when runs begin with a block.
    fn one_run<E: Dot>(&self, words: &[u32], x: &[i8], weights: &[i8], sum: i32) -> i32 {
        if !self.aligned {
            return one_by_one(x, weights, sum);
        }
        let (weights, rest) = weights.as_chunks();
        let sum = match words.get(..weights.len().wrapping_mul(E::WORDS)) {
            Some(words) if !weights.is_empty() => {
                E::dot(&Groups { words, bits: 1, blocks: weights.len(), weights }, sum)
            }
            _ => sum,
        };
        one_by_one(x.as_chunks::<BLOCK>().1, rest, sum)
    }
}

/// `sum` plus the products of `x` and `w`.
#[inline(never)]
fn one_by_one(x: &[i8], w: &[i8], sum: i32) -> i32 {
    let products = x.iter().zip(w).map(|(x, w)| i32::from(*x).wrapping_mul(i32::from(*w)));
    products.fold(sum, i32::wrapping_add)
}
