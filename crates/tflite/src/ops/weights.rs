//! Filters, biases and constant operands as graph tensors.

use dtmm_graph::{Data, ElementType, QuantParams, Tensor, TensorId};

use crate::constant::{Constant, Values};
use crate::error::NodeError;
use crate::importer::{Importer, Slot, Use};
use crate::quantization::quant_params;

/// What an operator needs from its weights.
#[derive(Clone, Copy)]
pub struct Role {
    /// For messages: "the filter".
    pub name: &'static str,
    /// The channel axis that scales may run along.
    pub axis: usize,
}

/// The shape of a constant weight tensor.
pub fn weight_dims(importer: &Importer<'_>, t: usize, role: Role) -> Result<Vec<usize>, NodeError> {
    if !importer.is_constant(t) {
        return Err(match importer.slot(t)? {
            Slot::Poisoned => NodeError::Poisoned,
            _ => NodeError::Unsupported(Some(format!("{} must be constant", role.name))),
        });
    }
    Ok(importer.required(t, role.name)?.dims)
}

/// Adds weights for an operator whose activations are float (integers are dequantised) or int8.
pub fn add_weights(
    importer: &mut Importer<'_>,
    t: usize,
    role: Role,
    is_float: bool,
) -> Result<TensorId, NodeError> {
    importer.weight(t, Use::Weights, |importer| {
        let constant = importer.required(t, role.name)?;
        let source = importer.source(t)?;
        let (dims, quant) = (constant.dims.clone(), quant_params(source)?);
        if is_float {
            let values = constant.dequantize(quant.as_ref())?;
            return Ok(float_tensor(&source.name, dims, values));
        }
        let Values::I8(values) = constant.values else {
            let kind = source.kind;
            return NodeError::unsupported(format!("{} of type {kind} with int8 activations", role.name));
        };
        let quant = symmetric(quant, role)?;
        Ok(Tensor {
            name: source.name.clone(),
            shape: dims,
            element_type: ElementType::I8,
            quant: Some(quant),
            data: Some(Data::I8(values)),
        })
    })
}

/// Adds a bias `[O]` in float or, for int8 operators, int32.
pub fn add_bias(
    importer: &mut Importer<'_>,
    t: usize,
    channels: usize,
    is_float: bool,
) -> Result<TensorId, NodeError> {
    importer.weight(t, Use::Bias, |importer| {
        let constant = importer.required(t, "the bias")?;
        let source = importer.source(t)?;
        if constant.values.len() != channels {
            return NodeError::invalid(format!(
                "the bias needs {channels} values, found shape {:?}",
                constant.dims
            ));
        }
        if is_float {
            let values = constant.dequantize(quant_params(source)?.as_ref())?;
            return Ok(float_tensor(&source.name, vec![channels], values));
        }
        let Values::I32(values) = constant.values else {
            return NodeError::unsupported(format!("a bias of type {} with int8 activations", source.kind));
        };
        // The kernels derive the bias scale from input and weights, as TFLite's do; a stored one may be unusable.
        let quant = quant_params(source).ok().flatten();
        Ok(Tensor {
            name: source.name.clone(),
            shape: vec![channels],
            element_type: ElementType::I32,
            quant,
            data: Some(Data::I32(values)),
        })
    })
}

/// Adds a constant operand of an elementwise operator, rank 4 by leading ones.
pub fn add_operand(importer: &mut Importer<'_>, t: usize, is_float: bool) -> Result<TensorId, NodeError> {
    importer.weight(t, Use::Operand, |importer| {
        let constant = importer.required(t, "the operand")?;
        let source = importer.source(t)?;
        let shape = rank4(&constant)?;
        let quant = quant_params(source)?;
        if is_float {
            return Ok(float_tensor(&source.name, shape, constant.dequantize(quant.as_ref())?));
        }
        match (constant.values, quant) {
            (Values::I8(values), Some(quant)) if quant.is_per_tensor() => Ok(Tensor {
                name: source.name.clone(),
                shape,
                element_type: ElementType::I8,
                quant: Some(quant),
                data: Some(Data::I8(values)),
            }),
            _ => NodeError::unsupported(format!(
                "a constant operand of type {} with int8 activations (expected int8, quantised per tensor)",
                source.kind
            )),
        }
    })
}

/// A float constant tensor.
pub fn float_tensor(name: &str, shape: Vec<usize>, values: Vec<f32>) -> Tensor {
    Tensor {
        name: name.to_owned(),
        shape,
        element_type: ElementType::F32,
        quant: None,
        data: Some(Data::F32(values)),
    }
}

fn rank4(constant: &Constant) -> Result<Vec<usize>, NodeError> {
    let dims = &constant.dims;
    let extra = dims.len().saturating_sub(4);
    if dims[..extra].iter().any(|&d| d != 1) {
        return NodeError::unsupported(format!("a constant operand of shape {dims:?}"));
    }
    let tail = &dims[extra..];
    Ok([1; 4][tail.len()..].iter().chain(tail).copied().collect())
}

fn symmetric(quant: Option<QuantParams>, role: Role) -> Result<QuantParams, NodeError> {
    let Some(mut quant) = quant else {
        return NodeError::invalid(format!("{} has no quantisation parameters", role.name));
    };
    if quant.zero_point.iter().any(|&z| z != 0) {
        return NodeError::unsupported(format!("{} has a zero point other than 0", role.name));
    }
    if !quant.is_per_tensor() && quant.axis != role.axis {
        return NodeError::invalid(format!(
            "{} is quantised along axis {}, expected {}",
            role.name, quant.axis, role.axis
        ));
    }
    quant.axis = role.axis;
    Ok(quant)
}
