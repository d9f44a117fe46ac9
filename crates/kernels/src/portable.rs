//! Kernels in plain Rust for any processor, written so that compilers turn the inner loops into vector code.

use crate::tiled::{self, Engine, Filter, Geometry, LANES, Out, Scaling};
use crate::{Conv2d, KernelError};

/// Rows of 16-bit values, pixel after pixel, so that whole kernel rows are one run.
pub(crate) struct Portable;

impl Portable {
    /// Columns of a row.
    const fn columns(g: &Geometry) -> usize {
        let outputs = Self::outputs(g).saturating_sub(1);
        let reach = g.window.kernel[1].saturating_sub(1).saturating_mul(g.window.dilation[1]);
        outputs.saturating_mul(g.window.stride[1]).saturating_add(reach).saturating_add(1)
    }

    /// Outputs that a row has room for.
    const fn outputs(g: &Geometry) -> usize {
        if g.single { 1 } else { g.width.next_multiple_of(LANES) }
    }

    /// Values from one output's data to the next one's.
    const fn step(g: &Geometry) -> usize {
        g.window.stride[1].wrapping_mul(g.input.c)
    }
}

impl Engine for Portable {
    const BLOCK: usize = 1;
    const UNIT: usize = 2;

    type Row = ();

    fn row_units(g: &Geometry) -> usize {
        Self::columns(g).saturating_mul(g.input.c).next_multiple_of(2)
    }

    fn tap(g: &Geometry, kx: usize) -> usize {
        kx.wrapping_mul(g.window.dilation[1]).wrapping_mul(g.input.c)
    }

    fn pitch(_: &Geometry) -> usize {
        1
    }

    fn reach(g: &Geometry) -> usize {
        Self::outputs(g).wrapping_sub(1).wrapping_mul(Self::step(g)).wrapping_add(1)
    }

    fn fill(g: &Geometry, pixels: &[i8], zero_point: i8, row: &mut [u32]) {
        let Ok(row) = bytemuck::try_cast_slice_mut::<u32, i16>(row) else { return };
        let left = g.window.padding[1].wrapping_mul(g.input.c).min(row.len());
        let Some((before, rest)) = row.split_at_mut_checked(left) else { return };
        let Some((inside, after)) = rest.split_at_mut_checked(pixels.len().min(rest.len())) else { return };
        before.fill(zero_point.into());
        after.fill(zero_point.into());
        inside.iter_mut().zip(pixels).for_each(|(to, from)| *to = i16::from(*from));
    }

    fn tiles(g: &Geometry) -> usize {
        g.width.div_ceil(LANES)
    }

    fn output(_: &Geometry, tile: usize, lane: usize) -> usize {
        tile.wrapping_mul(LANES).wrapping_add(lane)
    }

    fn start(_: &Geometry, _: &Out<'_>, _: &Scaling<'_>) {}

    fn sum(_: &mut (), filter: &Filter<'_>, bias: i32, tile: usize) -> [i32; 4] {
        let mut sums = [bias; 4];
        let g = filter.geometry();
        let rows: &[i16] = bytemuck::try_cast_slice(filter.rows()).unwrap_or_default();
        let step = Self::step(g);
        let first = tile.wrapping_mul(LANES).wrapping_mul(step);
        let mut weights = filter.weights();
        for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
            let len = *blocks as usize;
            let start = first.wrapping_add(*offset as usize);
            let at = |lane: usize| {
                rows.get(start.wrapping_add(lane.wrapping_mul(step))..)
                    .and_then(|x| x.get(..len))
                    .unwrap_or_default()
            };
            let Some((w, rest)) = weights.split_at_checked(len) else { break };
            weights = rest;
            add_products(&mut sums, [at(0), at(1), at(2), at(3)], w);
        }
        sums
    }

    fn single(filter: &Filter<'_>, bias: i32) -> i32 {
        let rows: &[i16] = bytemuck::try_cast_slice(filter.rows()).unwrap_or_default();
        let (mut sum, mut weights) = (bias, filter.weights());
        for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
            let Some((w, rest)) = weights.split_at_checked(*blocks as usize) else { break };
            weights = rest;
            let values = rows.get(*offset as usize..).unwrap_or_default();
            let products = values.iter().zip(w).map(|(x, w)| i32::from(*x).wrapping_mul(i32::from(*w)));
            sum = products.fold(sum, i32::wrapping_add);
        }
        sum
    }
}

/// Adds the products of `w` with four slices of the same length.
#[inline(always)]
fn add_products(sums: &mut [i32; 4], pixels: [&[i16]; 4], w: &[i8]) {
    #[cfg(target_arch = "x86_64")]
    let (pixels, w) = sse2::add_eights(sums, pixels, w);
    for (sum, x) in sums.iter_mut().zip(pixels) {
        let products = x.iter().zip(w).map(|(x, w)| i32::from(*x).wrapping_mul(i32::from(*w)));
        *sum = products.fold(*sum, i32::wrapping_add);
    }
}

/// The instructions that compilers do not find by themselves. Every x86-64 has them.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use core::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_loadl_epi64, _mm_loadu_si128, _mm_madd_epi16, _mm_setzero_si128,
        _mm_srai_epi16, _mm_storeu_si128, _mm_unpacklo_epi8,
    };

    /// Adds the products of whole eights; what is left.
    #[inline(always)]
    pub fn add_eights<'x, 'w>(
        sums: &mut [i32; 4],
        pixels: [&'x [i16]; 4],
        w: &'w [i8],
    ) -> ([&'x [i16]; 4], &'w [i8]) {
        let [a, b, c, d] = pixels.map(|x| x.as_chunks::<8>());
        let (w, rest) = w.as_chunks::<8>();
        // SAFETY: SSE2 is part of x86-64; each load reads one array.
        unsafe {
            let mut parts = [_mm_setzero_si128(); 4];
            for (((a, b), (c, d)), w) in a.0.iter().zip(b.0).zip(c.0.iter().zip(d.0)).zip(w) {
                let bytes = _mm_loadl_epi64(w.as_ptr().cast());
                let w = _mm_srai_epi16::<8>(_mm_unpacklo_epi8(bytes, bytes));
                for (part, x) in parts.iter_mut().zip([a, b, c, d]) {
                    *part = _mm_add_epi32(*part, _mm_madd_epi16(_mm_loadu_si128(x.as_ptr().cast()), w));
                }
            }
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum = add_across(part, *sum);
            }
        }
        ([a.1, b.1, c.1, d.1], rest)
    }

    /// `sum` plus the four numbers of `part`.
    #[inline(always)]
    unsafe fn add_across(part: __m128i, sum: i32) -> i32 {
        let mut numbers = [0i32; 4];
        // SAFETY: the array has room for the vector.
        unsafe { _mm_storeu_si128(numbers.as_mut_ptr().cast(), part) };
        numbers.into_iter().fold(sum, i32::wrapping_add)
    }
}

/// As [`crate::reference::conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, or the scratch memory is too small or not aligned to 4.
pub fn conv2d_s8(p: &Conv2d<'_>, scratch: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    tiled::convolve::<Portable>(p, false, scratch, x, y)
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
    tiled::convolve::<Portable>(p, true, scratch, x, y)
}

/// As [`crate::reference::depthwise_conv2d_s8`], which compilers vectorise as it is.
///
/// # Errors
/// When lengths and shapes disagree, or the weights are not dense.
pub fn depthwise_conv2d_s8(p: &Conv2d<'_>, _: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    crate::reference::depthwise_conv2d_s8(p, x, y)
}
