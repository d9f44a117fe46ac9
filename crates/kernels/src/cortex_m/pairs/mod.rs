//! Armv6-M and Armv7-M: one 32-bit multiplication serves two outputs.
//!
//! The row buffer holds words `low + (high << 16)` of two pixels' values of one channel. A product with a weight has both
//! products in its halves, and so has the sum of two of them: from -2 · 127 · 128 to 2 · 128 · 128, one more than a signed
//! half holds. `BIAS` makes the low half an unsigned one and takes 1 from the high half, so that both fit. Every two channels
//! the low half is split off and the high half added to its own sum. The two pixels are half a row of outputs apart, so
//! that they move together under every kernel column. Where a row has a single output, each word holds one value.

#[cfg(not(any(dtmm_isa = "v6m", dtmm_isa = "v7m")))]
#[path = "plain.rs"]
mod arithmetic;
#[cfg(dtmm_isa = "v6m")]
#[path = "v6m.rs"]
mod arithmetic;
#[cfg(dtmm_isa = "v7m")]
#[path = "v7m.rs"]
mod arithmetic;

#[cfg(not(any(dtmm_isa = "v6m", dtmm_isa = "v7m")))]
use arithmetic::single;

use super::cells::{self, Layout, Source};
use crate::tiled::{self, BLOCK, Engine, Filter, Geometry, Out, Scale, Scaling};
use crate::{Conv2d, KernelError};

/// The instruction set.
pub(crate) struct Pairs;

/// Bytes of a cell: the words of two channels.
const CELL: usize = 8;
/// What a sum of two products is raised by in its low half, so that it does not borrow from the high one.
const LOW_BIAS: i32 = (1 << 15) - 1;
/// The same, with -1 for the high half. The assembler has it as the complement of 2^15.
const BIAS: i32 = LOW_BIAS - (1 << 16);

impl Pairs {
    /// Outputs in the low halves; the high halves hold as many, not all of them in the row.
    const fn half(g: &Geometry) -> usize {
        if g.single { 1 } else { g.width.div_ceil(2).next_multiple_of(2) }
    }

    /// Cells of one phase.
    const fn cells(g: &Geometry) -> usize {
        Self::half(g).saturating_add(g.overhang)
    }

    /// Bytes from one pair of channels to the next.
    const fn plane(g: &Geometry) -> usize {
        Self::cells(g).wrapping_mul(g.phases).wrapping_mul(CELL)
    }
}

impl Engine for Pairs {
    const BLOCK: usize = BLOCK;
    const UNIT: usize = 1;

    fn row_units(g: &Geometry) -> usize {
        let pitch = Self::cells(g).saturating_mul(g.phases).saturating_mul(2 * CELL);
        pitch.saturating_mul(g.blocks)
    }

    fn tap(g: &Geometry, kx: usize) -> usize {
        let (phase, column) = g.tap(kx);
        phase.wrapping_mul(Self::cells(g)).wrapping_add(column).wrapping_mul(CELL)
    }

    fn pitch(g: &Geometry) -> usize {
        Self::plane(g).wrapping_mul(2)
    }

    fn reach(g: &Geometry) -> usize {
        Self::half(g).wrapping_mul(CELL).wrapping_add(Self::plane(g))
    }

    fn fill(g: &Geometry, pixels: &[i8], zero_point: i8, row: &mut [u32]) {
        if g.single {
            return row.iter_mut().zip(pixels).for_each(|(to, from)| *to = word(*from, 0));
        }
        let blank = [word(zero_point, zero_point); 2];
        let layout = Layout { cells: Self::cells(g), channels: 2, apart: Self::half(g), blank };
        cells::fill(g, &layout, pixels, row, pair, |pixels| {
            [0, 1].map(|c| {
                let [low, high] = pixels.map(|p| p.map_or(zero_point, |p| p.get(c).copied().unwrap_or(0)));
                word(low, high)
            })
        });
    }

    fn tiles(g: &Geometry) -> usize {
        Self::half(g) / 2
    }

    fn output(g: &Geometry, tile: usize, lane: usize) -> usize {
        let high = if lane < 2 { 0 } else { Self::half(g) };
        tile.wrapping_mul(2).wrapping_add(lane & 1).wrapping_add(high)
    }

    fn sum(row: &mut Self::Row, filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4] {
        arithmetic::sum(row, filter, bias, tile.wrapping_mul(2 * CELL), Self::plane(filter.geometry()))
    }

    fn single(filter: &Filter<'_>, bias: i32) -> i32 {
        single(filter, bias)
    }

    type Row = arithmetic::Row;

    fn start(g: &Geometry, out: &Out<'_>, scaling: &Scaling<'_>) -> Self::Row {
        arithmetic::start([Self::plane(g), Self::half(g)], out, scaling)
    }

    fn apply(row: &mut Self::Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &mut Out<'_>) {
        arithmetic::apply(row, filter, scale, out);
    }

    #[cfg(dtmm_isa = "v6m")]
    #[inline(always)]
    fn high_mul(sum: i32, multiplier: i32) -> i32 {
        high_mul(sum, multiplier)
    }
}

/// The values of two pixels in one word.
#[inline(always)]
fn word(low: i8, high: i8) -> u32 {
    i32::from(low).wrapping_add(i32::from(high) << 16).cast_unsigned()
}

/// Brings two channels of neighbouring pixels into their cells.
#[allow(unsafe_code)]
fn pair(cells: &mut [[u32; 2]], source: &Source<'_>) {
    if source.end(cells.len(), 2) > source.values.len() {
        return;
    }
    let mut low = source.values.as_ptr();
    for cell in cells {
        // SAFETY: the last cell's values, of both pixels, lie inside the slice.
        let [a, b, c, d] = unsafe {
            let high = low.add(source.apart);
            [*low, *low.add(1), *high, *high.add(1)]
        };
        *cell = [word(a, c), word(b, d)];
        low = low.wrapping_add(source.step);
    }
}

/// `sum * multiplier / 2^31`, rounded to nearest, ties upwards, from products of 16 bits; `multiplier` is not negative.
#[cfg(any(dtmm_isa = "v6m", test))]
#[inline(always)]
pub(super) fn high_mul(sum: i32, multiplier: i32) -> i32 {
    let (sum_high, sum_low) = (sum >> 16, sum & 0xFFFF);
    let (m_high, m_low) = (multiplier >> 16, multiplier & 0xFFFF);
    let low = sum_low.wrapping_mul(m_low).cast_unsigned();
    // sum_high * m_low + low / 2^16 fits: at most 2^15 * 2^16 in magnitude less a little.
    let first = sum_high.wrapping_mul(m_low).wrapping_add((low >> 16).cast_signed());
    let second = sum_low.wrapping_mul(m_high);
    // The sum of both, shifted right by 16, from halves, as the sum itself may not fit; the bits that are lost matter.
    let middle_low = (first & 0xFFFF).wrapping_add(second & 0xFFFF);
    let high = sum_high.wrapping_mul(m_high).wrapping_add(first >> 16).wrapping_add(second >> 16);
    let high = high.wrapping_add(middle_low >> 16);
    // The product is high * 2^32 + (middle_low mod 2^16) * 2^16 + low mod 2^16; 2^30 is added and 31 bits go.
    let top = middle_low & 0xFFFF;
    high.wrapping_shl(1).wrapping_add(top.wrapping_add(1 << 14) >> 15)
}

/// The sum of a row's single output.
#[cfg(any(dtmm_isa = "v6m", dtmm_isa = "v7m"))]
#[allow(unsafe_code)]
#[inline(always)]
fn single(filter: &Filter<'_>, bias: i32) -> i32 {
    let (runs, weights, cells) = (filter.runs().as_ptr(), filter.weights().as_ptr(), filter.rows().as_ptr());
    // SAFETY: a `Filter` has runs that end with `END`, whose words lie inside the row buffer (one behind the other where
    // rows have a single output), and as many weights as the runs take.
    unsafe { arithmetic::add_single(runs, weights, cells.cast(), bias) }
}

/// What the low and the high sums start with: the bias without what `BIAS` adds to them, twice in each block.
fn starts(filter: &Filter<'_>, bias: i32) -> [i32; 2] {
    let added = (filter.weights().len() / BLOCK * 2) as i32;
    [bias.wrapping_sub(added.wrapping_mul(LOW_BIAS)), bias.wrapping_add(added)]
}

/// As [`crate::reference::conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the scratch memory is too small or not aligned to 4.
pub fn conv2d_s8(p: &Conv2d<'_>, scratch: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    tiled::convolve::<Pairs>(p, false, scratch, x, y)
}

/// As [`crate::reference::depthwise_conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the weights are not dense, there are more filters than channels, or the scratch
/// memory is too small or not aligned to 4.
pub fn depthwise_conv2d_s8(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    super::depthwise::depthwise::<Pairs>(p, scratch, x, y)
}

/// As [`crate::reference::fully_connected_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the scratch memory is too small or not aligned to 4.
pub fn fully_connected_s8(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    tiled::convolve::<Pairs>(p, true, scratch, x, y)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::high_mul;
    use crate::requantize::saturating_rounding_doubling_high_mul;

    proptest! {
        #[test]
        fn high_multiplication_from_halves_is_exact(sum in any::<i32>(), multiplier in 0..=i32::MAX) {
            prop_assert_eq!(high_mul(sum, multiplier), saturating_rounding_doubling_high_mul(sum, multiplier));
        }
    }
}
