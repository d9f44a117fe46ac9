//! Which tensors must share one scale and zero point.

use dtmm_graph::{Graph, Node, Op, QuantParams, TensorId};

use crate::params::fixed_output_params;

/// Tensors joined by operators that move values without rescaling them, as TFLite's kernels require.
pub(crate) struct Groups {
    parent: Vec<usize>,
    fixed: Vec<Option<QuantParams>>,
}

impl Groups {
    pub(crate) fn of(graph: &Graph) -> Self {
        let parent = (0..graph.tensors.len()).collect();
        let mut groups = Groups { parent, fixed: vec![None; graph.tensors.len()] };
        for node in &graph.nodes {
            groups.fixed[node.output.index()] = groups.fixed_params(node);
            for t in same_scale_inputs(node) {
                if groups.fixed(*t).is_none() {
                    groups.join(*t, node.output);
                }
            }
        }
        groups
    }

    /// The parameters that the specification fixes for this tensor.
    pub(crate) fn fixed(&self, id: TensorId) -> Option<&QuantParams> {
        self.fixed[id.index()].as_ref()
    }

    /// The representative of the tensor's group.
    pub(crate) fn root(&self, id: TensorId) -> usize {
        let mut i = id.index();
        while self.parent[i] != i {
            i = self.parent[i];
        }
        i
    }

    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    fn fixed_params(&self, node: &Node) -> Option<QuantParams> {
        match same_scale_inputs(node) {
            [one] if !matches!(node.op, Op::Concat { .. }) => self.fixed(*one).cloned(),
            _ => fixed_output_params(&node.op),
        }
    }
}

/// The inputs that must have the output's parameters.
pub(crate) fn same_scale_inputs(node: &Node) -> &[TensorId] {
    match node.op {
        Op::Concat { .. } => &node.inputs,
        Op::MaxPool { .. }
        | Op::AveragePool { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::ResizeNearest { .. } => &node.inputs[..1],
        _ => &[],
    }
}
