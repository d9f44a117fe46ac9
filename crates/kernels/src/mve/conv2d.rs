//! Conv2d in every storage form.
//!
//! Four output pixels share every load of weights. Where windows reach into padding, the input under a few of them is
//! copied to a patch whose border holds the zero point; otherwise it is read in place. The filters are decoded to a
//! table once; when they do not all fit, the image is walked once for each part of them.

use super::geometry::{self, Geometry};
use super::memory;
use super::runs::{Tile, conv_runs_any, conv_runs_right};
use super::table::{Filters, Frame};
use super::words::{conv_words_any, conv_words_right};
use crate::{Conv2d, KernelError, Shape, Weights};

/// As [`crate::reference::conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree; [`KernelError::Scratch`] with less scratch memory than
/// [`geometry::conv2d_scratch`] says.
pub fn conv2d_s8(p: &Conv2d<'_>, scratch: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let group = p.linear.weights.group();
    let needed = geometry::conv2d_scratch(&p.input, &p.output, &p.window, group);
    if scratch.len() < needed || !scratch.as_ptr().addr().is_multiple_of(4) {
        return Err(KernelError::Scratch);
    }
    check(p, x, y)?;
    let geometry = Geometry::new(&p.input, &p.output, &p.window);
    let (patch, table) = scratch.split_at_mut_checked(geometry.patch_bytes()).ok_or(KernelError::Scratch)?;
    let row = if geometry.columns == 0 { geometry.input.w } else { geometry.patch.w };
    let row = row.wrapping_mul(p.input.c);
    let frame =
        Frame::new(&p.window, p.input.c, row, &p.linear.weights).ok_or(KernelError::ParameterLength)?;
    let mut filters = Filters::new(&p.window, frame, &p.linear, x.as_ptr().addr().is_multiple_of(4));
    let right = p.linear.shift.iter().all(|s| *s < 0);
    let kernel = match (filters.in_words(), right) {
        (false, true) => conv_runs_right,
        (false, false) => conv_runs_any,
        (true, true) => conv_words_right,
        (true, false) => conv_words_any,
    };
    let mut image = Image { p, geometry, row, x, y: y.as_mut_ptr(), patch, kernel };
    let table = memory::words(table);
    while filters.next_block(table)? {
        image.run(table);
    }
    Ok(())
}

fn check(p: &Conv2d<'_>, x: &[i8], y: &[i8]) -> Result<(), KernelError> {
    let fits = |len: usize, shape: &Shape| len == shape.elements() && len > 0;
    if !fits(x.len(), &p.input) || !fits(y.len(), &p.output) {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(p.output.c)?;
    let [kh, kw] = p.window.kernel;
    let filter = kh.saturating_mul(kw).saturating_mul(p.input.c);
    match p.linear.weights {
        Weights::Dense(w) if filter == 0 || filter.checked_mul(p.output.c) != Some(w.len()) => {
            Err(KernelError::ParameterLength)
        }
        _ => Ok(()),
    }
}

/// A kernel for one tile and one table.
type Kernel = unsafe fn(&Tile);

/// Walks over the output's tiles.
struct Image<'a> {
    p: &'a Conv2d<'a>,
    geometry: Geometry,
    /// Bytes of a row of the patch or the input.
    row: usize,
    x: &'a [i8],
    y: *mut i8,
    patch: &'a mut [i8],
    kernel: Kernel,
}

impl Image<'_> {
    #[inline(never)]
    fn run(&mut self, table: &[u32]) {
        let (output, tile) = (self.geometry.output, self.geometry.tile);
        let columns = if self.geometry.columns == 0 { output.w } else { self.geometry.columns };
        let mut tile = self.tile(table, tile.h, tile.w);
        let mut top = 0;
        while top < output.h {
            // The last tiles overlap those before them rather than leave the image.
            let row = top.min(output.h.saturating_sub(self.geometry.tile.h));
            let mut left = 0;
            while left < output.w {
                let end = left.wrapping_add(columns).min(output.w);
                let start = left.min(end.saturating_sub(self.geometry.tile.w));
                self.strip(&mut tile, row, start, end);
                left = left.wrapping_add(columns.max(1));
            }
            top = top.wrapping_add(self.geometry.tile.h.max(1));
        }
    }

    /// A tile but for its addresses.
    fn tile(&self, table: &[u32], h: usize, w: usize) -> Tile {
        let [sh, sw] = self.p.window.stride;
        let right = sw.wrapping_mul(self.p.input.c);
        let down = sh.wrapping_mul(self.row);
        let (step, middle_step) = steps(h, w, right, down);
        let linear = &self.p.linear;
        Tile {
            base: self.x.as_ptr(),
            step,
            table: table.as_ptr(),
            middle_step,
            out: [self.y; 4],
            zero_point: i32::from(linear.output_zero_point),
            min: i32::from(linear.clamp.min),
            max: i32::from(linear.clamp.max),
        }
    }

    /// The outputs `start..end` of the tile row from output row `row`.
    fn strip(&mut self, tile: &mut Tile, row: usize, start: usize, end: usize) {
        let [sh, sw] = self.p.window.stride;
        let channels = self.p.input.c;
        let source = if self.geometry.columns == 0 {
            self.x.as_ptr().wrapping_add(row.wrapping_mul(sh).wrapping_mul(self.row))
        } else {
            self.fill(row, start);
            self.patch.as_ptr()
        };
        let first = if self.geometry.columns == 0 { 0 } else { start };
        let Shape { w, c, .. } = self.geometry.output;
        let size = self.geometry.tile;
        let (out_step, out_middle) = steps(size.h, size.w, c, w.wrapping_mul(c));
        let mut at = start;
        while at < end {
            let column = at.min(end.saturating_sub(size.w));
            let offset = column.wrapping_sub(first).wrapping_mul(sw).wrapping_mul(channels);
            tile.base = source.wrapping_add(offset);
            let a = self.y.wrapping_add(row.wrapping_mul(w).wrapping_add(column).wrapping_mul(c));
            let b = a.wrapping_add(out_step);
            let d = b.wrapping_add(out_middle);
            tile.out = [a, b, d, d.wrapping_add(out_step)];
            // SAFETY: `row` and `column` leave room for the whole tile, so each window lies inside the patch or, where
            // nothing is padded, inside the input, and each pixel inside the output. The table holds offsets below the
            // end of a window, weights inside the weights and channels below `c`.
            unsafe { (self.kernel)(tile) };
            at = at.wrapping_add(size.w.max(1));
        }
    }

    /// Copies the input under the strip whose first output is `row`, `column` to the patch.
    fn fill(&mut self, row: usize, column: usize) {
        let [top, left] = self.p.window.corner(row, column);
        let Shape { h, w, c } = self.p.input;
        let value = self.p.linear.input_zero_point;
        let width = self.geometry.patch.w;
        let before = usize::try_from(left.wrapping_neg()).unwrap_or(0).min(width);
        let first = usize::try_from(left).unwrap_or(0).min(w);
        let inside = w.wrapping_sub(first).min(width.wrapping_sub(before));
        let (before, first, inside) = (before.wrapping_mul(c), first.wrapping_mul(c), inside.wrapping_mul(c));
        let mut rest = &mut *self.patch;
        for ky in 0..self.geometry.patch.h {
            let Some((line, after)) = rest.split_at_mut_checked(self.row) else { return };
            rest = after;
            let from = usize::try_from(top.wrapping_add_unsigned(ky)).ok().filter(|y| *y < h);
            let from = from.map(|y| y.wrapping_mul(w).wrapping_mul(c).wrapping_add(first));
            match from.and_then(|at| self.x.get(at..at.wrapping_add(inside))) {
                Some(pixels) => {
                    let Some((margin, line)) = line.split_at_mut_checked(before) else { return };
                    let Some((middle, end)) = line.split_at_mut_checked(inside) else { return };
                    memory::fill(margin, value);
                    memory::copy(middle, pixels);
                    memory::fill(end, value);
                }
                None => memory::fill(line, value),
            }
        }
    }
}

/// Steps from the first to the second (and third to fourth), and from the second to the third of four pixels.
fn steps(h: usize, w: usize, right: usize, down: usize) -> (usize, usize) {
    match (h, w) {
        (1, 4) => (right, right),
        (4, 1) => (down, down),
        (2, 2) => (right, down.wrapping_sub(right)),
        (1, 2) => (0, right),
        (2, 1) => (0, down),
        _ => (0, 0),
    }
}
