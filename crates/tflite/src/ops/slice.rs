//! SLICE, STRIDED_SLICE, SPLIT, SPLIT_V.

use dtmm_graph::Op;

use crate::dims::normalize_axis;
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

/// The elements `begin, begin + stride, …` before `end` of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub begin: usize,
    pub end: usize,
    pub stride: usize,
}

impl Range {
    fn full(dim: usize) -> Self {
        Range { begin: 0, end: dim, stride: 1 }
    }

    pub fn len(&self) -> usize {
        (self.end - self.begin).div_ceil(self.stride)
    }
}

/// What a slicing operator takes from each source axis, and the result's shape.
pub struct Selection {
    pub ranges: Vec<Range>,
    pub dims: Vec<usize>,
}

pub fn slice(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let dims = importer.activation(node.input(0)?)?.dims;
    let selection = slice_selection(importer, node, &dims)?;
    emit(importer, node, 0, 0, selection)
}

pub fn strided_slice(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let dims = importer.activation(node.input(0)?)?.dims;
    let selection = strided_selection(importer, node, &dims)?;
    emit(importer, node, 0, 0, selection)
}

/// SPLIT has the axis first; all parts have the same size.
pub fn split(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(1)?)?;
    let axis = single_axis(importer, node.input(0)?, x.dims.len())?;
    let parts = node.source.outputs.len();
    if parts == 0 || !x.dims[axis].is_multiple_of(parts) {
        return NodeError::invalid(format!("axis {axis} of {:?} does not split into {parts}", x.dims));
    }
    split_into(importer, node, 1, axis, &vec![x.dims[axis] / parts; parts])
}

/// SPLIT_V has the value first, then sizes (one may be -1), then the axis.
pub fn split_v(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let axis = single_axis(importer, node.input(2)?, x.dims.len())?;
    let sizes = importer.index(node.input(1)?, "the sizes")?;
    let invalid = || NodeError::Invalid(format!("axis {axis} of {:?} does not split into {sizes:?}", x.dims));
    let known: i64 = sizes.iter().filter(|&&s| s > 0).fold(0, |sum, &s| sum.saturating_add(s));
    let rest = x.dims[axis] as i64 - known;
    let resolve = |&s: &i64| usize::try_from(if s == -1 { rest } else { s }).ok().filter(|&s| s > 0);
    let sizes: Vec<usize> = sizes.iter().map(resolve).collect::<Option<_>>().ok_or_else(invalid)?;
    let total = sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s));
    if total != Some(x.dims[axis]) || sizes.len() != node.source.outputs.len() {
        return Err(invalid());
    }
    split_into(importer, node, 0, axis, &sizes)
}

fn split_into(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    input: usize,
    axis: usize,
    sizes: &[usize],
) -> Result<(), NodeError> {
    let from = importer.activation(node.input(input)?)?.dims;
    let mut begin = 0;
    for (output, &size) in sizes.iter().enumerate() {
        let mut ranges: Vec<Range> = from.iter().map(|&d| Range::full(d)).collect();
        ranges[axis] = Range { begin, end: begin + size, stride: 1 };
        let dims = ranges.iter().map(Range::len).collect();
        emit(importer, node, input, output, Selection { ranges, dims })?;
        begin += size;
    }
    Ok(())
}

fn single_axis(importer: &Importer<'_>, t: usize, rank: usize) -> Result<usize, NodeError> {
    match importer.index(t, "the axis")?[..] {
        [axis] => normalize_axis(axis, rank),
        _ => NodeError::invalid("the axis must be one number"),
    }
}

fn emit(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    input: usize,
    output: usize,
    selection: Selection,
) -> Result<(), NodeError> {
    let x = importer.activation(node.input(input)?)?;
    let layout = importer.layout(&x.dims)?;
    let shape = layout.shape();
    let (mut begin, mut end, mut stride) = ([0; 4], shape, [1; 4]);
    let mut partial = false;
    for (axis, range) in selection.ranges.iter().enumerate() {
        if *range == Range::full(x.dims[axis]) {
            continue;
        }
        let Some(nhwc @ 1..=3) = layout.axis(axis) else {
            return NodeError::unsupported(format!("slicing axis {axis} of shape {:?}", x.dims));
        };
        (begin[nhwc], end[nhwc], stride[nhwc]) = (range.begin, range.end, range.stride);
        partial = true;
    }
    if !partial {
        return importer.alias(node, output, x.id, selection.dims);
    }
    importer.emit_output(node, output, Op::Slice { begin, end, stride }, &[x.id], selection.dims)
}

/// What SLICE takes: begin and size, where size -1 means up to the end.
pub fn slice_selection(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
    dims: &[usize],
) -> Result<Selection, NodeError> {
    let begin = importer.index(node.input(1)?, "the begin")?;
    let size = importer.index(node.input(2)?, "the size")?;
    let invalid =
        || NodeError::Invalid(format!("begin {begin:?}, size {size:?} does not fit shape {dims:?}"));
    if begin.len() != dims.len() || size.len() != dims.len() {
        return Err(invalid());
    }
    let range = |a: usize| {
        let begin = usize::try_from(begin[a]).ok()?;
        let end = if size[a] == -1 { dims[a] } else { begin.checked_add(usize::try_from(size[a]).ok()?)? };
        (begin < end && end <= dims[a]).then_some(Range { begin, end, stride: 1 })
    };
    let ranges: Vec<Range> = (0..dims.len()).map(range).collect::<Option<_>>().ok_or_else(invalid)?;
    let dims = ranges.iter().map(Range::len).collect();
    Ok(Selection { ranges, dims })
}

/// The masks of STRIDED_SLICE: bit `i` is about entry `i` of begin, end and strides.
struct Masks {
    begin: i32,
    end: i32,
    ellipsis: i32,
    new_axis: i32,
    shrink: i32,
}

/// What STRIDED_SLICE takes, after NumPy's rules.
pub fn strided_selection(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
    dims: &[usize],
) -> Result<Selection, NodeError> {
    let begin = importer.index(node.input(1)?, "the begin")?;
    let end = importer.index(node.input(2)?, "the end")?;
    let strides = importer.index(node.input(3)?, "the strides")?;
    let options = node.options();
    let mask = |id| options.i32(id, 0);
    let masks =
        Masks { begin: mask(0)?, end: mask(1)?, ellipsis: mask(2)?, new_axis: mask(3)?, shrink: mask(4)? };
    if begin.len() != end.len() || begin.len() != strides.len() || begin.len() > 16 {
        return NodeError::invalid("begin, end and strides differ in length");
    }
    let offset = options.bool(5)?;
    let entry = |i: usize| {
        let end = if offset { begin[i].saturating_add(end[i]) } else { end[i] };
        (begin[i], end, strides[i])
    };
    select(dims, begin.len(), entry, &masks)
}

fn select(
    from: &[usize],
    entries: usize,
    entry: impl Fn(usize) -> (i64, i64, i64),
    masks: &Masks,
) -> Result<Selection, NodeError> {
    let bit = |mask: i32, i: usize| mask >> i & 1 == 1;
    let mut selection = Selection { ranges: vec![], dims: vec![] };
    let used = (0..entries).filter(|&i| !bit(masks.ellipsis, i) && !bit(masks.new_axis, i)).count();
    for i in 0..entries {
        if bit(masks.ellipsis, i) {
            for &d in from.iter().skip(selection.ranges.len()).take(from.len().saturating_sub(used)) {
                selection.ranges.push(Range::full(d));
                selection.dims.push(d);
            }
        } else if bit(masks.new_axis, i) {
            selection.dims.push(1);
        } else {
            let Some(&d) = from.get(selection.ranges.len()) else {
                return NodeError::invalid(format!("more than the {} axes of its input", from.len()));
            };
            let shrink = bit(masks.shrink, i);
            let range = range(d, entry(i), [bit(masks.begin, i), bit(masks.end, i)], shrink)?;
            selection.ranges.push(range);
            selection.dims.extend((!shrink).then_some(range.len()));
        }
    }
    for &d in &from[selection.ranges.len()..] {
        selection.ranges.push(Range::full(d));
        selection.dims.push(d);
    }
    Ok(selection)
}

/// One axis of size `dim`; `open` says whether begin and end are to be ignored.
fn range(
    dim: usize,
    (begin, end, stride): (i64, i64, i64),
    open: [bool; 2],
    shrink: bool,
) -> Result<Range, NodeError> {
    let size = dim as i64;
    let from_front = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
    if shrink {
        let at = normalize_axis(begin, dim)
            .map_err(|_| NodeError::Invalid(format!("index {begin} is out of range for {dim}")))?;
        return Ok(Range { begin: at, end: at + 1, stride: 1 });
    }
    if stride < 1 {
        return NodeError::unsupported(format!("stride {stride}"));
    }
    let begin = if open[0] { 0 } else { from_front(begin).clamp(0, size) };
    let end = if open[1] { size } else { from_front(end).clamp(0, size) };
    if begin >= end {
        return NodeError::invalid(format!("the range {begin}..{end} of an axis of {dim} is empty"));
    }
    Ok(Range { begin: begin as usize, end: end as usize, stride: stride.min(size) as usize })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(ellipsis: i32, new_axis: i32, shrink: i32) -> Masks {
        Masks { begin: 0, end: 0, ellipsis, new_axis, shrink }
    }

    #[test]
    fn follows_numpy() {
        // x[..., 1:-1:2] of [1, 4, 7]
        let s = select(&[1, 4, 7], 2, |i| [(0, 0, 1), (1, -1, 2)][i], &masks(1, 0, 0)).unwrap();
        assert_eq!(s.dims, [1, 4, 3]);
        assert_eq!(s.ranges[2], Range { begin: 1, end: 6, stride: 2 });
        // x[-1, newaxis, :] of [5, 3]
        let s = select(&[5, 3], 2, |i| [(-1, 0, 1), (0, 0, 1)][i], &masks(0, 2, 1)).unwrap();
        assert_eq!((s.ranges[0].begin, s.dims), (4, vec![1, 3]));
    }

    #[test]
    fn refuses_empty_and_reversed_ranges() {
        assert!(range(4, (2, 2, 1), [false; 2], false).is_err());
        assert!(range(4, (3, 0, -1), [false; 2], false).is_err());
        assert!(range(4, (4, 0, 1), [false; 2], true).is_err());
        assert_eq!(range(4, (i64::MIN, i64::MAX, i64::MAX), [false; 2], false).unwrap().len(), 1);
    }
}
