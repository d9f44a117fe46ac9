//! Arithmetic on constants.

use super::Call;
use super::data::{broadcast, broadcast_to};
use crate::attributes::{axes, axis};
use crate::constant::{Const, Values};
use crate::error::{Fault, bad, unsupported};

pub(super) fn binary(call: &Call) -> Result<Const, Fault> {
    let mut result = call.input(0)?.clone();
    let more = call.inputs.len();
    if more < 2 {
        return if matches!(call.op, "Min" | "Max") { Ok(result) } else { bad("it takes two inputs") };
    }
    for i in 1..more {
        result = two(call, &result, call.input(i)?)?;
    }
    Ok(result)
}

fn two(call: &Call, a: &Const, b: &Const) -> Result<Const, Fault> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let (a, b) = (broadcast_to(call, a, &dims)?, broadcast_to(call, b, &dims)?);
    let comparison = matches!(call.op, "Equal" | "Less" | "Greater");
    Ok(match (&a.values, &b.values) {
        (Values::Int(x), Values::Int(y)) => {
            let pairs = x.iter().zip(y).map(|(&x, &y)| of_ints(call.op, x, y));
            Const::ints(dims, pairs.collect::<Result<_, _>>()?)
        }
        (Values::Float(x), Values::Float(y)) if comparison => {
            let pairs = x.iter().zip(y).map(|(&x, &y)| match call.op {
                "Equal" => i64::from(x == y),
                "Less" => i64::from(x < y),
                _ => i64::from(x > y),
            });
            Const::ints(dims, pairs.collect())
        }
        _ => {
            let (x, y) = (a.to_floats(), b.to_floats());
            let pairs = x.iter().zip(&y).map(|(&x, &y)| of_floats(call.op, x, y));
            Const::floats(dims, pairs.collect::<Result<_, _>>()?)
        }
    })
}

fn of_ints(op: &str, x: i64, y: i64) -> Result<i64, Fault> {
    let value = match op {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "Div" => x.checked_div(y),
        "Min" => Some(x.min(y)),
        "Max" => Some(x.max(y)),
        "Pow" => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        "Equal" => Some(i64::from(x == y)),
        "Less" => Some(i64::from(x < y)),
        _ => Some(i64::from(x > y)),
    };
    value.ok_or_else(|| Fault::Bad(format!("{op} of {x} and {y} has no value")))
}

fn of_floats(op: &str, x: f32, y: f32) -> Result<f32, Fault> {
    Ok(match op {
        "Add" => x + y,
        "Sub" => x - y,
        "Mul" => x * y,
        "Div" => x / y,
        "Min" => x.min(y),
        "Max" => x.max(y),
        "Pow" => x.powf(y),
        _ => return unsupported("of these types"),
    })
}

pub(super) fn unary(call: &Call) -> Result<Const, Fault> {
    let c = call.input(0)?;
    let values = match &c.values {
        Values::Float(v) => {
            let f: fn(f32) -> f32 = match call.op {
                "Neg" => |x| -x,
                "Abs" => f32::abs,
                "Sqrt" => f32::sqrt,
                "Reciprocal" => |x| 1.0 / x,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                _ => return unsupported("of floats"),
            };
            Values::Float(v.iter().map(|&x| f(x)).collect())
        }
        Values::Int(v) => {
            let f: fn(i64) -> i64 = match call.op {
                "Neg" => i64::wrapping_neg,
                "Abs" => i64::wrapping_abs,
                "Not" => |x| i64::from(x == 0),
                _ => return unsupported("of integers"),
            };
            Values::Int(v.iter().map(|&x| f(x)).collect())
        }
    };
    Ok(Const { values, ..Const::ints(c.dims.clone(), vec![]) })
}

pub(super) fn select(call: &Call) -> Result<Const, Fault> {
    let (condition, a, b) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let dims = broadcast(&broadcast(&condition.dims, &a.dims)?, &b.dims)?;
    let condition = broadcast_to(call, condition, &dims)?;
    let (a, b) = (broadcast_to(call, a, &dims)?, broadcast_to(call, b, &dims)?);
    let choices = condition.as_ints()?.iter();
    Ok(match (&a.values, &b.values) {
        (Values::Int(a), Values::Int(b)) => {
            let v = choices.zip(a.iter().zip(b)).map(|(&c, (&a, &b))| if c != 0 { a } else { b });
            Const::ints(dims, v.collect())
        }
        (Values::Float(a), Values::Float(b)) => {
            let v = choices.zip(a.iter().zip(b)).map(|(&c, (&a, &b))| if c != 0 { a } else { b });
            Const::floats(dims, v.collect())
        }
        _ => return bad("its alternatives differ in type"),
    })
}

/// ReduceProd and ReduceSum of integer vectors, as shape computations use them.
pub(super) fn reduce_all(call: &Call) -> Result<Const, Fault> {
    let c = call.input(0)?;
    let rank = c.dims.len();
    let which = call.ints("axes", 1)?.map_or(Ok((0..rank).collect()), |v| axes(&v, rank))?;
    if which.len() != rank {
        return unsupported("over some axes of a constant");
    }
    let step = |acc: Option<i64>, &v: &i64| match call.op {
        "ReduceProd" => acc?.checked_mul(v),
        _ => acc?.checked_add(v),
    };
    let start = i64::from(call.op == "ReduceProd");
    let Some(total) = c.as_ints()?.iter().fold(Some(start), step) else {
        return bad("its result overflows");
    };
    let dims = if call.attributes.flag("keepdims", true) { vec![1; rank] } else { vec![] };
    Ok(Const::ints(dims, vec![total]))
}

/// Quantised weights become floats.
pub(super) fn dequantize(call: &Call) -> Result<Const, Fault> {
    let (q, scale) = (call.input(0)?, call.input(1)?);
    let scales = scale.as_floats()?;
    let zero_points = match call.optional(2) {
        Some(c) => c.as_ints()?.to_vec(),
        None => vec![0; scales.len()],
    };
    let per_tensor = scales.len() == 1;
    let at = if per_tensor { 0 } else { axis(call.attributes.int("axis", 1), q.dims.len())? };
    if zero_points.len() != scales.len() || !(per_tensor || q.dims[at] == scales.len()) {
        return bad(format!("{} scales do not fit shape {:?}", scales.len(), q.dims));
    }
    let inner = if per_tensor { usize::MAX } else { q.dims[at + 1..].iter().product::<usize>().max(1) };
    let value = |(i, &v): (usize, &i64)| {
        let k = i / inner % scales.len();
        v.wrapping_sub(zero_points[k]) as f32 * scales[k]
    };
    Ok(Const::floats(q.dims.clone(), q.as_ints()?.iter().enumerate().map(value).collect()))
}
