//! Operators that move or describe constant data.

use super::Call;
use crate::attributes::{axis, size as sane_size};
use crate::constant::{self, Const, Values, element_count};
use crate::error::{Fault, bad};
use crate::import::{flatten_dims, permutation, ranges, reshape_dims, squeeze_dims, unsqueeze_dims};
use crate::view::gather_indices;

/// Row-major steps of an array.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut out = vec![1; dims.len()];
    for i in (1..dims.len()).rev() {
        out[i - 1] = out[i] * dims[i];
    }
    out
}

/// The elements at `indices`, as an array of `dims`.
pub(super) fn pick(c: &Const, dims: Vec<usize>, indices: &[usize]) -> Result<Const, Fault> {
    fn all<T: Copy>(v: &[T], indices: &[usize]) -> Option<Vec<T>> {
        indices.iter().map(|&i| v.get(i).copied()).collect()
    }
    let values = match &c.values {
        Values::Float(v) => all(v, indices).map(Values::Float),
        Values::Int(v) => all(v, indices).map(Values::Int),
    };
    match values {
        Some(values) => Ok(Const { name: String::new(), dims, values, unsigned: c.unsigned }),
        None => bad("an index is out of range"),
    }
}

pub(super) fn constant_of_shape(call: &Call) -> Result<Const, Fault> {
    let dims = call.input(0)?.as_ints()?.iter().map(|&d| sane_size(d, "shape"));
    let dims = dims.collect::<Result<Vec<_>, _>>()?;
    let count = call.count(&dims)?;
    let value = match call.attributes.tensor("value") {
        Some(t) => constant::decode(t, call.folder)?,
        None => Const::floats(vec![1], vec![0.0]),
    };
    if value.values.len() != 1 {
        return bad("its value must have one element");
    }
    pick(&value, dims, &vec![0; count])
}

pub(super) fn shape(call: &Call) -> Result<Const, Fault> {
    let dims: Vec<i64> = call.input(0)?.dims.iter().map(|&d| d as i64).collect();
    let rank = dims.len() as i64;
    let clamp = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let start = clamp(call.attributes.int("start", 0));
    let end = clamp(call.attributes.int("end", rank)).max(start);
    Ok(Const::ints(vec![end - start], dims[start..end].to_vec()))
}

pub(super) fn size(call: &Call) -> Result<Const, Fault> {
    Ok(Const::ints(vec![], vec![call.input(0)?.values.len() as i64]))
}

pub(super) fn gather(call: &Call) -> Result<Const, Fault> {
    let (data, indices) = (call.input(0)?, call.input(1)?);
    let at = axis(call.attributes.int("axis", 0), data.dims.len())?;
    let (outer, inner) = (&data.dims[..at], &data.dims[at + 1..]);
    let dims = [outer, &indices.dims, inner].concat();
    call.count(&dims)?;
    let wanted: Vec<usize> =
        indices.as_ints()?.iter().map(|&i| axis(i, data.dims[at])).collect::<Result<_, _>>()?;
    let inner = inner.iter().product::<usize>();
    let picked = (0..outer.iter().product::<usize>()).flat_map(|o| {
        let row = move |&i: &usize| (0..inner).map(move |k| (o * data.dims[at] + i) * inner + k);
        wanted.iter().flat_map(row)
    });
    pick(data, dims, &picked.collect::<Vec<_>>())
}

pub(super) fn reshape(call: &Call) -> Result<Const, Fault> {
    let c = call.input(0)?;
    let dims = match call.op {
        "Reshape" => match call.ints("shape", 1)? {
            Some(target) => reshape_dims(&c.dims, &target, call.attributes.flag("allowzero", false))?,
            None => return bad("the new shape is missing"),
        },
        "Flatten" => flatten_dims(&c.dims, call.attributes.int("axis", 1))?,
        "Squeeze" => squeeze_dims(&c.dims, call.ints("axes", 1)?.as_deref())?,
        _ => match call.ints("axes", 1)? {
            Some(axes) => unsqueeze_dims(&c.dims, &axes)?,
            None => return bad("the axes are missing"),
        },
    };
    if element_count(&dims) != Some(c.values.len()) {
        return bad(format!("the shape {:?} cannot become {dims:?}", c.dims));
    }
    call.count(&dims)?;
    Ok(Const { dims, ..c.clone() })
}

pub(super) fn transpose(call: &Call) -> Result<Const, Fault> {
    let c = call.input(0)?;
    let perm = permutation(call.attributes.ints("perm"), c.dims.len())?;
    let source = strides(&c.dims);
    let dims: Vec<usize> = perm.iter().map(|&p| c.dims[p]).collect();
    call.count(&dims)?;
    let steps: Vec<usize> = perm.iter().map(|&p| source[p]).collect();
    let indices = gather_indices(&dims, &steps);
    pick(c, dims, &indices)
}

pub(super) fn concat(call: &Call) -> Result<Const, Fault> {
    let first = call.input(0)?;
    let at = axis(call.attributes.int("axis", 0), first.dims.len())?;
    let mut dims = first.dims.clone();
    dims[at] = 0;
    let float = matches!(first.values, Values::Float(_));
    for i in 0..call.inputs.len() {
        let c = call.input(i)?;
        let fits = c.dims.len() == dims.len() && (0..dims.len()).all(|a| a == at || c.dims[a] == dims[a]);
        if !fits || matches!(c.values, Values::Float(_)) != float {
            return bad(format!("input {i} of shape {:?} does not fit {:?}", c.dims, first.dims));
        }
        dims[at] = dims[at].saturating_add(c.dims[at]);
    }
    call.count(&dims)?;
    let (mut floats, mut ints) = (vec![], vec![]);
    for o in 0..dims[..at].iter().product::<usize>() {
        for i in 0..call.inputs.len() {
            let c = call.input(i)?;
            let row = c.dims[at..].iter().product::<usize>();
            match &c.values {
                Values::Float(v) => floats.extend_from_slice(&v[o * row..(o + 1) * row]),
                Values::Int(v) => ints.extend_from_slice(&v[o * row..(o + 1) * row]),
            }
        }
    }
    Ok(if float { Const::floats(dims, floats) } else { Const::ints(dims, ints) })
}

pub(super) fn slice(call: &Call) -> Result<Const, Fault> {
    let c = call.input(0)?;
    let (Some(starts), Some(ends)) = (call.ints("starts", 1)?, call.ints("ends", 2)?) else {
        return bad("starts or ends are missing");
    };
    let (which, steps) = (call.ints("axes", 3)?, call.ints("steps", 4)?);
    let mut dims = c.dims.clone();
    let mut taken: Vec<Vec<usize>> = dims.iter().map(|&size| (0..size).collect()).collect();
    for r in ranges(&c.dims, &starts, &ends, which.as_deref(), steps.as_deref())? {
        dims[r.axis] = r.count;
        taken[r.axis] = r.positions().collect();
    }
    call.count(&dims)?;
    let indices = taken.iter().zip(strides(&c.dims)).fold(vec![0], |lead: Vec<usize>, (positions, step)| {
        lead.iter().flat_map(|l| positions.iter().map(move |p| l + p * step)).collect()
    });
    pick(c, dims, &indices)
}

/// Result dimensions and, for an array of `dims`, its steps in the result.
pub(super) fn broadcast_steps(dims: &[usize], result: &[usize]) -> Vec<usize> {
    let lead = result.len() - dims.len();
    let own = strides(dims);
    (0..result.len()).map(|i| if i < lead || dims[i - lead] == 1 { 0 } else { own[i - lead] }).collect()
}

/// Dimensions of broadcasting two arrays.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Fault> {
    let rank = a.len().max(b.len());
    let dim = |d: &[usize], i: usize| (i + d.len()).checked_sub(rank).map_or(1, |i| d[i]);
    let join = |i: usize| match (dim(a, i), dim(b, i)) {
        (1, d) | (d, 1) => Some(d),
        (x, y) => (x == y).then_some(x),
    };
    match (0..rank).map(join).collect::<Option<Vec<_>>>() {
        Some(dims) => Ok(dims),
        None => bad(format!("the shapes {a:?} and {b:?} do not broadcast")),
    }
}

/// The constant repeated to the larger shape `dims`.
pub(super) fn broadcast_to(call: &Call, c: &Const, dims: &[usize]) -> Result<Const, Fault> {
    call.count(dims)?;
    let indices = gather_indices(dims, &broadcast_steps(&c.dims, dims));
    pick(c, dims.to_vec(), &indices)
}

pub(super) fn expand(call: &Call) -> Result<Const, Fault> {
    let c = call.input(0)?;
    let target = call.input(1)?.as_ints()?.iter().map(|&d| sane_size(d, "shape"));
    let dims = broadcast(&c.dims, &target.collect::<Result<Vec<_>, _>>()?)?;
    broadcast_to(call, c, &dims)
}

pub(super) fn cast(call: &Call) -> Result<Const, Fault> {
    let c = call.input(0)?;
    let to = call.attributes.int("to", 1);
    let float = constant::is_float(i32::try_from(to).unwrap_or(0))?;
    const BOOL: i64 = 9;
    let values = match &c.values {
        Values::Float(v) if to == BOOL => Values::Int(v.iter().map(|&f| i64::from(f != 0.0)).collect()),
        Values::Int(v) if to == BOOL => Values::Int(v.iter().map(|&i| i64::from(i != 0)).collect()),
        Values::Float(v) if !float => Values::Int(v.iter().map(|&f| f as i64).collect()),
        Values::Int(_) if float => Values::Float(c.to_floats()),
        same => same.clone(),
    };
    Ok(Const { values, ..Const::ints(c.dims.clone(), vec![]) })
}

pub(super) fn identity(call: &Call) -> Result<Const, Fault> {
    call.input(0).cloned()
}

pub(super) fn range(call: &Call) -> Result<Const, Fault> {
    let one = |i: usize| match call.input(i)?.as_ints()? {
        [v] => Ok(*v),
        _ => bad("its inputs must be integer scalars"),
    };
    let (start, limit, delta) = (one(0)?, one(1)?, one(2)?);
    if delta == 0 {
        return bad("its step is zero");
    }
    let span = i128::from(limit) - i128::from(start);
    let count = (span + i128::from(delta) - i128::from(delta.signum())) / i128::from(delta);
    let count = call.count(&[usize::try_from(count.max(0)).unwrap_or(usize::MAX)])?;
    let values = (0..count as i64).map(|i| start.wrapping_add(i.wrapping_mul(delta))).collect();
    Ok(Const::ints(vec![count], values))
}
