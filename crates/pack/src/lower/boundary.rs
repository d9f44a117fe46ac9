//! Ports: float and uint8 inputs and outputs become int8; the host converts.

use std::collections::BTreeSet;

use dtmm_graph::{ElementType, Graph, NodeId, Op, Port, TensorId};

use crate::PackError;

/// The int8 tensors at the package's edges, and the nodes outside them.
pub(crate) struct Boundary {
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
    /// Quantize and Dequantize nodes that the host does instead.
    pub skipped: BTreeSet<NodeId>,
}

/// Finds the int8 tensor behind each port.
pub(crate) fn resolve(graph: &Graph) -> Result<Boundary, PackError> {
    let mut boundary = Boundary { inputs: vec![], outputs: vec![], skipped: BTreeSet::new() };
    for port in &graph.inputs {
        let (tensor, node) = input(graph, port)?;
        boundary.inputs.push(tensor);
        boundary.skipped.extend(node);
    }
    for port in &graph.outputs {
        let (tensor, node) = output(graph, port)?;
        boundary.outputs.push(tensor);
        boundary.skipped.extend(node);
    }
    Ok(boundary)
}

fn input(graph: &Graph, port: &Port) -> Result<(TensorId, Option<NodeId>), PackError> {
    let tensor = graph.tensor(port.tensor);
    if tensor.element_type == ElementType::I8 {
        return Ok((port.tensor, None));
    }
    let readers: Vec<NodeId> =
        (0..graph.nodes.len()).filter(|&n| graph.nodes[n].inputs.contains(&port.tensor)).collect();
    match readers.as_slice() {
        &[n] if is_edge(graph, n, Op::Quantize, graph.nodes[n].output) => {
            Ok((graph.nodes[n].output, Some(n)))
        }
        _ => Err(PackError::Port {
            port: port.name.clone(),
            what: format!(
                "the {} input must be int8 or go through one Quantize; quantise the graph first",
                tensor.element_type
            ),
        }),
    }
}

fn output(graph: &Graph, port: &Port) -> Result<(TensorId, Option<NodeId>), PackError> {
    let tensor = graph.tensor(port.tensor);
    if tensor.element_type == ElementType::I8 {
        return Ok((port.tensor, None));
    }
    let used_inside = graph.nodes.iter().any(|n| n.inputs.contains(&port.tensor));
    let producer = graph.nodes.iter().position(|n| n.output == port.tensor);
    let edge = producer.filter(|&n| {
        let input = graph.nodes[n].inputs[0];
        is_edge(graph, n, Op::Dequantize, input) || is_edge(graph, n, Op::Quantize, input)
    });
    match edge {
        Some(n) if !used_inside => Ok((graph.nodes[n].inputs[0], Some(n))),
        _ => Err(PackError::Port {
            port: port.name.clone(),
            what: format!(
                "the {} output must be int8 or come from a Dequantize or Quantize; quantise the graph first",
                tensor.element_type
            ),
        }),
    }
}

fn is_edge(graph: &Graph, n: NodeId, op: Op, inner: TensorId) -> bool {
    graph.nodes[n].op == op && graph.tensor(inner).element_type == ElementType::I8
}
