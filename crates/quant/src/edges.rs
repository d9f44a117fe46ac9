//! Float operators at the edges of an int8 graph become int8 operators.

use dtmm_graph::{ElementType, Graph, Node, NodeId, Op, QuantParams, TensorId, transform};

use crate::params::fixed_output_params;

/// Some converters leave a model's first or last operators in float, outside the Quantize and Dequantize: a softmax, a
/// logistic, a reshape. Moves those across, so that only the ports stay float: an operator behind a Dequantize takes the
/// int8 tensor itself and gets the output parameters that TFLite's specification fixes (for instance 1/256 and -128 for
/// softmax); a reshape or transpose before a Quantize moves behind it. The values agree within half a step of the
/// output's scale. Other graphs stay as they are.
pub fn absorb_float_edges(graph: &mut Graph) {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        changed |= absorb_tail(graph, n) || absorb_head(graph, n);
        n += 1;
    }
    if changed {
        transform::remove_dead_nodes(graph);
    }
}

/// Node `n` behind a Dequantize: reads the int8 tensor, and a new Dequantize follows it.
fn absorb_tail(graph: &mut Graph, n: NodeId) -> bool {
    let node = &graph.nodes[n];
    let Some(source) = node.inputs.first().and_then(|&x| dequantized(graph, x)) else { return false };
    let params = match node.op {
        Op::Reshape { .. } | Op::Transpose { .. } => graph.tensor(source).quant.clone(),
        _ => fixed_output_params(&node.op),
    };
    let (Some(params), 1) = (params, node.inputs.len()) else { return false };
    let output = node.output;
    let name = node.name.clone();
    let inner = add_int8(graph, output, params);
    graph.nodes[n].inputs[0] = source;
    graph.nodes[n].output = inner;
    graph.nodes.insert(n + 1, Node { name, op: Op::Dequantize, inputs: vec![inner], output });
    true
}

/// A reshape or transpose `n` of float values that only one Quantize reads: swaps the two.
fn absorb_head(graph: &mut Graph, n: NodeId) -> bool {
    let node = &graph.nodes[n];
    let moves = matches!(node.op, Op::Reshape { .. } | Op::Transpose { .. });
    if !moves || graph.tensor(node.output).element_type != ElementType::F32 {
        return false;
    }
    let (input, middle) = (node.inputs[0], node.output);
    let readers: Vec<NodeId> =
        (0..graph.nodes.len()).filter(|&r| graph.nodes[r].inputs.contains(&middle)).collect();
    let is_output = graph.outputs.iter().any(|p| p.tensor == middle);
    let &[quantize] = readers.as_slice() else { return false };
    if is_output || graph.nodes[quantize].op != Op::Quantize {
        return false;
    }
    let Some(params) = graph.tensor(graph.nodes[quantize].output).quant.clone() else { return false };
    let inner = add_int8(graph, input, params);
    let name = graph.nodes[quantize].name.clone();
    let output = graph.nodes.remove(quantize).output;
    (graph.nodes[n].inputs[0], graph.nodes[n].output) = (inner, output);
    graph.nodes.insert(n, Node { name, op: Op::Quantize, inputs: vec![input], output: inner });
    true
}

/// The int8 tensor that a Dequantize made float tensor `id` from.
fn dequantized(graph: &Graph, id: TensorId) -> Option<TensorId> {
    let producer = graph.nodes.iter().find(|n| n.output == id && n.op == Op::Dequantize)?;
    let source = producer.inputs[0];
    (graph.tensor(source).element_type == ElementType::I8).then_some(source)
}

/// An int8 tensor of the shape of `like`.
fn add_int8(graph: &mut Graph, like: TensorId, params: QuantParams) -> TensorId {
    let mut tensor = graph.tensor(like).clone();
    tensor.name = format!("{}/int8", tensor.name);
    (tensor.element_type, tensor.quant) = (ElementType::I8, Some(params));
    graph.add_tensor(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtmm_graph::{GraphBuilder, Tensor};

    /// float reshape → Quantize → int8 relu → Dequantize → float softmax → float reshape
    fn mixed() -> Graph {
        let mut b = GraphBuilder::new("mixed");
        let x = b.input("x", [1, 2, 2, 3]);
        let r = b.op("head", Op::Reshape { shape: [1, 1, 1, 12] }, &[x]);
        let q = b.op("q", Op::Quantize, &[r]);
        let y = b.op("relu", Op::Relu, &[q]);
        let d = b.op("d", Op::Dequantize, &[y]);
        let s = b.op("softmax", Op::Softmax { beta: 1.0 }, &[d]);
        let out = b.op("tail", Op::Reshape { shape: [1, 1, 12, 1] }, &[s]);
        let mut g = b.finish(&[out]).unwrap();
        for id in [q, y] {
            let t: &mut Tensor = g.tensor_mut(id);
            (t.element_type, t.quant) = (ElementType::I8, Some(QuantParams::per_tensor(0.1, 3)));
        }
        g
    }

    #[test]
    fn only_the_ports_stay_float() {
        let mut g = mixed();
        absorb_float_edges(&mut g);
        g.verify().unwrap();
        let names: Vec<&str> = g.nodes.iter().map(|n| n.op.name()).collect();
        assert_eq!(names, ["Quantize", "Reshape", "Relu", "Softmax", "Reshape", "Dequantize"]);
        let before = mixed();
        assert_eq!((g.inputs, g.outputs), (before.inputs, before.outputs));
        let softmax = g.nodes.iter().find(|n| n.op.name() == "Softmax").unwrap().output;
        assert_eq!(g.tensors[softmax.index()].quant, fixed_output_params(&Op::Softmax { beta: 1.0 }));
    }

    #[test]
    fn a_float_graph_is_left_alone() {
        let mut b = GraphBuilder::new("float");
        let x = b.input("x", [1, 2, 2, 3]);
        let y = b.op("r", Op::Reshape { shape: [1, 1, 1, 12] }, &[x]);
        let y = b.op("s", Op::Softmax { beta: 1.0 }, &[y]);
        let before = b.finish(&[y]).unwrap();
        let mut after = before.clone();
        absorb_float_edges(&mut after);
        assert_eq!(before, after);
    }
}
