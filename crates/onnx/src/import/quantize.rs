//! QuantizeLinear and DequantizeLinear of activations, per tensor, 8 bit.

use dtmm_graph::{ElementType, Op, QuantParams};

use super::context::{NodeImport, Value, one};
use crate::error::{Fault, unsupported};

/// Scale and int8 zero point; uint8 is shifted by 128, which describes the same real values.
fn parameters(n: &NodeImport) -> Result<QuantParams, Fault> {
    let scale = n.weights(1)?;
    if scale.values.len() != 1 {
        return unsupported("more than one scale for an activation");
    }
    let zero_point = match n.constant(2)? {
        Some(c) if c.values.len() == 1 => c.as_ints()?[0] - if c.unsigned { 128 } else { 0 },
        Some(_) => return unsupported("more than one zero point for an activation"),
        None => -128,
    };
    match i8::try_from(zero_point) {
        Ok(zero_point) => Ok(QuantParams::per_tensor(scale.scalar()?, i32::from(zero_point))),
        Err(_) => unsupported("a type of more than 8 bits"),
    }
}

pub(crate) fn quantize(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let quant = parameters(n)?;
    let output = n.node.output.first().cloned().unwrap_or_default();
    let name = n.name.clone();
    let quant = Some((ElementType::I8, quant));
    let y = n.importer.push((&name, &output), Op::Quantize, &[act.tensor], quant)?;
    one(y, act.view)
}

pub(crate) fn dequantize(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.quantized_act(0)?;
    let quant = parameters(n)?;
    if n.importer.graph.tensor(act.tensor).quant.as_ref() != Some(&quant) {
        return unsupported("its parameters differ from those that the value was quantised with");
    }
    let y = n.emit(Op::Dequantize, &[act.tensor])?;
    one(y, act.view)
}
