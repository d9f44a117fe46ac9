//! Operators that only change how a tensor is looked at: no data moves here.

use super::context::{Act, NodeImport, Value, one};
use crate::attributes::{axes, axis};
use crate::constant::{Const, check_rank, is_float};
use crate::error::{Fault, bad, unsupported};

pub(crate) fn reshape(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let dims = new_dims(n, &act.view.dims())?;
    check_rank(dims.len())?;
    let act = reshaped(n, &act, &dims)?;
    one(act.tensor, act.view)
}

fn reshaped(n: &mut NodeImport, act: &Act, dims: &[usize]) -> Result<Act, Fault> {
    if let Some(view) = act.view.reshape(dims) {
        return Ok(Act { tensor: act.tensor, view });
    }
    let name = n.name.clone();
    let flat = n.importer.in_onnx_order(act, &name)?;
    match flat.view.reshape(dims) {
        Some(view) => Ok(Act { tensor: flat.tensor, view }),
        None => bad(format!("the shape {:?} cannot become {dims:?}", act.view.dims())),
    }
}

fn new_dims(n: &NodeImport, dims: &[usize]) -> Result<Vec<usize>, Fault> {
    match n.op() {
        "Reshape" => {
            let Some(mut target) = n.ints("shape", 1)? else {
                return bad("the new shape is missing");
            };
            if let Some(batch) = target.first_mut().filter(|b| Some(**b) == n.importer.fixed_batch) {
                *batch = 1;
            }
            reshape_dims(dims, &target, n.attributes.flag("allowzero", false))
        }
        "Flatten" => flatten_dims(dims, n.attributes.int("axis", 1)),
        "Squeeze" => squeeze_dims(dims, n.ints("axes", 1)?.as_deref()),
        _ => match n.ints("axes", 1)? {
            Some(axes) => unsqueeze_dims(dims, &axes),
            None => bad("the axes are missing"),
        },
    }
}

/// ONNX Reshape: 0 copies a dimension, -1 takes what is left.
pub(crate) fn reshape_dims(dims: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, Fault> {
    let fail = || Fault::Bad(format!("the shape {dims:?} cannot become {target:?}"));
    let count = dims.iter().product::<usize>();
    let mut out = Vec::with_capacity(target.len());
    let mut open = None;
    for (i, &t) in target.iter().enumerate() {
        out.push(match t {
            0 if !allow_zero => *dims.get(i).ok_or_else(fail)?,
            -1 if open.replace(i).is_none() => 1,
            t => usize::try_from(t).map_err(|_| fail())?,
        });
    }
    let product = |out: &[usize]| crate::constant::element_count(out).filter(|&p| p > 0 || count == 0);
    let known = product(&out).ok_or_else(fail)?;
    let Some(i) = open else {
        return if known == count { Ok(out) } else { Err(fail()) };
    };
    if known == 0 || !count.is_multiple_of(known) {
        return Err(fail());
    }
    out[i] = count / known;
    Ok(out)
}

pub(crate) fn flatten_dims(dims: &[usize], at: i64) -> Result<Vec<usize>, Fault> {
    let rank = dims.len() as i64;
    let at = if at < 0 { at.saturating_add(rank) } else { at };
    if !(0..=rank).contains(&at) {
        return bad(format!("axis {at} is outside rank {rank}"));
    }
    let (outer, inner) = dims.split_at(at as usize);
    Ok(vec![outer.iter().product(), inner.iter().product()])
}

pub(crate) fn squeeze_dims(dims: &[usize], which: Option<&[i64]>) -> Result<Vec<usize>, Fault> {
    let which = match which {
        Some(v) => axes(v, dims.len())?,
        None => (0..dims.len()).filter(|&i| dims[i] == 1).collect(),
    };
    if which.iter().any(|&a| dims[a] != 1) {
        return bad(format!("it removes axes {which:?} of shape {dims:?}, which are not all 1"));
    }
    Ok((0..dims.len()).filter(|a| !which.contains(a)).map(|a| dims[a]).collect())
}

pub(crate) fn unsqueeze_dims(dims: &[usize], which: &[i64]) -> Result<Vec<usize>, Fault> {
    let rank = dims.len() + which.len();
    let which = axes(which, rank)?;
    let mut rest = dims.iter().copied();
    Ok((0..rank).map(|a| if which.contains(&a) { 1 } else { rest.next().unwrap_or(1) }).collect())
}

/// The permutation of a Transpose; reversal when there is none.
pub(crate) fn permutation(perm: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, Fault> {
    let Some(perm) = perm else { return Ok((0..rank).rev().collect()) };
    let out = perm.iter().map(|&p| axis(p, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = out.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..rank) {
        Ok(out)
    } else {
        bad(format!("{perm:?} is no permutation of {rank} axes"))
    }
}

pub(crate) fn transpose(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let perm = permutation(n.attributes.ints("perm"), act.view.rank())?;
    one(act.tensor, act.view.transpose(&perm))
}

pub(crate) fn identity(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    if n.op() == "Cast" && !is_float(n.attributes.int("to", 1) as i32)? {
        return unsupported("it turns an activation into integers");
    }
    one(act.tensor, act.view)
}

/// The (static) shape of an activation as a constant, with batch 1.
pub(crate) fn shape(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let rank = act.view.rank() as i64;
    let clamp = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let start = clamp(n.attributes.int("start", 0));
    let end = clamp(n.attributes.int("end", rank)).max(start);
    let dims: Vec<i64> = act.view.dims()[start..end].iter().map(|&d| d as i64).collect();
    Ok(vec![n.importer.constant_value(Const::ints(vec![dims.len()], dims))?])
}
