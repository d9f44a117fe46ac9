//! Model inputs and outputs, and the preprocessing that an input's quantisation implies.

use dtmm_graph::{ElementType, Graph, Port, Preprocessing, QuantParams, Tensor};

use crate::dims::checked_dims;
use crate::error::{ImportError, NodeError, UnsupportedNode};
use crate::importer::{Activation, Importer, Slot};
use crate::quantization::activation_type;

/// Adds the model's inputs; the first one's leading axis is the batch. Gives those of a type that is not supported.
pub fn add_inputs(importer: &mut Importer<'_>, file: &str) -> Result<Vec<UnsupportedNode>, ImportError> {
    let inputs: Vec<usize> = indices(&importer.model.inputs);
    importer.batch = batch_of(importer, &inputs);
    let mut unsupported = Vec::new();
    for t in inputs {
        match add_input(importer, t) {
            Ok(()) => {}
            Err(NodeError::Unsupported(reason)) => {
                let operator = "model input".to_owned();
                unsupported.push(UnsupportedNode {
                    operator,
                    index: None,
                    name: name_of(importer, t),
                    reason,
                });
                // An input listed twice is poisoned once.
                let _ = importer.set(t, Slot::Poisoned);
            }
            Err(e) => return Err(port_error(importer, file, "input", t, &e)),
        }
    }
    Ok(unsupported)
}

/// Adds the model's outputs.
pub fn add_outputs(importer: &mut Importer<'_>, file: &str) -> Result<(), ImportError> {
    for t in indices(&importer.model.outputs) {
        add_output(importer, t).map_err(|e| port_error(importer, file, "output", t, &e))?;
    }
    Ok(())
}

fn indices(raw: &[i32]) -> Vec<usize> {
    raw.iter().map(|&t| usize::try_from(t).unwrap_or(usize::MAX)).collect()
}

fn batch_of(importer: &Importer<'_>, inputs: &[usize]) -> usize {
    let first = inputs.first().and_then(|&t| importer.model.tensors.get(t));
    let dims = first.and_then(|t| checked_dims(&t.shape).ok());
    dims.filter(|d| d.len() > 1).map_or(1, |d| d[0])
}

fn port_error(
    importer: &Importer<'_>,
    file: &str,
    role: &'static str,
    t: usize,
    error: &NodeError,
) -> ImportError {
    ImportError::Port { file: file.to_owned(), role, name: name_of(importer, t), what: error.to_string() }
}

fn name_of(importer: &Importer<'_>, t: usize) -> String {
    let name = importer.model.tensors.get(t).map(|t| t.name.clone()).filter(|n| !n.is_empty());
    name.unwrap_or_else(|| format!("tensor {t}"))
}

fn add_input(importer: &mut Importer<'_>, t: usize) -> Result<(), NodeError> {
    let source = importer.source(t)?;
    let dims = checked_dims(&source.shape).map_err(NodeError::Invalid)?;
    let (element_type, quant) = activation_type(source)?;
    let shape = importer.layout(&dims)?.shape().to_vec();
    let id = importer.graph.add_tensor(Tensor {
        name: source.name.clone(),
        shape,
        element_type,
        quant,
        data: None,
    });
    importer.set(t, Slot::Activation(Activation { id, dims: dims.clone() }))?;
    let port = port(importer, &source.name, &Activation { id, dims });
    importer.graph.inputs.push(port);
    Ok(())
}

fn add_output(importer: &mut Importer<'_>, t: usize) -> Result<(), NodeError> {
    let activation = importer.activation(t)?;
    let port = port(importer, &importer.source(t)?.name, &activation);
    importer.graph.outputs.push(port);
    Ok(())
}

fn port(importer: &Importer<'_>, name: &str, activation: &Activation) -> Port {
    let tensor = importer.graph.tensor(activation.id);
    let mut source_shape = activation.dims.clone();
    if importer.batch > 1 && source_shape.first() == Some(&importer.batch) {
        source_shape[0] = 1;
    }
    Port {
        tensor: activation.id,
        name: name.to_owned(),
        perm: (0..source_shape.len()).collect(),
        source_shape,
        element_type: tensor.element_type,
        quant: tensor.quant.clone(),
    }
}

/// An integer image input whose real range is that of bytes, of [0, 1] or of [-1, 1] says how images become its input.
pub fn default_preprocessing(graph: &mut Graph) {
    let [port] = graph.inputs.as_slice() else { return };
    let is_image = matches!(port.source_shape[..], [1, h, w, 1 | 3] if h > 1 && w > 1);
    if !is_image || port.element_type == ElementType::F32 {
        return;
    }
    graph.preprocessing = port.quant.as_ref().and_then(|q| for_range(q, port.element_type));
}

fn for_range(quant: &QuantParams, element_type: ElementType) -> Option<Preprocessing> {
    let low = if element_type == ElementType::U8 { 0.0 } else { -128.0 };
    let (scale, zero) = (*quant.scale.first()?, *quant.zero_point.first()? as f32);
    let range = (scale * (low - zero), scale * (low + 255.0 - zero));
    // Calibration sets rarely hold every value: 2 % of the range at either end is the same range.
    let is = |a: f32, b: f32| (range.0 - a).abs().max((range.1 - b).abs()) <= 0.02 * (b - a);
    let identity = Preprocessing::identity();
    if is(0.0, 255.0) {
        Some(identity)
    } else if is(0.0, 1.0) {
        Some(Preprocessing { scale: 1.0 / 255.0, ..identity })
    } else if is(-1.0, 1.0) {
        Some(Preprocessing { scale: 1.0 / 127.5, mean: vec![1.0], ..identity })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_the_usual_image_ranges() {
        let of = |scale, zero| for_range(&QuantParams::per_tensor(scale, zero), ElementType::I8);
        assert_eq!(of(1.0, -128), Some(Preprocessing::identity()));
        assert_eq!(of(0.003_921_57, -128).unwrap().scale, 1.0 / 255.0);
        assert_eq!(of(1.0 / 127.5, -1).unwrap().mean, [1.0]);
        assert_eq!(of(0.584_702_9, 83), None);
    }
}
