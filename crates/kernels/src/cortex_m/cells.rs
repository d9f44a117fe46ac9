//! Row buffers of two-word cells: planes of channels, in each the phases of columns, in each a cell for each column.

use crate::tiled::Geometry;

/// How an instruction set uses its cells.
pub(super) struct Layout {
    /// Cells of one phase.
    pub cells: usize,
    /// Channels of a plane.
    pub channels: usize,
    /// Columns between the pixels that share a cell; 0 when a cell belongs to one pixel.
    pub apart: usize,
    /// What padding looks like.
    pub blank: [u32; 2],
}

/// Pixels whose cells are neighbours in a plane: the first value of each is `step` behind the one before it.
pub(super) struct Source<'a> {
    /// From the first value of the first pixel on.
    pub values: &'a [i8],
    pub step: usize,
    /// From a pixel's value to that of the pixel that shares its cell.
    pub apart: usize,
}

/// Brings a row of pixels (NHWC, empty when it is padding) into its cells. `fast` fills neighbouring cells whose pixels
/// have all the plane's channels; `slow` makes one cell from the values of both pixels, channel for channel.
#[inline(always)]
pub(super) fn fill(
    g: &Geometry,
    layout: &Layout,
    pixels: &[i8],
    row: &mut [u32],
    fast: impl Fn(&mut [[u32; 2]], &Source<'_>),
    slow: impl Fn([Option<&[i8]>; 2]) -> [u32; 2],
) {
    let (row, _) = row.as_chunks_mut::<2>();
    if pixels.is_empty() {
        return row.fill(layout.blank);
    }
    let (c, stride, pad) = (g.input.c, g.window.stride[1], g.window.padding[1]);
    let apart = layout.apart.wrapping_mul(stride);
    let width = if pixels.len() == g.input.w.wrapping_mul(c) {
        g.input.w
    } else {
        pixels.len().checked_div(c).unwrap_or(0)
    };
    let mut planes = row.chunks_exact_mut(layout.cells.max(1));
    for channel in (0..c.next_multiple_of(4)).step_by(layout.channels.max(1)) {
        for phase in 0..g.phases {
            let Some(cells) = planes.next() else { return };
            // Cells whose pixels both lie in the row.
            let (mut start, mut end) = (0, 0);
            if channel.wrapping_add(layout.channels) <= c {
                start = steps(pad.saturating_sub(phase), stride).min(cells.len());
                let beyond = width.wrapping_add(pad).saturating_sub(phase.wrapping_add(apart));
                end = steps(beyond, stride).clamp(start, cells.len());
            }
            let column = |cell: usize| cell.wrapping_mul(stride).wrapping_add(phase);
            let value = |from: usize| g.pixel(pixels, from).map(|p| p.get(channel..).unwrap_or_default());
            if apart == 0 && start < end {
                // Beside the row's pixels there is only padding.
                cells.get_mut(..start).unwrap_or_default().fill(layout.blank);
                cells.get_mut(end..).unwrap_or_default().fill(layout.blank);
            } else {
                for i in (0..start).chain(end..cells.len()) {
                    let values = [value(column(i)), value(column(i).wrapping_add(apart))];
                    cells.get_mut(i).into_iter().for_each(|cell| *cell = slow(values));
                }
            }
            let first = column(start).wrapping_sub(pad).wrapping_mul(c).wrapping_add(channel);
            if let (Some(cells), Some(values)) = (cells.get_mut(start..end), pixels.get(first..)) {
                fast(cells, &Source { values, step: stride.wrapping_mul(c), apart: apart.wrapping_mul(c) });
            }
        }
    }
}

/// Brings a row of pixels (NHWC, empty when it is padding) into planes of four channels, `cells` cells for each phase,
/// whose cells belong to one pixel; beside the row's pixels they stay as they are. `widen` fills neighbouring cells,
/// whatever lies behind a pixel's last channel: it meets weights of 0.
#[inline(never)]
pub(super) fn widen(
    g: &Geometry,
    (cells, blank): (usize, [u32; 2]),
    pixels: &[i8],
    row: &mut [u32],
    widen: impl Fn(&mut [[u32; 2]], &Source<'_>),
) -> Option<()> {
    let (row, _) = row.as_chunks_mut::<2>();
    if pixels.is_empty() {
        row.fill(blank);
        return Some(());
    }
    let (c, stride, pad) = (g.input.c, g.window.stride[1], g.window.padding[1]);
    let width = pixels.len().checked_div(c)?.wrapping_add(pad);
    for phase in 0..g.phases {
        // Cells whose pixels lie in the row.
        let start = steps(pad.saturating_sub(phase), stride);
        let len = steps(width.saturating_sub(phase), stride).min(cells).saturating_sub(start);
        let first = start.wrapping_mul(stride).wrapping_add(phase).wrapping_sub(pad).wrapping_mul(c);
        let mut at = phase.wrapping_mul(cells).wrapping_add(start);
        for channel in (0..c).step_by(4) {
            let values = pixels.get(first.wrapping_add(channel)..).unwrap_or_default();
            let inside = row.get_mut(at..at.wrapping_add(len))?;
            widen(inside, &Source { values, step: stride.wrapping_mul(c), apart: 0 });
            at = at.wrapping_add(g.phases.wrapping_mul(cells));
        }
    }
    Some(())
}

/// `distance / stride`, rounded up.
#[inline(never)]
fn steps(distance: usize, stride: usize) -> usize {
    if stride == 1 { distance } else { distance.div_ceil(stride.max(1)) }
}

impl Source<'_> {
    /// The position behind the last value that `cells` cells of `channels` channels read.
    pub fn end(&self, cells: usize, channels: usize) -> usize {
        cells.saturating_sub(1).wrapping_mul(self.step).wrapping_add(self.apart).wrapping_add(channels)
    }
}
