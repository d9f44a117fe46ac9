//! Element types and quantisation parameters of the source, checked.

use dtmm_graph::{ElementType, QuantParams};

use crate::dims::checked_dims;
use crate::error::NodeError;
use crate::schema::{SourceTensor, TensorType};

/// Element type and quantisation of a run-time tensor.
pub fn activation_type(source: &SourceTensor) -> Result<(ElementType, Option<QuantParams>), NodeError> {
    let element_type = match source.kind {
        TensorType::F32 => return Ok((ElementType::F32, None)),
        TensorType::I8 => ElementType::I8,
        TensorType::U8 => ElementType::U8,
        other => return NodeError::unsupported(format!("{other} activations ('{}')", source.name)),
    };
    let quant = quant_params(source)?;
    match quant {
        Some(q) if q.is_per_tensor() => Ok((element_type, Some(q))),
        Some(_) => NodeError::unsupported(format!("'{}' is quantised per channel", source.name)),
        None => NodeError::invalid(format!("tensor '{}' has no quantisation parameters", source.name)),
    }
}

/// The stored quantisation, checked; the axis is the same in the graph because the layouts are.
pub fn quant_params(source: &SourceTensor) -> Result<Option<QuantParams>, NodeError> {
    let Some(q) = &source.quant else { return Ok(None) };
    let fail = |what: &str| NodeError::invalid(format!("tensor '{}': {what}", source.name));
    let mut zero_point = q.zero_point.clone();
    if zero_point.is_empty() {
        zero_point = vec![0; q.scale.len()];
    }
    if zero_point.len() != q.scale.len() {
        return fail("scale and zero point differ in number");
    }
    if q.scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
        return fail("every scale must be finite and positive");
    }
    let range = match source.kind {
        TensorType::I8 => -128..=127,
        TensorType::U8 => 0..=255,
        TensorType::I4 => -8..=7,
        _ => i64::from(i32::MIN)..=i64::from(i32::MAX),
    };
    if zero_point.iter().any(|z| !range.contains(z)) {
        return fail("a zero point is outside the range of the element type");
    }
    let axis = usize::try_from(q.axis).unwrap_or(usize::MAX);
    if q.scale.len() > 1
        && checked_dims(&source.shape).ok().and_then(|d| d.get(axis).copied()) != Some(q.scale.len())
    {
        return fail("the number of scales does not fit the quantised axis");
    }
    let axis = if q.scale.len() == 1 { 0 } else { axis };
    let zero_point = zero_point.iter().map(|&z| z as i32).collect();
    Ok(Some(QuantParams { scale: q.scale.clone(), zero_point, axis }))
}
