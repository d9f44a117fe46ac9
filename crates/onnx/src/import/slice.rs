//! Slice, Split, Pad and Concat.

use dtmm_graph::{Op, TensorId};

use super::context::{Act, NodeImport, Value, one};
use crate::attributes::{axes, axis};
use crate::error::{Fault, bad, unsupported};
use crate::view::{Groups, View};

/// What a Slice takes of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) axis: usize,
    pub(crate) begin: usize,
    pub(crate) count: usize,
    /// Never 0; negative steps walk backwards from `begin`.
    pub(crate) step: i64,
}

impl Range {
    fn of(axis: usize, size: usize, [start, end, step]: [i64; 3]) -> Self {
        let size = size as i64;
        let wrap = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        let (begin, span) = match step > 0 {
            true => {
                let begin = wrap(start).clamp(0, size);
                (begin, wrap(end).clamp(0, size) - begin)
            }
            false => {
                let begin = wrap(start).clamp(-1, size - 1);
                (begin, begin - wrap(end).clamp(-1, size - 1))
            }
        };
        let step = step.clamp(-size.max(1), size.max(1));
        let count = (span.max(0) as u64).div_ceil(step.unsigned_abs()) as usize;
        Range { axis, begin: begin.max(0) as usize, count, step }
    }

    /// The positions taken, in order.
    pub(crate) fn positions(self) -> impl Iterator<Item = usize> + Clone {
        (0..self.count as i64).map(move |i| (self.begin as i64 + i * self.step) as usize)
    }
}

/// Resolves ONNX slice parameters: negative indices, clamping, default axes and steps.
pub(crate) fn ranges(
    dims: &[usize],
    starts: &[i64],
    ends: &[i64],
    which: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Result<Vec<Range>, Fault> {
    let count = starts.len();
    let fits = |v: Option<&[i64]>| v.is_none_or(|v| v.len() == count);
    if ends.len() != count || !fits(which) || !fits(steps) || count > dims.len() {
        return bad("starts, ends, axes and steps differ in length");
    }
    let mut out = Vec::with_capacity(count);
    for i in 0..count {
        let axis = axis(which.map_or(i as i64, |w| w[i]), dims.len())?;
        let step = steps.map_or(1, |s| s[i]);
        if step == 0 {
            return bad("a step is zero");
        }
        out.push(Range::of(axis, dims[axis], [starts[i], ends[i], step]));
    }
    Ok(out)
}

pub(crate) fn slice(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let (Some(starts), Some(ends)) = (n.ints("starts", 1)?, n.ints("ends", 2)?) else {
        return bad("starts or ends are missing");
    };
    let (which, steps) = (n.ints("axes", 3)?, n.ints("steps", 4)?);
    let ranges = ranges(&act.view.dims(), &starts, &ends, which.as_deref(), steps.as_deref())?;
    let (x, groups) = n.with_own_axes(&act)?;
    let (y, view) = cut(n, x, &groups, &act.view.dims(), &ranges, None)?;
    one(y, view)
}

fn cut(
    n: &mut NodeImport,
    x: TensorId,
    groups: &Groups,
    dims: &[usize],
    ranges: &[Range],
    part: Option<String>,
) -> Result<(TensorId, View), Fault> {
    let mut dims = dims.to_vec();
    let (mut begin, mut end, mut stride) = ([0; 4], n.shape(x), [1; 4]);
    for r in ranges {
        if r.count == 0 {
            return bad(format!("it takes nothing of axis {} (size {})", r.axis, dims[r.axis]));
        }
        let Ok(step @ 1..) = usize::try_from(r.step) else {
            return unsupported(format!("step {}, only positive steps are supported", r.step));
        };
        let at = own_axis(groups, r.axis, &dims)?;
        (begin[at], end[at], stride[at]) = (r.begin, r.begin + (r.count - 1) * step + 1, step);
        dims[r.axis] = r.count;
    }
    let op = Op::Slice { begin, end, stride };
    let y = match part {
        _ if begin == [0; 4] && stride == [1; 4] && end == n.shape(x) => x,
        Some(part) => n.emit_part(&part, op, &[x])?,
        None => n.emit(op, &[x])?,
    };
    Ok((y, View::from_groups(&dims, groups)))
}

/// The tensor dimension that is made of this ONNX axis alone.
fn own_axis(groups: &Groups, axis: usize, dims: &[usize]) -> Result<usize, Fault> {
    let Some(at) = groups.iter().position(|g| g.contains(&axis)) else {
        return bad(format!("axis {axis} does not exist"));
    };
    let alone = groups[at].iter().all(|&a| a == axis || dims[a] == 1);
    if alone { Ok(at) } else { unsupported(format!("axis {axis} cannot be separated from its neighbours")) }
}

pub(crate) fn split(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let dims = act.view.dims();
    let axis = axis(n.attributes.int("axis", 0), dims.len())?;
    let count = n.node.output.len();
    let sizes: Vec<usize> = match n.ints("split", 1)? {
        Some(v) => v.iter().map(|&s| crate::attributes::size(s, "split")).collect::<Result<_, _>>()?,
        None => {
            let step = dims[axis].div_ceil(count.max(1));
            (0..count).map(|i| dims[axis].saturating_sub(i * step).min(step)).collect()
        }
    };
    if sizes.len() != count || sizes.iter().sum::<usize>() != dims[axis] {
        return bad(format!("the sizes {sizes:?} for {count} outputs do not add up to {}", dims[axis]));
    }
    let (x, groups) = n.with_own_axes(&act)?;
    let mut begin = 0;
    let mut outputs = vec![];
    for (i, size) in sizes.into_iter().enumerate() {
        let range = Range { axis, begin, count: size, step: 1 };
        let (tensor, view) = cut(n, x, &groups, &dims, &[range], Some(format!("split{i}")))?;
        outputs.push(Value::Act(Act { tensor, view }));
        begin += size;
    }
    Ok(outputs)
}

pub(crate) fn pad(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let mut dims = act.view.dims();
    let mode = n.attributes.string("mode", "constant")?;
    if mode != "constant" {
        return unsupported(format!("mode '{mode}', only 'constant' is supported"));
    }
    let Some(pads) = n.ints("pads", 1)? else {
        return bad("the pads are missing");
    };
    let value = match n.constant(2)? {
        Some(c) => c.scalar()?,
        None => n.attributes.float("value", 0.0),
    };
    let which = match n.constant(3)? {
        Some(c) => axes_in_order(c.as_ints()?, dims.len())?,
        None => (0..dims.len()).collect(),
    };
    if pads.len() != 2 * which.len() {
        return bad(format!("{} pads for {} axes", pads.len(), which.len()));
    }
    if pads.iter().any(|&p| p < 0) {
        return unsupported("negative pads");
    }
    let (x, groups) = n.with_own_axes(&act)?;
    let (mut before, mut after) = ([0; 4], [0; 4]);
    for (i, &axis) in which.iter().enumerate() {
        let (b, a) = (pads[i], pads[i + which.len()]);
        if (b, a) == (0, 0) {
            continue;
        }
        let at = own_axis(&groups, axis, &dims)?;
        before[at] = crate::attributes::size(b, "pads")?;
        after[at] = crate::attributes::size(a, "pads")?;
        dims[axis] += before[at] + after[at];
    }
    if before[0] + after[0] > 0 {
        return unsupported("it pads the batch axis");
    }
    if before == after && before == [0; 4] {
        return one(x, View::from_groups(&dims, &groups));
    }
    let y = n.emit(Op::Pad { before, after, value }, &[x])?;
    one(y, View::from_groups(&dims, &groups))
}

fn axes_in_order(values: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    axes(values, rank)?;
    values.iter().map(|&v| axis(v, rank)).collect()
}

pub(crate) fn concat(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let mut acts = vec![];
    for i in 0..n.input_count() {
        if let Some(Value::Act(_)) = n.input(i) {
            acts.push(n.act(i)?);
        }
    }
    let Some(lead) = acts.first() else { return bad("it has no input") };
    let rank = lead.view.rank();
    let axis = axis(n.attributes.int("axis", 1), rank)?;
    let mut dims = lead.view.dims();
    if acts.iter().any(|a| a.view.rank() != rank) {
        return bad("its inputs differ in rank");
    }
    let groups = n.cheapest_groups(&acts.iter().collect::<Vec<_>>())?;
    if let [act] = &acts[..]
        && let Some(padded) = concat_as_pad(n, act, axis, &groups)?
    {
        return Ok(padded);
    }
    let mut inputs = vec![];
    dims[axis] = 0;
    for i in 0..n.input_count() {
        let (tensor, size) = concat_input(n, i, &groups, axis, rank)?;
        dims[axis] += size;
        inputs.push(tensor);
    }
    let at = concat_axis(&groups, axis, &dims)?;
    let y = n.emit(Op::Concat { axis: at }, &inputs)?;
    one(y, View::from_groups(&dims, &groups))
}

fn concat_axis(groups: &Groups, axis: usize, dims: &[usize]) -> Result<usize, Fault> {
    match own_axis(groups, axis, dims)? {
        0 => unsupported("it joins along the batch axis"),
        at => Ok(at),
    }
}

/// One activation between constants of a single value is padding, as in option-A shortcuts.
fn concat_as_pad(
    n: &mut NodeImport,
    act: &Act,
    axis: usize,
    groups: &Groups,
) -> Result<Option<Vec<Value>>, Fault> {
    let mut dims = act.view.dims();
    let (mut sides, mut value, mut side) = ([0, 0], None, 0);
    for i in 0..n.input_count() {
        let c = match n.input(i) {
            Some(Value::Const(c)) => c,
            _ => {
                side = 1;
                continue;
            }
        };
        let fits = c.dims.len() == dims.len() && (0..dims.len()).all(|a| a == axis || c.dims[a] == dims[a]);
        let values = c.to_floats();
        let same = values.iter().all(|v| *value.get_or_insert(*v) == *v);
        if !fits || !same {
            return Ok(None);
        }
        sides[side] += c.dims[axis];
    }
    let Some(value) = value else { return Ok(None) };
    let x = n.arrange(act, groups)?;
    let at = concat_axis(groups, axis, &dims)?;
    let (mut before, mut after) = ([0; 4], [0; 4]);
    (before[at], after[at]) = (sides[0], sides[1]);
    dims[axis] += sides[0] + sides[1];
    let y = n.emit(Op::Pad { before, after, value }, &[x])?;
    Ok(Some(one(y, View::from_groups(&dims, groups))?))
}

fn concat_input(
    n: &mut NodeImport,
    i: usize,
    groups: &Groups,
    axis: usize,
    rank: usize,
) -> Result<(TensorId, usize), Fault> {
    match n.input(i) {
        Some(Value::Const(c)) if c.dims.len() == rank => {
            let c = c.clone();
            let tensor = n.constant_in(&c.name, &c.dims, &c.to_floats(), groups)?;
            Ok((tensor, c.dims[axis]))
        }
        Some(Value::Act(_)) => {
            let act = n.act(i)?;
            Ok((n.arrange(&act, groups)?, act.view.dim(axis)))
        }
        _ => bad(format!("input {i} is missing or of another rank")),
    }
}

impl NodeImport<'_> {
    /// The activation under the roles that move it least, each ONNX axis in a dimension of its own.
    fn with_own_axes(&mut self, act: &Act) -> Result<(TensorId, Groups), Fault> {
        let groups = self.cheapest_groups(&[act])?;
        Ok((self.arrange(act, &groups)?, groups))
    }
}
