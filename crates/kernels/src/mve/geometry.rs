//! How a convolution is cut into tiles of four output pixels, and the memory that this takes. Also used by planners on
//! the host.

use crate::{Shape, Window};

/// Bytes that a patch of the input should not exceed, unless one tile needs more.
const PATCH: usize = 1536;
/// Bytes that the filter table should not exceed, unless one filter needs more.
const TABLE: usize = 3072;

/// A block of output pixels of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub h: usize,
    pub w: usize,
}

/// The tiles of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// The input, one row of pixels where a 1 × 1 kernel does not care.
    pub input: Shape,
    /// The output, likewise.
    pub output: Shape,
    /// Output pixels of a tile.
    pub tile: Size,
    /// Output columns that share one patch; 0 when the input is read in place.
    pub columns: usize,
    /// Pixels of a patch, or of the input.
    pub patch: Size,
}

impl Geometry {
    pub const fn new(input: &Shape, output: &Shape, window: &Window) -> Self {
        let (mut input, mut output) = (*input, *output);
        let padded = !inside(&input, &output, window);
        let [kh, kw] = window.kernel;
        let [sh, sw] = window.stride;
        if kh == 1 && kw == 1 && sh == 1 && sw == 1 && !padded {
            (input.h, input.w) = (1, input.h.saturating_mul(input.w));
            (output.h, output.w) = (1, output.h.saturating_mul(output.w));
        }
        let tile = tile(&output);
        if !padded {
            let patch = Size { h: input.h, w: input.w };
            return Geometry { input, output, tile, columns: 0, patch };
        }
        let h = span(tile.h, 0, window);
        let mut columns = output.w;
        while columns > tile.w && area(h, span(columns, 1, window), input.c) > PATCH {
            columns = halved(columns, tile.w);
        }
        Geometry { input, output, tile, columns, patch: Size { h, w: span(columns, 1, window) } }
    }

    /// Bytes of a patch, to a multiple of 16.
    pub const fn patch_bytes(&self) -> usize {
        if self.columns == 0 {
            0
        } else {
            area(self.patch.h, self.patch.w, self.input.c).next_multiple_of(16)
        }
    }
}

/// Half of `columns`, to a multiple of the tile's width.
const fn halved(columns: usize, tile: usize) -> usize {
    let tile = if tile == 0 { 1 } else { tile };
    let half = columns.div_ceil(2).next_multiple_of(tile);
    if half < columns { half } else { columns.saturating_sub(1) / tile * tile }
}

const fn area(h: usize, w: usize, c: usize) -> usize {
    h.saturating_mul(w).saturating_mul(c)
}

/// Input pixels under `n` outputs on one axis.
const fn span(n: usize, axis: usize, window: &Window) -> usize {
    let ([kh, kw], [sh, sw], [dh, dw]) = (window.kernel, window.stride, window.dilation);
    let (k, s, d) = if axis == 0 { (kh, sh, dh) } else { (kw, sw, dw) };
    let first = k.saturating_sub(1).saturating_mul(d).saturating_add(1);
    n.saturating_sub(1).saturating_mul(s).saturating_add(first)
}

/// True when no window reaches into padding.
const fn inside(input: &Shape, output: &Shape, window: &Window) -> bool {
    let [top, left] = window.padding;
    let fits = span(output.h, 0, window) <= input.h && span(output.w, 1, window) <= input.w;
    top == 0 && left == 0 && fits
}

/// The tile shape that covers the output with the fewest tiles.
const fn tile(output: &Shape) -> Size {
    let shapes = [(1, 4), (4, 1), (2, 2), (1, 2), (2, 1), (1, 1)];
    let (mut best, mut fewest) = (Size { h: 1, w: 1 }, usize::MAX);
    let mut rest: &[(usize, usize)] = &shapes;
    while let [(h, w), after @ ..] = rest {
        let tiles = output.h.div_ceil(*h).saturating_mul(output.w.div_ceil(*w));
        if *h <= output.h && *w <= output.w && tiles < fewest {
            (best, fewest) = (Size { h: *h, w: *w }, tiles);
        }
        rest = after;
    }
    best
}

/// True when runs of `group` channels are gathered word by word.
pub(super) const fn in_words(channels: usize, group: usize) -> bool {
    group != 0 && group < 16 && group.is_multiple_of(4) && channels.is_multiple_of(4)
}

/// Words of the table for one filter at most; `group` is 0 for dense weights.
pub(super) const fn filter_words(window: &Window, channels: usize, group: usize, words: bool) -> usize {
    let [kh, kw] = window.kernel;
    let row = kw.saturating_mul(channels);
    if words {
        // One u16 for each word, to a multiple of four; and the start and the end of the filter.
        return kh.saturating_mul(row).div_ceil(16).saturating_mul(2).saturating_add(6);
    }
    let joined = window.dilation[1] == 1;
    let groups = if group == 0 { 1 } else { channels.div_ceil(group) };
    let runs = match group {
        0 if joined => 1,
        0 => kw,
        // Neighbours are joined only where all runs have the same length.
        _ if joined && channels.is_multiple_of(group) => kw.saturating_mul(groups).div_ceil(2),
        _ => kw.saturating_mul(groups),
    };
    kh.saturating_mul(runs).saturating_mul(3).saturating_add(5)
}

/// Bytes of scratch memory for a convolution. `group` is 0 for dense weights.
pub const fn conv2d_scratch(input: &Shape, output: &Shape, window: &Window, group: usize) -> usize {
    let one = filter_words(window, input.c, group, in_words(input.c, group)).saturating_mul(4);
    let all = one.saturating_mul(output.c);
    let table = if all < TABLE { all } else { TABLE };
    let table = if table < one { one } else { table };
    Geometry::new(input, output, window).patch_bytes().saturating_add(table).saturating_add(16)
}

/// Filters of a depthwise convolution that are computed together.
pub(super) const BLOCK: usize = 64;
/// Kernel positions in a vector.
pub(super) const POSITIONS: usize = 16;

/// Parts of the scratch memory of a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DepthwiseParts {
    /// Vectors for the kernel positions of one channel.
    pub planes: usize,
    /// Bytes of one vector for each filter of a block.
    pub plane: usize,
    /// Bytes of a turned window; the turned weights take the same.
    pub turned: usize,
    /// Bytes of biases and scales.
    pub scales: usize,
}

/// Output pixels of a row that a depthwise convolution with few channels computes together.
pub(super) const fn depthwise_pixels(output: &Shape) -> usize {
    let channels = if output.c == 0 { 1 } else { output.c };
    let pixels = if BLOCK / channels < output.w { BLOCK / channels } else { output.w };
    if pixels == 0 { 1 } else { pixels }
}

/// True when the kernel takes a depthwise convolution: channels with one filter each, at least four in four pixels of a
/// row, or a multiple of four filters for each channel.
#[cfg_attr(not(dtmm_isa = "mve"), allow(dead_code))]
pub(crate) const fn takes_depthwise(input: &Shape, output: &Shape) -> bool {
    if input.c == output.c {
        return output.c.saturating_mul(depthwise_pixels(output)) >= 4;
    }
    let channels = if input.c == 0 { 1 } else { input.c };
    (output.c / channels).is_multiple_of(4)
}

pub(super) const fn depthwise_parts(output: &Shape, window: &Window) -> DepthwiseParts {
    let together = output.c.saturating_mul(depthwise_pixels(output));
    let filters = if together < BLOCK { together } else { BLOCK };
    let planes = window.kernel[0].saturating_mul(window.kernel[1]).div_ceil(POSITIONS);
    let plane = filters.saturating_mul(POSITIONS);
    let scales = filters.div_ceil(4).saturating_mul(64);
    DepthwiseParts { planes, plane, turned: planes.saturating_mul(plane), scales }
}

/// Bytes of scratch memory for a depthwise convolution.
pub const fn depthwise_scratch(output: &Shape, window: &Window) -> usize {
    let parts = depthwise_parts(output, window);
    parts.turned.saturating_mul(2).saturating_add(parts.scales).saturating_add(BLOCK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn window()(
            kernel in prop::array::uniform2(1usize..6),
            stride in prop::array::uniform2(1usize..4),
            dilation in prop::array::uniform2(1usize..3),
            padding in prop::array::uniform2(0usize..3),
        ) -> Window {
            Window { kernel, stride, dilation, padding }
        }
    }

    proptest! {
        #[test]
        fn tiles_and_patches_hold_what_they_must(
            (h, w, c) in (1usize..40, 1usize..40, 1usize..200),
            out in prop::array::uniform2(1usize..40),
            window in window(),
        ) {
            let input = Shape { h, w, c };
            let output = Shape { h: out[0], w: out[1], c: 8 };
            let g = Geometry::new(&input, &output, &window);
            prop_assert!(g.tile.h <= g.output.h && g.tile.w <= g.output.w && g.tile.h * g.tile.w <= 4);
            prop_assert_eq!(g.output.h * g.output.w, output.h * output.w);
            if g.columns == 0 {
                // Read in place: the last window ends inside the input.
                let rows = span(g.output.h, 0, &window);
                prop_assert!(rows <= g.input.h && span(g.output.w, 1, &window) <= g.input.w);
            } else {
                prop_assert!(g.columns >= g.tile.w && g.columns <= g.output.w);
                prop_assert_eq!(g.patch.w, span(g.columns, 1, &window));
                let smallest = area(g.patch.h, span(g.tile.w, 1, &window), c);
                prop_assert!(area(g.patch.h, g.patch.w, c) <= PATCH.max(smallest));
            }
        }
    }
}
