//! Evaluates what is known during the import: the integers that describe shapes, and dequantised weights.

use crate::constant::{Constant, Values};
use crate::dims::{broadcast, element_count, normalize_axis};
use crate::error::NodeError;
use crate::importer::{Importer, NodeView, Slot};
use crate::ops::layout;
use crate::quantization::quant_params;

/// Operators that are evaluated when all their inputs are constant (SHAPE always).
pub const FOLDABLE: [&str; 19] = [
    "ADD",
    "CAST",
    "CONCATENATION",
    "DEQUANTIZE",
    "DIV",
    "EXPAND_DIMS",
    "FLOOR_DIV",
    "GATHER",
    "MUL",
    "PACK",
    "REDUCE_PROD",
    "RESHAPE",
    "SHAPE",
    "SLICE",
    "SQUEEZE",
    "STRIDED_SLICE",
    "SUB",
    "TRANSPOSE",
    "UNPACK",
];

/// Index arithmetic on more elements than this is no shape computation.
const MAX_INDEX: usize = 4096;

/// Evaluates the node when its inputs allow it; false when it must run on the device.
pub fn fold(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<bool, NodeError> {
    let constant = node.inputs().all(|t| importer.is_constant(t));
    if node.operator != "SHAPE" && (!constant || node.inputs().next().is_none()) {
        return Ok(false);
    }
    if node.operator == "UNPACK" {
        return unpack(importer, node).map(|()| true);
    }
    let value = evaluate(importer, node)?;
    store(importer, node, 0, value)?;
    Ok(true)
}

fn store(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    output: usize,
    value: Constant,
) -> Result<(), NodeError> {
    importer.model.flat.charge(8 * value.values.len())?;
    importer.set(node.output(output)?, Slot::Folded(value))
}

fn evaluate(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Constant, NodeError> {
    match node.operator.as_str() {
        "SHAPE" => shape(importer, node),
        "PACK" => pack(importer, node),
        "CONCATENATION" => concatenation(importer, node),
        "ADD" => arithmetic(importer, node, i64::checked_add),
        "SUB" => arithmetic(importer, node, i64::checked_sub),
        "MUL" => arithmetic(importer, node, i64::checked_mul),
        "DIV" => arithmetic(importer, node, i64::checked_div),
        "FLOOR_DIV" => arithmetic(importer, node, floor_div),
        "REDUCE_PROD" => reduce_prod(importer, node),
        "GATHER" => gather(importer, node),
        "CAST" => Ok(importer.required(node.input(0)?, "its input")?),
        "DEQUANTIZE" => dequantize(importer, node),
        _ => layout(importer, node, importer.required(node.input(0)?, "its input")?),
    }
}

fn shape(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Constant, NodeError> {
    let t = node.input(0)?;
    let dims = match importer.constant(t)? {
        Some(c) => c.dims,
        None => importer.activation(t)?.dims,
    };
    Ok(Constant::index(vec![dims.len()], dims.iter().map(|&d| d as i64).collect()))
}

/// The integers of an input, of a size that shape computations have.
fn ints(importer: &Importer<'_>, t: usize) -> Result<(Vec<usize>, Vec<i64>), NodeError> {
    let c = importer.required(t, "its input")?;
    match c.values.as_index() {
        Some(v) if v.len() <= MAX_INDEX => Ok((c.dims, v)),
        Some(v) => NodeError::unsupported(format!("index arithmetic on {} elements", v.len())),
        None => NodeError::unsupported("all its inputs are constant"),
    }
}

/// Joins scalars (or equal lists) along a new first axis.
fn pack(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Constant, NodeError> {
    let axis = node.options().i32(1, 0)?;
    let (mut values, mut inner, mut count) = (Vec::new(), None, 0);
    for t in node.inputs() {
        let (dims, v) = ints(importer, t)?;
        if *inner.get_or_insert_with(|| dims.clone()) != dims {
            return NodeError::invalid("the packed values differ in shape");
        }
        values.extend(v);
        count += 1;
    }
    let inner = inner.unwrap_or_default();
    if normalize_axis(i64::from(axis), inner.len() + 1)? != 0 {
        return NodeError::unsupported(format!("packing along axis {axis}"));
    }
    Ok(Constant::index([count].into_iter().chain(inner).collect(), values))
}

fn unpack(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let (dims, values) = ints(importer, node.input(0)?)?;
    let axis = normalize_axis(i64::from(node.options().i32(1, 0)?), dims.len())?;
    let parts = node.source.outputs.len();
    if axis != 0 || dims[0] != parts {
        return NodeError::unsupported(format!(
            "unpacking {parts} parts of shape {dims:?} along axis {axis}"
        ));
    }
    let size = values.len() / parts;
    for (output, part) in values.chunks_exact(size).enumerate() {
        store(importer, node, output, Constant::index(dims[1..].to_vec(), part.to_vec()))?;
    }
    Ok(())
}

fn concatenation(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Constant, NodeError> {
    let mut values = Vec::new();
    for t in node.inputs() {
        let (dims, v) = ints(importer, t)?;
        if dims.len() != 1 {
            return NodeError::unsupported(format!("joining constants of shape {dims:?}"));
        }
        values.extend(v);
    }
    Ok(Constant::index(vec![values.len()], values))
}

fn arithmetic(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
    op: fn(i64, i64) -> Option<i64>,
) -> Result<Constant, NodeError> {
    let (a_dims, a) = ints(importer, node.input(0)?)?;
    let (b_dims, b) = ints(importer, node.input(1)?)?;
    let dims = broadcast(&a_dims, &b_dims)?;
    let count = element_count(&dims).unwrap_or(usize::MAX);
    let simple = |v: &[i64]| v.len() == count || v.len() == 1;
    if !simple(&a) || !simple(&b) {
        return NodeError::unsupported(format!("index arithmetic on shapes {a_dims:?} and {b_dims:?}"));
    }
    let at = |v: &[i64], i: usize| if v.len() == 1 { v[0] } else { v[i] };
    let values: Option<Vec<i64>> = (0..count).map(|i| op(at(&a, i), at(&b, i))).collect();
    let values = values.ok_or_else(|| NodeError::Invalid("index arithmetic overflows".into()))?;
    Ok(Constant::index(dims, values))
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let rounded_up = a.checked_rem(b)? != 0 && (a < 0) != (b < 0);
    a.checked_div(b)?.checked_sub(i64::from(rounded_up))
}

fn reduce_prod(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Constant, NodeError> {
    let (dims, values) = ints(importer, node.input(0)?)?;
    let axes = importer.index(node.input(1)?, "its axes")?;
    if dims.len() != 1 || axes.len() != 1 {
        return NodeError::unsupported(format!("a product over axes {axes:?} of shape {dims:?}"));
    }
    let product = values.iter().try_fold(1i64, |n, &v| n.checked_mul(v));
    let product = product.ok_or_else(|| NodeError::Invalid("index arithmetic overflows".into()))?;
    let keep = node.options().bool(0)?;
    Ok(Constant::index(if keep { vec![1] } else { vec![] }, vec![product]))
}

fn gather(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Constant, NodeError> {
    let (from, values) = ints(importer, node.input(0)?)?;
    let (dims, positions) = ints(importer, node.input(1)?)?;
    if from.len() != 1 {
        return NodeError::unsupported(format!("gathering from shape {from:?}"));
    }
    let pick = |&p: &i64| usize::try_from(p).ok().and_then(|p| values.get(p).copied());
    let picked: Option<Vec<i64>> = positions.iter().map(pick).collect();
    let picked = picked.ok_or_else(|| NodeError::Invalid(format!("a position is out of range {from:?}")))?;
    Ok(Constant::index(dims, picked))
}

fn dequantize(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Constant, NodeError> {
    let t = node.input(0)?;
    let constant = importer.required(t, "its input")?;
    let quant = quant_params(importer.source(t)?)?;
    importer.model.flat.charge(4 * constant.values.len())?;
    let dims = constant.dims.clone();
    Ok(Constant { dims, values: Values::F32(constant.dequantize(quant.as_ref())?) })
}
