//! What the kernels of the cores with vector instructions do: a table of filters, decoded once, against tiles of four
//! outputs. Follows `crates/kernels/src/mve`.

use crate::layer::Layer;
use crate::scratch;
use crate::stored::{Form, Stored, TAKE};
use crate::work::{Feature, Work};

/// Bytes of a patch and of the filter table that should not be exceeded.
const PATCH: usize = 1536;
const TABLE: usize = 3072;

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

    /// Bytes of a patch, to a multiple of 16.
    fn patch_bytes(&self) -> usize {
        if self.columns == 0 { 0 } else { (self.patch[0] * self.patch[1]).next_multiple_of(16) }
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
    /// Equal steps lead from run to run through a kernel row.
    even: bool,
    /// Stretches and vectors of all filters.
    runs: f64,
    vectors: f64,
    /// Walks over the image.
    passes: f64,
}

impl Decoded {
    fn new(layer: &Layer, stored: &Stored, patch: usize) -> Self {
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
        // The least that the kernel takes; it uses all that there is.
        let least = patch + (most * 4 * filters).min(TABLE).max(most * 4) + 16;
        let table = (least.max(scratch::rows(layer, group)) - patch) / 4;
        let all = filters as f64;
        let used = if words { 6.0 + 2.0 * stored.word_vectors / all } else { 5.0 + 3.0 * runs / all };
        let fits = ((table - 1 - most.min(table - 1)) as f64 / used).floor() + 1.0;
        Decoded { words, even, runs, vectors, passes: (all / fits).ceil().max(1.0) }
    }
}

/// A convolution.
pub(crate) fn conv(layer: &Layer, stored: &Stored, work: &mut Work) {
    let tiles = Tiles::new(layer);
    let decoded = Decoded::new(layer, stored, tiles.patch_bytes());
    let [strips, count] = tiles.walk().map(|n| n as f64);
    let filters = layer.output[2] as f64;
    work.add(Feature::Passes, decoded.passes);
    work.add(Feature::VectorFilters, filters);
    index(layer, stored, &decoded, work);
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
    work.add(Feature::VectorRuns, decoded.runs);
    if decoded.words {
        work.add(Feature::WordFilters, filters);
        let [singly, eights, long] =
            if decoded.even { stored.row_words } else { [stored.weights / 4.0, 0.0, 0.0] };
        work.add(Feature::VectorWords, singly);
        work.add(Feature::WordEights, eights);
        work.add(Feature::LongRuns, long);
        work.add(Feature::VectorTileWords, count * stored.word_vectors);
        return;
    }
    work.add(Feature::VectorTileRuns, count * decoded.runs);
    work.add(Feature::VectorTileVectors, count * decoded.vectors);
}

/// Reading the run index: of small filters at once, of others some runs of a kernel row at a time.
fn index(layer: &Layer, stored: &Stored, decoded: &Decoded, work: &mut Work) {
    let ([filters, _, channels], [kh, kw]) = (layer.dims(), layer.window.kernel);
    if stored.form == Form::Dense {
        return;
    }
    let row = kw * channels.div_ceil(stored.group.max(1));
    let parts = (filters * kh * row.div_ceil(TAKE)) as f64;
    let takes = if kh * row <= TAKE { filters as f64 } else { parts };
    work.add(Feature::VectorParts, parts);
    if stored.form == Form::Gaps {
        work.add(Feature::VectorGaps, takes);
        work.add(Feature::VectorGapKept, stored.kept);
    } else {
        work.add(Feature::VectorTakes, takes);
    }
    // Where runs do not follow each other evenly, each is looked at.
    if !decoded.even {
        work.add(Feature::VectorBits, stored.row_bits);
        work.add(Feature::UnevenRuns, stored.kept);
    }
}

/// Reading the run index of a fully connected layer: once for each row.
fn read_index(rows: f64, stored: &Stored, work: &mut Work) {
    match stored.form {
        Form::Dense => {}
        Form::Bitmap => work.add(Feature::BitReads, rows * stored.reads),
        Form::Gaps => {
            work.add(Feature::GapReads, rows * stored.reads);
            work.add(Feature::GapRuns, rows * stored.kept);
        }
    }
}

/// A fully connected layer: the run index is read some runs at a time, and what is stored of them multiplied. Follows
/// `crates/kernels/src/mve/fully_connected.rs`.
pub(crate) fn fully_connected(layer: &Layer, stored: &Stored, work: &mut Work) {
    let (rows, filters, channels) = (layer.pixels(), layer.output[2], layer.input()[2]);
    if stored.form == Form::Dense {
        let calls = if filters < 4 { filters } else { filters.div_ceil(4) };
        work.add(Feature::Groups, (rows * calls) as f64);
        work.add(Feature::VectorTileVectors, (rows * calls * channels.div_ceil(16)) as f64);
        return;
    }
    let group = stored.group.max(1);
    let rest = channels % group;
    let (rows, all) = (rows as f64, (rows * filters) as f64);
    read_index(rows, stored, work);
    let takes = if group >= channels { filters as f64 } else { stored.full_takes };
    work.add(Feature::Takes, rows * takes);
    // Runs of 16 channels are met one by one, others in stretches.
    let tails = if rest > 0 { stored.rests } else { 0.0 };
    if group == 16 {
        work.add(Feature::Sixteens, rows * (stored.kept - tails));
    } else {
        work.add(Feature::VectorTileRuns, rows * (stored.row_runs - tails));
        work.add(Feature::VectorTileVectors, rows * (stored.vectors - tails));
    }
    let busy = if group >= channels { stored.kept } else { stored.busy_takes };
    work.add(Feature::BusyTakes, rows * busy);
    if rest > 0 {
        work.add(Feature::GroupTails, all);
        work.add(Feature::TailRuns, rows * tails);
    }
}
