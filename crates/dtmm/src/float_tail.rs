//! int8 models that end in float operators, such as a softmax behind the last Dequantize.
//!
//! A package computes them in int8, for the device. Running the model itself keeps them in float, as TFLite does.

use dtmm_graph::transform::remove_dead_nodes;
use dtmm_graph::{Data, ElementType, Graph, Op, Port, TensorId, reference};

/// A model in two parts.
pub(crate) struct FloatTail {
    /// Up to and including the Dequantize; its only output is what the tail reads.
    pub(crate) int8: Graph,
    tail: Graph,
}

impl FloatTail {
    /// Splits off the float operators that compute the first output; `None` when there are none, or when they read
    /// anything else than one dequantised tensor.
    pub(crate) fn split(graph: &Graph) -> Option<Self> {
        let output = graph.outputs.first()?;
        let mut tail = graph.clone();
        tail.outputs.truncate(1);
        remove_dead_nodes(&mut tail);
        let is_float = |id: TensorId| graph.tensor(id).element_type == ElementType::F32;
        let of_tail = |op: &Op, id: TensorId| is_float(id) && *op != Op::Dequantize;
        tail.nodes.retain(|n| of_tail(&n.op, n.output));
        let inner =
            |id: TensorId| tail.nodes.iter().any(|n| n.output == id) || graph.tensor(id).data.is_some();
        let mut cuts: Vec<TensorId> = tail.nodes.iter().flat_map(|n| &n.inputs).copied().collect();
        cuts.retain(|&id| !inner(id));
        cuts.sort_unstable();
        cuts.dedup();
        let &[cut] = cuts.as_slice() else { return None };
        let port = port(graph, cut, output);
        let mut int8 = graph.clone();
        int8.outputs = vec![port.clone()];
        remove_dead_nodes(&mut int8);
        tail.inputs = vec![port];
        Some(FloatTail { int8, tail })
    }

    /// The model's first output for a result of the int8 part; `None` when it is not the tail's input.
    pub(crate) fn finish(&self, x: &Data) -> Option<Data> {
        let Data::F32(x) = x else { return None };
        let mut values = reference::evaluate(&self.tail, &[x]).ok()?;
        Some(Data::F32(values.swap_remove(self.tail.outputs[0].tensor.index())))
    }
}

/// A float tensor in the graph's own layout as a port.
fn port(graph: &Graph, id: TensorId, output: &Port) -> Port {
    let tensor = graph.tensor(id);
    Port {
        tensor: id,
        name: output.name.clone(),
        source_shape: tensor.shape.clone(),
        perm: (0..tensor.shape.len()).collect(),
        element_type: ElementType::F32,
        quant: None,
    }
}
