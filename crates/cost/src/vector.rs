//! What the kernels of the cores with vector instructions do: a table of filters, decoded once, against tiles of four
//! outputs. Follows `crates/kernels/src/mve`.

use crate::layer::{Form, Layer, Stored, TAKE, Window};
use crate::work::{Feature, Work};

/// Bytes of a patch and of the filter table that should not be exceeded.
const PATCH: usize = 1536;
const TABLE: usize = 3072;
/// Filters of a depthwise convolution that are computed together, and kernel positions of a vector.
const BLOCK: usize = 64;
const POSITIONS: usize = 16;

/// How a convolution is cut into tiles.
struct Tiles {
    /// Output rows, columns.
    output: [usize; 2],
    /// Output pixels of a tile.
    tile: [usize; 2],
    /// Columns that share a patch; 0 when the input is read in place.
    columns: usize,
    /// Bytes of a row of a patch, and rows.
    patch: [usize; 2],
}

impl Tiles {
    fn new(layer: &Layer) -> Self {
        let ([h, w, c], [oh, ow, _], window) = (layer.input(), layer.output, layer.window);
        let span = |n: usize, axis: usize| {
            (n.max(1) - 1) * window.stride[axis] + (window.kernel[axis] - 1) * window.dilation[axis] + 1
        };
        let inside = window.padding == [0, 0] && span(oh, 0) <= h && span(ow, 1) <= w;
        let pointwise = window.kernel == [1, 1] && window.stride == [1, 1] && inside;
        let output = if pointwise { [1, oh * ow] } else { [oh, ow] };
        let tile = tile(output);
        if inside {
            return Tiles { output, tile, columns: 0, patch: [0; 2] };
        }
        let mut columns = ow;
        while columns > tile[1] && span(tile[0], 0) * span(columns, 1) * c > PATCH {
            let half = columns.div_ceil(2).next_multiple_of(tile[1]);
            columns = if half < columns { half } else { (columns - 1) / tile[1] * tile[1] };
        }
        Tiles { output, tile, columns, patch: [span(columns, 1) * c, span(tile[0], 0)] }
    }

    /// Rows of all patches of a walk: those with pixels, and those of padding.
    fn patch_rows(&self, layer: &Layer) -> [usize; 2] {
        let ([h, ..], window) = (layer.input(), layer.window);
        let strips = self.output[1].div_ceil(self.columns.max(1));
        let mut rows = [0; 2];
        for row in (0..self.output[0]).step_by(self.tile[0]) {
            let row = row.min(self.output[0] - self.tile[0]);
            let top = (row * window.stride[0]) as isize - window.padding[0] as isize;
            for at in top..top + self.patch[1] as isize {
                rows[usize::from(!(0..h as isize).contains(&at))] += strips;
            }
        }
        rows
    }

    /// Strips of a walk over the image, and tiles.
    fn walk(&self) -> [usize; 2] {
        let [h, w] = self.output;
        let columns = if self.columns == 0 { w } else { self.columns }.max(1);
        let rows = h.div_ceil(self.tile[0]);
        let tiles: usize =
            (0..w).step_by(columns).map(|left| columns.min(w - left).div_ceil(self.tile[1])).sum();
        [rows * w.div_ceil(columns), rows * tiles]
    }
}

/// The tile shape that covers the output with the fewest tiles.
fn tile([h, w]: [usize; 2]) -> [usize; 2] {
    let shapes = [[1, 4], [4, 1], [2, 2], [1, 2], [2, 1], [1, 1]];
    let fits = |t: &[usize; 2]| t[0] <= h && t[1] <= w;
    let tiles = |t: &[usize; 2]| h.div_ceil(t[0]) * w.div_ceil(t[1]);
    shapes.into_iter().filter(fits).min_by_key(tiles).unwrap_or([1, 1])
}

/// How filters are decoded.
struct Decoded {
    /// Four channels at a time are gathered.
    words: bool,
    /// Stretches and vectors of all filters.
    runs: f64,
    vectors: f64,
    /// Walks over the image.
    passes: f64,
}

impl Decoded {
    fn new(layer: &Layer, stored: &Stored) -> Self {
        let ([filters, positions, channels], [kh, kw]) = (layer.dims(), layer.window.kernel);
        let (sparse, joined) = (stored.form != Form::Dense, layer.window.dilation[1] == 1);
        let group = if sparse { stored.group } else { 0 };
        let words = group != 0 && group < 16 && group.is_multiple_of(4) && channels.is_multiple_of(4);
        let groups = if sparse { channels.div_ceil(group.max(1)) } else { 1 };
        let even = joined && (!sparse || channels.is_multiple_of(group));
        let runs = if even { stored.row_runs } else { stored.kept };
        let len = stored.weights / stored.kept.max(1.0);
        let vectors = if even { stored.vectors } else { stored.kept * (len / 16.0).ceil() };
        let most = if words {
            (positions * channels).div_ceil(16) * 2 + 6
        } else {
            let in_row = match (sparse, even) {
                (false, true) => 1,
                (false, false) => kw,
                (true, true) => (kw * groups).div_ceil(2),
                (true, false) => kw * groups,
            };
            kh * in_row * 3 + 5
        };
        let table = (most * 4 * filters).min(TABLE).max(most * 4) / 4 + 4;
        let all = filters as f64;
        let used = if words { 6.0 + 2.0 * stored.word_vectors / all } else { 5.0 + 3.0 * runs / all };
        let fits = ((table - 1 - most.min(table - 1)) as f64 / used).floor() + 1.0;
        Decoded { words, runs, vectors, passes: (all / fits).ceil().max(1.0) }
    }
}

/// A convolution.
pub(crate) fn conv(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (tiles, decoded) = (Tiles::new(layer), Decoded::new(layer, stored));
    let [strips, count] = tiles.walk().map(|n| n as f64);
    let filters = layer.output[2] as f64;
    work.add(Feature::Passes, decoded.passes);
    work.add(Feature::VectorFilters, filters);
    index(stored, 1.0, work);
    work.add(Feature::VectorTiles, count * decoded.passes);
    let tile_filters = if decoded.words { Feature::WordTileFilters } else { Feature::VectorTileFilters };
    work.add(tile_filters, count * filters);
    if tiles.columns > 0 {
        let [inside, blank] = tiles.patch_rows(layer).map(|n| n as f64 * decoded.passes);
        let vectors = tiles.patch[0].div_ceil(16) as f64;
        work.add(Feature::Patches, strips * decoded.passes);
        work.add(Feature::PatchRows, inside);
        work.add(Feature::BlankPatchRows, blank);
        work.add(Feature::PatchVectors, (inside + blank) * vectors);
    }
    if decoded.words {
        work.add(Feature::VectorRuns, decoded.runs);
        work.add(Feature::VectorWords, stored.weights / 4.0);
        work.add(Feature::VectorTileWords, count * stored.word_vectors);
        return;
    }
    work.add(Feature::VectorRuns, decoded.runs);
    work.add(Feature::VectorTileRuns, count * decoded.runs);
    work.add(Feature::VectorTileVectors, count * decoded.vectors);
}

/// Reading the run index so many times.
fn index(stored: &Stored, times: f64, work: &mut Work) {
    match stored.form {
        Form::Dense => {}
        Form::Bitmap => work.add(Feature::VectorBits, times * stored.bits),
        Form::Gaps => {
            work.add(Feature::VectorGaps, times * stored.bits);
            work.add(Feature::VectorGapKept, times * stored.kept);
        }
    }
}

/// A fully connected layer.
pub(crate) fn fully_connected(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (rows, filters, channels) = (layer.pixels(), layer.output[2], layer.input()[2]);
    if stored.form == Form::Dense {
        let calls = if filters < 4 { filters } else { filters.div_ceil(4) };
        work.add(Feature::Groups, (rows * calls) as f64);
        work.add(Feature::VectorTileVectors, (rows * calls * channels.div_ceil(16)) as f64);
        return;
    }
    let per_filter = channels / stored.group.max(1);
    let rows = rows as f64;
    work.add(Feature::Takes, rows * (filters * per_filter.div_ceil(TAKE)) as f64);
    index(stored, rows, work);
    work.add(Feature::BusyTakes, rows * stored.busy_takes);
    // Runs of 16 channels are met one by one, others in stretches.
    if stored.group == 16 {
        work.add(Feature::Sixteens, rows * stored.kept);
    } else {
        work.add(Feature::VectorTileRuns, rows * stored.row_runs);
        work.add(Feature::VectorTileVectors, rows * stored.vectors);
    }
    let tail = f64::from(u8::from(!channels.is_multiple_of(stored.group.max(1))));
    work.add(Feature::GroupTails, rows * filters as f64 * tail);
}

/// A depthwise convolution: of channels with one filter each blocks of channels, else each channel by itself.
pub(crate) fn depthwise(layer: &Layer, work: &mut Work) {
    let ([h, w, inputs], [oh, ow, c], window) = (layer.input(), layer.output, layer.window);
    let own = inputs == c;
    let span = if own { c } else { c / inputs.max(1) };
    let pixels = if own { (BLOCK / c.max(1)).min(ow).max(1) } else { 1 };
    let positions = window.positions();
    let planes = positions.div_ceil(POSITIONS);
    let steps = ow.div_ceil(pixels);
    // Under a stride the windows of pixels computed together are turned one by one.
    let turned = if window.stride[1] == 1 { pixels } else { 1 };
    let [edges, edge_parts] = edge_rows(&window, [h, w], [oh, ow], turned);
    let parts = (0..span).step_by(BLOCK).map(|first| (span - first).min(BLOCK));
    for count in parts {
        let times = if own { 1.0 } else { inputs as f64 };
        let together = count * pixels;
        let (calls, groups) = (times * (oh * steps) as f64, (together / 4) as f64);
        let windows = calls * (pixels / turned) as f64;
        let vectors = if own { (count * turned).div_ceil(16) } else { 1 };
        work.add(Feature::DepthwiseParts, times);
        let weights = positions * pixels * count.div_ceil(16);
        work.add(Feature::TurnedWeights, times * weights as f64);
        work.add(Feature::VectorFilters, times * together as f64);
        work.add(Feature::Windows, windows);
        work.add(Feature::EdgeParts, times * edge_parts);
        work.add(
            Feature::EdgeRows,
            times * if planes > 1 { (oh * steps * window.kernel[0]) as f64 } else { edges },
        );
        work.add(Feature::TurnedTaps, windows * positions as f64);
        work.add(Feature::TurnedVectors, windows * (positions * vectors) as f64);
        work.add(Feature::VectorTiles, calls);
        work.add(Feature::Groups, calls * groups);
        work.add(Feature::GroupPlanes, calls * groups * (planes - 1) as f64);
        work.add(Feature::GroupTails, calls * f64::from(u8::from(!together.is_multiple_of(4))));
    }
}

/// Kernel rows of the windows that are not wholly inside the input, and the parts in which those rows are turned.
fn edge_rows(window: &Window, size: [usize; 2], output: [usize; 2], pixels: usize) -> [f64; 2] {
    let [rows, columns] = [0, 1].map(|axis| {
        (0..output[axis]).map(move |at| window.covered(axis, at, size[axis])).collect::<Vec<_>>()
    });
    let [kh, kw] = window.kernel;
    let mut counts = [0; 2];
    for (covered_rows, left) in
        rows.iter().flat_map(|r| (0..output[1]).step_by(pixels).map(move |left| (*r, left)))
    {
        let first = left.min(output[1] - pixels.min(output[1]));
        let last = first + pixels - 1;
        let whole = columns[first] == kw && columns[last] == kw;
        if covered_rows == kh && whole {
            continue;
        }
        // Rows of padding are turned at once.
        let parts = match (whole, pixels) {
            (true, _) => 1,
            (false, 1) => {
                let before = window.padding[1] > first * window.stride[1];
                1 + usize::from(before) + usize::from(columns[first] + usize::from(before) < kw)
            }
            (false, _) => kw + 2,
        };
        counts[0] += kh;
        counts[1] += kh - covered_rows + covered_rows * parts;
    }
    counts.map(|n| n as f64)
}
