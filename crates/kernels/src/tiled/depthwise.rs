//! Depthwise convolution over the row buffers of the tiled convolution.

use super::engine::Engine;
use super::finish::{Rounding, Scale, Scaling};
use super::geometry::{BLOCK, Geometry};
use super::load;
use crate::{Conv2d, KernelError, Weights};

/// What an instruction set brings to the depthwise convolution: eight sums at a time.
pub(crate) trait Depthwise: Engine {
    /// Channels that are summed together: 2 or 4.
    const CHANNELS: usize;

    /// Tiles that cover a row.
    fn depthwise_tiles(g: &Geometry) -> usize;

    /// The output and the channel, counted from the first one that is summed, of sum `k` of `tile`.
    fn spot(g: &Geometry, tile: usize, k: usize) -> [usize; 2];

    /// The sums of `tile` with the channels' biases. `rows` starts with the channels' plane, `taps` are the units from
    /// there to each kernel position, `weights` the channels' weights at each position.
    fn sums(
        g: &Geometry,
        rows: &[u32],
        taps: &[u32],
        weights: &[[i8; 4]],
        bias: [i32; 4],
        tile: usize,
    ) -> [i32; 8];
}

/// Words of scratch memory: weights and place of each position, the rows and what is in them.
fn sizes<E: Engine>(g: &Geometry) -> [usize; 4] {
    [g.positions(), g.positions(), g.window.kernel[0], E::row_units(g).saturating_mul(E::UNIT) / 4]
}

/// Bytes of scratch memory, a multiple of 4.
pub(crate) fn scratch_len<E: Engine>(g: &Geometry) -> usize {
    let [weights, taps, rows, row] = sizes::<E>(g);
    let words = rows.saturating_mul(row.saturating_add(1)).saturating_add(weights).saturating_add(taps);
    words.saturating_mul(4)
}

/// Depthwise convolution of `x` (NHWC) with dense filters 1HWO, as many as there are channels, into `y` (NHWC).
///
/// # Errors
/// [`KernelError::Scratch`] when the scratch memory is too short or not aligned to 4, or the problem is not one for this
/// kernel; then nothing has been written to `y`. Else when lengths and shapes disagree.
pub(crate) fn depthwise<E: Depthwise>(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    if x.len() != p.input.elements() || y.len() != p.output.elements() || y.is_empty() || x.is_empty() {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(p.output.c)?;
    let g = &Geometry::of(p);
    let Weights::Dense(weights) = p.linear.weights else { return Err(KernelError::ParameterLength) };
    if g.positions().checked_mul(p.output.c) != Some(weights.len()) || weights.is_empty() {
        return Err(KernelError::ParameterLength);
    }
    let len = scratch_len::<E>(g);
    let words = scratch.get_mut(..len).and_then(|s| bytemuck::try_cast_slice_mut(s).ok());
    match words {
        Some(words) if p.input.c == p.output.c && E::takes(weights) => {
            rows::<E>(p, g, weights, words, x, y).ok_or(KernelError::ParameterLength)
        }
        _ => Err(KernelError::Scratch),
    }
}

fn rows<E: Depthwise>(
    p: &Conv2d<'_>,
    g: &Geometry,
    weights: &[i8],
    words: &mut [u32],
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let [weight_words, taps, tags, _] = sizes::<E>(g);
    let (gathered, words) = words.split_at_mut_checked(weight_words)?;
    let (taps, words) = words.split_at_mut_checked(taps)?;
    let (tags, rows) = words.split_at_mut_checked(tags)?;
    let gathered = bytemuck::cast_slice_mut::<u32, [i8; 4]>(gathered);
    tags.fill(super::NO_ROW);
    let c = g.input.c;
    let plane = (E::pitch(g).wrapping_mul(E::CHANNELS) / BLOCK).wrapping_mul(E::UNIT) / 4;
    let scaling = Scaling::new(&p.linear, Rounding::Twice);
    for (oy, y) in y.chunks_mut(g.width.wrapping_mul(c).max(1)).enumerate() {
        let top = oy.wrapping_mul(g.window.stride[0]).wrapping_sub(g.window.padding[0]) as isize;
        load::<E>(g, p.linear.input_zero_point, top, x, (&mut *taps, &mut *tags, &mut *rows))?;
        let mut planes = &*rows;
        for first in (0..c).step_by(E::CHANNELS) {
            gather(weights, [first, c], gathered)?;
            channels::<E>(g, &scaling, first, (planes, taps, gathered), y);
            planes = planes.get(plane..)?;
        }
    }
    Some(())
}

/// The weights of four channels from `first` on, or as many as there are, at each position.
fn gather(weights: &[i8], [first, c]: [usize; 2], to: &mut [[i8; 4]]) -> Option<()> {
    let mut rest = weights.get(first..)?;
    let wanted = BLOCK.min(c.wrapping_sub(first));
    for to in to {
        match rest.first_chunk() {
            Some(word) => *to = *word,
            None => to.iter_mut().zip(rest.get(..wanted)?).for_each(|(to, from)| *to = *from),
        }
        rest = rest.get(c..).unwrap_or_default();
    }
    Some(())
}

/// All outputs of a row of the channels that are summed together.
fn channels<E: Depthwise>(
    g: &Geometry,
    scaling: &Scaling<'_>,
    first: usize,
    (rows, taps, weights): (&[u32], &[u32], &[[i8; 4]]),
    y: &mut [i8],
) {
    let c = g.input.c;
    let scales: [Scale<'_>; BLOCK] = core::array::from_fn(|i| scaling.filter(first.wrapping_add(i)));
    let bias = [scales[0].bias, scales[1].bias, scales[2].bias, scales[3].bias];
    for tile in 0..E::depthwise_tiles(g) {
        let sums = E::sums(g, rows, taps, weights, bias, tile);
        for (k, sum) in sums.into_iter().enumerate() {
            let [output, channel] = E::spot(g, tile, k);
            let at = first.wrapping_add(channel);
            if at < c
                && let Some(y) = y.get_mut(output.wrapping_mul(c).wrapping_add(at))
                && let Some(scale) = scales.get(channel)
            {
                *y = scale.finish(sum, E::high_mul);
            }
        }
    }
}
