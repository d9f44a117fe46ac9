//! Evaluates nodes whose inputs are all constant: shape arithmetic, weight preparation.

mod data;
mod math;

use std::path::Path;
use std::rc::Rc;

use crate::attributes::Attributes;
use crate::constant::{self, Const, Values, element_count};
use crate::error::{Fault, bad};
use crate::proto::NodeProto;

/// A folded constant may not have more elements than this.
const MAX_ELEMENTS: usize = 1 << 26;

/// True for operators that [`fold`] evaluates.
pub(crate) fn can_fold(op_type: &str) -> bool {
    evaluator(op_type).is_some()
}

type Evaluator = fn(&Call) -> Result<Const, Fault>;

fn evaluator(op_type: &str) -> Option<Evaluator> {
    Some(match op_type {
        "Constant" => constant_node,
        "ConstantOfShape" => data::constant_of_shape,
        "Shape" => data::shape,
        "Size" => data::size,
        "Gather" => data::gather,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => data::reshape,
        "Transpose" => data::transpose,
        "Concat" => data::concat,
        "Slice" => data::slice,
        "Expand" => data::expand,
        "Cast" => data::cast,
        "Identity" | "Dropout" => data::identity,
        "Range" => data::range,
        "Where" => math::select,
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "Pow" | "Equal" | "Less" | "Greater" => math::binary,
        "Neg" | "Abs" | "Sqrt" | "Reciprocal" | "Floor" | "Ceil" | "Exp" | "Log" | "Not" => math::unary,
        "ReduceProd" | "ReduceSum" => math::reduce_all,
        "DequantizeLinear" => math::dequantize,
        _ => return None,
    })
}

/// One node with its constant inputs.
pub(crate) struct Call<'a> {
    op: &'a str,
    attributes: Attributes<'a>,
    inputs: &'a [Option<Rc<Const>>],
    folder: Option<&'a Path>,
    limit: usize,
}

impl Call<'_> {
    /// Input `i`, which must be there.
    fn input(&self, i: usize) -> Result<&Const, Fault> {
        match self.optional(i) {
            Some(c) => Ok(c),
            None => bad(format!("input {i} is missing")),
        }
    }

    fn optional(&self, i: usize) -> Option<&Const> {
        self.inputs.get(i)?.as_deref()
    }

    /// Integers that are attribute `name` in old operator sets and input `i` in new ones.
    fn ints(&self, name: &str, i: usize) -> Result<Option<Vec<i64>>, Fault> {
        match self.optional(i) {
            Some(c) => c.as_ints().map(|v| Some(v.to_vec())),
            None => Ok(self.attributes.ints(name).map(<[i64]>::to_vec)),
        }
    }

    /// The number of elements of a result, refused when it is out of proportion.
    fn count(&self, dims: &[usize]) -> Result<usize, Fault> {
        constant::check_rank(dims.len())?;
        match element_count(dims) {
            Some(n) if n <= self.limit.min(MAX_ELEMENTS) => Ok(n),
            _ => bad(format!("a constant of shape {dims:?} is out of proportion to the file")),
        }
    }
}

/// The outputs (all evaluated operators have one). `limit` bounds the elements of the result.
pub(crate) fn fold(
    node: &NodeProto,
    inputs: &[Option<Rc<Const>>],
    folder: Option<&Path>,
    limit: usize,
) -> Result<Const, Fault> {
    let Some(evaluate) = evaluator(&node.op_type) else {
        return Err(Fault::Unsupported(String::new()));
    };
    let call = Call { op: &node.op_type, attributes: Attributes::of(node), inputs, folder, limit };
    let mut result = evaluate(&call)?;
    result.name = node.output.first().cloned().unwrap_or_default();
    Ok(result)
}

fn constant_node(call: &Call) -> Result<Const, Fault> {
    let a = &call.attributes;
    if let Some(tensor) = a.tensor("value") {
        return constant::decode(tensor, call.folder);
    }
    let of = |dims: Vec<usize>, values: Values| Const { name: String::new(), dims, values, unsigned: false };
    if a.has("value_float") {
        return Ok(of(vec![], Values::Float(vec![a.float("value_float", 0.0)])));
    }
    if a.has("value_int") {
        return Ok(of(vec![], Values::Int(vec![a.int("value_int", 0)])));
    }
    if let Some(v) = a.floats("value_floats") {
        return Ok(of(vec![v.len()], Values::Float(v.to_vec())));
    }
    if let Some(v) = a.ints("value_ints") {
        return Ok(of(vec![v.len()], Values::Int(v.to_vec())));
    }
    Err(Fault::Unsupported("its value is of a kind that is not supported".into()))
}
