//! The graph: tensors, nodes in execution order, ports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Data, ElementType, Op, QuantParams, Tensor, TensorId};

/// Index of a node in [`Graph::nodes`].
pub type NodeId = usize;

/// Which weights are kept: for each masked weight tensor one `bool` per element, in the tensor's order.
pub type Masks = BTreeMap<TensorId, Vec<bool>>;

/// One operator with the tensors it reads and writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name from the source model, for messages.
    pub name: String,
    /// The operator.
    pub op: Op,
    /// Inputs in the operator's order.
    pub inputs: Vec<TensorId>,
    /// The output.
    pub output: TensorId,
}

/// A model input or output, as the source model presents it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// The tensor inside the graph.
    pub tensor: TensorId,
    /// Name from the source model.
    pub name: String,
    /// The source shape, with batch 1, for instance `[1, 3, 32, 32]`.
    pub source_shape: Vec<usize>,
    /// Transposing the source by `perm` (axis `i` of the result is source axis `perm[i]`) gives the elements in the
    /// order of the graph's NHWC tensor: `[0, 2, 3, 1]` for an NCHW source, the identity where layouts agree.
    pub perm: Vec<usize>,
    /// Element type that the source model takes or gives.
    pub element_type: ElementType,
    /// Quantisation of the source value when `element_type` is an integer.
    pub quant: Option<QuantParams>,
}

/// What turns a raw sample (for images: bytes 0..=255, RGB or grey) into the model's real-valued input:
/// `(x * scale - mean[c]) / std[c]`, after an optional resize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Factor on the raw value, for instance 1/255.
    pub scale: f32,
    /// Subtracted after scaling; one for all channels or one each; empty means 0.
    pub mean: Vec<f32>,
    /// Divided by after subtracting; one for all channels or one each; empty means 1.
    pub std: Vec<f32>,
    /// Bilinear resize of the raw image to `[h, w]`; `None` keeps the size.
    pub resize: Option<[usize; 2]>,
}

impl Preprocessing {
    /// The raw value as it is.
    pub fn identity() -> Self {
        Preprocessing { scale: 1.0, mean: vec![], std: vec![], resize: None }
    }

    /// The model's real input for raw value `x` of channel `c`.
    pub fn apply(&self, x: f32, c: usize) -> f32 {
        let pick = |v: &[f32], default: f32| v.get(c).or(v.first()).copied().unwrap_or(default);
        (x * self.scale - pick(&self.mean, 0.0)) / pick(&self.std, 1.0)
    }
}

/// A feed-forward model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Model name, for messages.
    pub name: String,
    /// All tensors; [`TensorId`] indexes here.
    pub tensors: Vec<Tensor>,
    /// Operators in execution order.
    pub nodes: Vec<Node>,
    /// Model inputs.
    pub inputs: Vec<Port>,
    /// Model outputs.
    pub outputs: Vec<Port>,
    /// How raw samples become the input; `None` when the source does not say.
    pub preprocessing: Option<Preprocessing>,
}

impl Graph {
    /// The tensor with this id.
    ///
    /// # Panics
    /// When the id belongs to another graph; [`Graph::verify`] rules that out for the ids inside the graph.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.index()]
    }

    /// The tensor with this id, to change it in place.
    pub fn tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        &mut self.tensors[id.index()]
    }

    /// Adds a tensor.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() as u32 - 1)
    }

    /// Adds a float constant.
    pub fn add_f32(&mut self, name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) -> TensorId {
        self.add_tensor(Tensor {
            name: name.into(),
            shape,
            element_type: ElementType::F32,
            quant: None,
            data: Some(Data::F32(values)),
        })
    }

    /// For each tensor the node that writes it.
    pub fn producers(&self) -> Vec<Option<NodeId>> {
        let mut of = vec![None; self.tensors.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            of[node.output.index()] = Some(i);
        }
        of
    }

    /// For each tensor the nodes that read it, in order.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut of = vec![Vec::new(); self.tensors.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for t in &node.inputs {
                of[t.index()].push(i);
            }
        }
        of
    }

    /// True when the graph computes in int8 and can be packed: every activation is int8, but for Quantize, Dequantize and
    /// the float operators that some converters leave at the edges (a softmax behind the last Dequantize).
    pub fn is_int8(&self) -> bool {
        let int8 = |n: &Node| self.tensor(n.output).element_type == ElementType::I8;
        let edge = |n: &Node| {
            let movement = matches!(n.op, Op::Reshape { .. } | Op::Transpose { .. });
            let fixed_range = matches!(n.op, Op::Softmax { .. } | Op::LogSoftmax | Op::Sigmoid | Op::Tanh);
            movement || fixed_range || matches!(n.op, Op::Quantize | Op::Dequantize)
        };
        let any_int8 = self.nodes.is_empty() || self.nodes.iter().any(int8);
        any_int8 && self.nodes.iter().all(|n| int8(n) || edge(n))
    }

    /// Multiply-accumulates of each node for one sample, dense.
    pub fn macs(&self, node: &Node) -> u64 {
        let out = self.tensor(node.output).len() as u64;
        match node.op {
            Op::Conv2d { .. } | Op::FullyConnected { .. } => {
                let w = &self.tensor(node.inputs[1]).shape;
                out * w[1..].iter().product::<usize>() as u64
            }
            Op::DepthwiseConv2d { .. } => {
                let w = &self.tensor(node.inputs[1]).shape;
                out * (w[1] * w[2]) as u64
            }
            _ => 0,
        }
    }

    /// Drops tensors that no node, input or output uses, and renumbers the rest in order.
    pub fn drop_unused_tensors(&mut self) {
        let mut used = vec![false; self.tensors.len()];
        let ports = self.inputs.iter().chain(&self.outputs).map(|p| p.tensor);
        let ids = self.nodes.iter().flat_map(|n| n.inputs.iter().copied().chain([n.output]));
        ports.chain(ids).for_each(|t| used[t.index()] = true);
        let mut next = 0;
        let new_id: Vec<TensorId> = used
            .iter()
            .map(|&u| {
                let id = TensorId(next);
                next += u32::from(u);
                id
            })
            .collect();
        let mut keep = used.iter();
        self.tensors.retain(|_| *keep.next().unwrap_or(&false));
        for port in self.inputs.iter_mut().chain(&mut self.outputs) {
            port.tensor = new_id[port.tensor.index()];
        }
        for node in &mut self.nodes {
            node.inputs.iter_mut().for_each(|t| *t = new_id[t.index()]);
            node.output = new_id[node.output.index()];
        }
    }
}
