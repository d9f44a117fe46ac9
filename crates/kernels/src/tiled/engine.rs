//! What an instruction set brings to the tiled convolution.

use super::finish::{Scale, Scaling};
use super::geometry::Geometry;
use super::runs::Run;

/// Layout of the row buffer and the inner loop of one instruction set. *Units* are what it counts offsets into the
/// row buffer in.
pub(crate) trait Engine {
    /// Channels that must be whole: 4, or 1 when weights may start and end at any channel.
    const BLOCK: usize;

    /// Bytes of a unit, a power of two.
    const UNIT: usize;

    /// Units of one row.
    fn row_units(g: &Geometry) -> usize;

    /// Units from the row's start to the data of kernel column `kx`, channel 0, for the first output.
    fn tap(g: &Geometry, kx: usize) -> usize;

    /// Units from one block of channels to the next.
    fn pitch(g: &Geometry) -> usize;

    /// Units from the data of the first output to the end of the last output's, in one block.
    fn reach(g: &Geometry) -> usize;

    /// Brings one row of pixels (NHWC, empty when it is padding) into the layout.
    fn fill(g: &Geometry, pixels: &[i8], zero_point: i8, row: &mut [u32]);

    /// Tiles of four outputs that cover a row.
    fn tiles(g: &Geometry) -> usize;

    /// The output that `lane` of `tile` computes; may lie beyond the row's end.
    fn output(g: &Geometry, tile: usize, lane: usize) -> usize;

    /// `bias` plus the sum over the filter's runs, for the four outputs of `tile`.
    fn sum(row: &mut Self::Row, filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4];

    /// `sum * multiplier / 2^31`, rounded to nearest, ties upwards, for a multiplier that is not negative.
    #[inline(always)]
    fn high_mul(sum: i32, multiplier: i32) -> i32 {
        let product = i64::from(sum).wrapping_mul(i64::from(multiplier));
        (product.wrapping_add(1 << 30) >> 31) as i32
    }

    /// What the inner loop keeps from filter to filter.
    type Row: Default;

    /// Gets ready for a row of outputs.
    fn start(row: &mut Self::Row, g: &Geometry, out: &Out, scaling: &Scaling<'_>) {
        let _ = (row, g, out, scaling);
    }

    /// Applies a filter to a row. `y` starts at the filter's first output.
    fn apply(row: &mut Self::Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &Out, y: &mut [i8]) {
        apply_by_tiles::<Self>(row, filter, scale, out, y);
    }
}

/// Where a filter's outputs of one row go: `count` of them, `step` elements apart.
pub(crate) struct Out {
    pub step: usize,
    #[cfg_attr(not(any(dtmm_isa = "dsp", dtmm_isa = "v7m")), expect(dead_code, reason = "for assembler"))]
    pub count: usize,
}

/// [`Engine::apply`] by [`Engine::sum`].
#[inline(never)]
pub(crate) fn apply_by_tiles<E: Engine + ?Sized>(
    row: &mut E::Row,
    filter: &Filter<'_>,
    scale: &Scale<'_>,
    out: &Out,
    y: &mut [i8],
) {
    for tile in 0..E::tiles(filter.geometry()) {
        let sums = E::sum(row, filter, scale.bias, tile);
        for (lane, sum) in sums.into_iter().enumerate() {
            let at = E::output(filter.geometry(), tile, lane);
            // The slice ends with the row.
            if let Some(y) = y.get_mut(at.wrapping_mul(out.step)) {
                *y = scale.finish(sum, E::high_mul);
            }
        }
    }
}

/// One filter, ready for the inner loop. Made by [`super::runs::Decoder`] alone, which checks that the runs stay inside
/// `rows` for every tile and take no more weights than there are.
#[derive(Clone, Copy)]
pub(crate) struct Filter<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) rows: &'a [u32],
    pub(super) runs: &'a [Run],
    pub(super) weights: &'a [i8],
}

impl<'a> Filter<'a> {
    /// The geometry.
    pub fn geometry(&self) -> &'a Geometry {
        self.geometry
    }

    /// The row buffer.
    pub fn rows(&self) -> &'a [u32] {
        self.rows
    }

    /// The runs; the last one is [`super::runs::END`].
    pub fn runs(&self) -> &'a [Run] {
        self.runs
    }

    /// The weights of all runs, back to back, in whole blocks.
    pub fn weights(&self) -> &'a [i8] {
        self.weights
    }
}
