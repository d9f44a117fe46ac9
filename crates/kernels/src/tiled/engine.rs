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

    /// Brings one row of pixels (NHWC, empty when it is padding) into the layout. What is padding in every row may stay as it
    /// is: all rows are filled with padding first.
    fn fill(g: &Geometry, pixels: &[i8], zero_point: i8, row: &mut [u32]);

    /// Tiles of four outputs that cover a row.
    fn tiles(g: &Geometry) -> usize;

    /// The output that `lane` of `tile` computes; may lie beyond the row's end.
    fn output(g: &Geometry, tile: usize, lane: usize) -> usize;

    /// `bias` plus the sum over the filter's runs, for the four outputs of `tile`.
    fn sum(row: &mut Self::Row, filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4];

    /// `bias` plus the sum over the filter's runs, when a row has a single output.
    fn single(filter: &Filter<'_>, bias: i32) -> i32;

    /// `sum * multiplier / 2^31`, rounded to nearest, ties upwards, for a multiplier that is not negative.
    #[inline(always)]
    fn high_mul(sum: i32, multiplier: i32) -> i32 {
        let product = i64::from(sum).wrapping_mul(i64::from(multiplier));
        (product.wrapping_add(1 << 30) >> 31) as i32
    }

    /// What the inner loop keeps from filter to filter.
    type Row;

    /// Gets ready for a row of outputs.
    fn start(g: &Geometry, out: &Out<'_>, scaling: &Scaling<'_>) -> Self::Row;

    /// Applies a filter to a row.
    fn apply(row: &mut Self::Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &mut Out<'_>) {
        apply_by_tiles::<Self>(row, filter, scale, out);
    }
}

/// A row of outputs.
pub(crate) struct Out<'y> {
    y: &'y mut [i8],
    /// Filters: the elements from one output of a filter to the next.
    step: usize,
    /// Outputs of a filter, not more than the geometry's and than `y` has.
    count: usize,
}

impl<'y> Out<'y> {
    /// `None` without filters.
    pub fn new(y: &'y mut [i8], filters: usize, g: &Geometry) -> Option<Self> {
        let count = y.len().checked_div(filters)?.min(g.width);
        Some(Out { y, step: filters, count })
    }

    /// Scales and clamps output `at` of a filter, if there is one. Where there is assembler, that runs for nearly all outputs.
    #[cfg_attr(any(dtmm_isa = "dsp", dtmm_isa = "v7m"), inline(never))]
    #[cfg_attr(not(any(dtmm_isa = "dsp", dtmm_isa = "v7m")), inline(always))]
    fn finish(&mut self, at: usize, scale: &Scale<'_>, sum: i32, high_mul: impl Fn(i32, i32) -> i32) {
        if at < self.count
            && let Some(y) = self.y.get_mut(at.wrapping_mul(self.step).wrapping_add(scale.o))
        {
            *y = scale.finish(sum, high_mul);
        }
    }

    /// Scales and clamps the output of a filter where a row has a single one.
    #[inline(always)]
    pub fn finish_once(&mut self, scale: &Scale<'_>, sum: i32) {
        if let Some(y) = self.y.get_mut(scale.o) {
            *y = scale.finish_once(sum);
        }
    }

    /// Filters.
    pub fn filters(&self) -> usize {
        self.step
    }
}

/// For assembler.
#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
impl Out<'_> {
    /// Outputs of a filter, not more than the geometry has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first output of filter `o`, behind which the others follow, as many elements apart as there are filters; `None`
    /// when there is no such filter.
    pub fn first(&mut self, o: usize) -> Option<*mut i8> {
        (o < self.step && self.count > 0).then(|| self.y.as_mut_ptr().wrapping_add(o))
    }
}

/// [`Engine::apply`] by [`Engine::sum`].
#[inline(never)]
pub(crate) fn apply_by_tiles<E: Engine + ?Sized>(
    row: &mut E::Row,
    filter: &Filter<'_>,
    scale: &Scale<'_>,
    out: &mut Out<'_>,
) {
    for tile in 0..E::tiles(filter.geometry()) {
        let sums = E::sum(row, filter, scale.bias, tile);
        for (lane, sum) in sums.into_iter().enumerate() {
            out.finish(E::output(filter.geometry(), tile, lane), scale, sum, E::high_mul);
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
