//! Convolution by rows of outputs, shared by all instruction sets.
//!
//! The input rows under a row of outputs are brought once into the layout that an [`Engine`]'s inner loop wants, padding
//! included; rows that the next outputs read as well stay where they are. Then each filter is decoded once and applied
//! to the row, four outputs at a time. A kernel thus reads each weight once for four outputs, and neither padding nor
//! stride nor dilation is seen by the inner loop. A fully connected layer is the case of one output in a row.

mod engine;
mod finish;
mod geometry;
mod index;
mod runs;

pub(crate) use engine::{Engine, Filter, Out, apply_by_tiles};
#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m"))]
pub(crate) use finish::Short;
pub(crate) use finish::{Scale, Scaling};
pub(crate) use geometry::{BLOCK, Geometry, LANES};
#[cfg(dtmm_isa = "mve")]
pub(crate) use index::Index;
pub(crate) use runs::Run;

use crate::{Conv2d, KernelError};
use runs::{Decoder, Workspace};

/// Bytes of scratch memory of [`convolve`], a multiple of 4. `group` is 0 for dense weights.
pub(crate) fn scratch_len<E: Engine>(g: &Geometry, group: usize) -> usize {
    Sizes::of::<E>(g, group).words().saturating_mul(4)
}

/// Words of each part of the scratch memory.
struct Sizes {
    runs: usize,
    padded: usize,
    /// One for each kernel position.
    taps: usize,
    rows: usize,
    row: usize,
}

impl Sizes {
    #[inline(never)]
    fn of<E: Engine>(g: &Geometry, group: usize) -> Self {
        let whole = |n: usize| n.is_multiple_of(E::BLOCK);
        let padded = !whole(g.input.c) || (group < g.input.c && !whole(group));
        Sizes {
            runs: runs::max_runs(g, group).saturating_mul(2),
            padded: if padded { g.positions().saturating_mul(g.blocks) } else { 0 },
            taps: g.positions(),
            rows: g.window.kernel[0],
            row: E::row_units(g).saturating_mul(E::UNIT) / 4,
        }
    }

    fn words(&self) -> usize {
        let rows = self.rows.saturating_mul(self.row.saturating_add(1));
        self.runs.saturating_add(self.padded).saturating_add(self.taps).saturating_add(rows)
    }
}

/// Convolution of `x` (NHWC) with filters OHWI in any storage form into `y` (NHWC), or a fully connected layer, which
/// takes one pixel after another and rounds its sums once.
///
/// # Errors
/// [`KernelError::Scratch`] when the scratch memory is too short or not aligned to 4; then nothing has
/// been written to `y`. Else when lengths and shapes disagree.
#[inline(never)]
pub(crate) fn convolve<E: Engine>(
    p: &Conv2d<'_>,
    fully_connected: bool,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    if !p.input.holds(x, &p.output, y) {
        return Err(KernelError::ActivationLength);
    }
    p.linear.check(p.output.c)?;
    let g = &Geometry::of(p, fully_connected);
    // Results are borrowed where they were put: copies of them would add to the stack.
    let decoder = &Decoder::new(&p.linear.weights, [p.output.c, g.positions(), g.input.c]);
    let decoder = decoder.as_ref().map_err(|error| *error)?;
    let group = p.linear.weights.group();
    let Some(memory) = &mut Memory::cut::<E>(g, group, scratch) else { return Err(KernelError::Scratch) };
    rows::<E>(p, g, decoder, memory, x, y).ok_or(KernelError::ParameterLength)
}

/// The tag of an empty slot; no input row has this number.
const NO_ROW: u32 = 1 << 31;

/// The scratch memory in its parts.
struct Memory<'s> {
    runs: &'s mut [Run],
    padded: &'s mut [i8],
    /// For each kernel position, where its data start.
    taps: &'s mut [u32],
    /// For each slot of the row buffer, the input row in it.
    tags: &'s mut [u32],
    rows: &'s mut [u32],
    /// Words of a row.
    row: usize,
}

impl<'s> Memory<'s> {
    /// `None` when the scratch memory is too short or not aligned to 4.
    #[inline(never)]
    fn cut<E: Engine>(g: &Geometry, group: usize, scratch: &'s mut [i8]) -> Option<Self> {
        let sizes = &Sizes::of::<E>(g, group);
        if sizes.row == 0 {
            return None;
        }
        let words = scratch.get_mut(..sizes.words().checked_mul(4)?)?;
        let words: &mut [u32] = bytemuck::try_cast_slice_mut(words).ok()?;
        let (runs, words) = words.split_at_mut_checked(sizes.runs)?;
        let (padded, words) = words.split_at_mut_checked(sizes.padded)?;
        let (taps, words) = words.split_at_mut_checked(sizes.taps)?;
        let (tags, rows) = words.split_at_mut_checked(sizes.rows)?;
        tags.fill(NO_ROW);
        let runs = bytemuck::try_cast_slice_mut(runs).ok()?;
        Some(Memory {
            runs,
            padded: bytemuck::try_cast_slice_mut(padded).ok()?,
            taps,
            tags,
            rows,
            row: sizes.row,
        })
    }
}

#[inline(always)]
fn rows<E: Engine>(
    p: &Conv2d<'_>,
    g: &Geometry,
    decoder: &Decoder<'_>,
    memory: &mut Memory<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let filters = p.output.c;
    let scaling = &Scaling::new(&p.linear);
    // What stays padding in every row is filled in once; rows of a single output have none.
    if !g.single {
        E::fill(g, &[], p.linear.input_zero_point, memory.rows);
    }
    let mut top = 0usize;
    for y in y.chunks_mut(g.width.wrapping_mul(filters).max(1)) {
        load::<E>(g, p.linear.input_zero_point, top, x, memory)?;
        top = top.wrapping_add(g.window.stride[0]);
        let out = &mut Out::new(y, filters, g)?;
        let row = &mut E::start(g, out, scaling);
        apply_filters::<E>(g, decoder, memory, scaling, row, out)?;
    }
    Some(())
}

/// Applies all filters to a row.
#[inline(never)]
fn apply_filters<E: Engine>(
    g: &Geometry,
    decoder: &Decoder<'_>,
    memory: &mut Memory<'_>,
    scaling: &Scaling<'_>,
    row: &mut E::Row,
    out: &mut Out<'_>,
) -> Option<()> {
    let mut decoder = decoder.clone();
    let w = &mut Workspace::new::<E>(g, memory.rows, memory.taps, (memory.runs, memory.padded))?;
    for o in 0..out.filters() {
        let filter = decoder.filter(w)?;
        let scale = &scaling.filter(o);
        if g.single {
            out.finish_once(scale, E::single(&filter, scale.bias));
        } else {
            E::apply(row, &filter, scale, out);
        }
    }
    Some(())
}

/// Brings the input rows under the outputs whose first kernel row lies on row `top`, counted from the padded upper border,
/// into the row buffer, and notes where the data of each kernel position are.
#[inline(never)]
fn load<E: Engine>(
    g: &Geometry,
    zero_point: i8,
    top: usize,
    x: &[i8],
    memory: &mut Memory<'_>,
) -> Option<()> {
    let Memory { taps, tags, rows, row: words, .. } = memory;
    let (units, [kh, kw], [down, _]) = (words.wrapping_mul(4) / E::UNIT, g.window.kernel, g.window.dilation);
    let row_len = g.input.w.wrapping_mul(g.input.c);
    for (ky, taps) in taps.chunks_mut(kw.max(1)).enumerate() {
        let row = top.wrapping_add(ky.wrapping_mul(down));
        // A row keeps its slot while it is in use, unless dilation puts two of them into one.
        let slot = if down == 1 { row.checked_rem(kh)? } else { ky };
        for (kx, tap) in taps.iter_mut().enumerate() {
            *tap = slot.wrapping_mul(units).wrapping_add(E::tap(g, kx)) as u32;
        }
        let tag = tags.get_mut(slot)?;
        if *tag != row as u32 {
            *tag = row as u32;
            let iy = row.wrapping_sub(g.window.padding[0]);
            let (start, to) = (iy.wrapping_mul(row_len), slot.wrapping_mul(*words));
            let end = x.len().min(start.wrapping_add(row_len));
            let pixels = if iy < g.input.h { x.get(start..end)? } else { &[] };
            E::fill(g, pixels, zero_point, rows.get_mut(to..to.wrapping_add(*words))?);
        }
    }
    Some(())
}
