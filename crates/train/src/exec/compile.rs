//! From a graph to a list of kernels.

use dtmm_graph::{ElementType, Graph, Node, Op};

use super::{Kernel, NO_CLAMP, Param};
use crate::{TrainError, ops};

/// What a constant is to its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Filter or matrix: decays, can be masked.
    Weights,
    Bias,
    /// Batch-norm gamma or beta.
    Norm,
    /// Batch-norm running mean or variance: follows the batches, not the gradient.
    Statistic,
    /// Constant factor or offset of each channel.
    Channel,
}

impl Role {
    pub fn is_trained(self) -> bool {
        self != Role::Statistic
    }
}

/// One kernel with its tensors.
pub(crate) struct Step {
    pub kernel: Box<dyn Kernel>,
    pub inputs: Vec<usize>,
    pub output: usize,
    /// Interval of the fused activations.
    pub clamp: (f32, f32),
}

/// A graph as kernels in order.
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub params: Vec<Param>,
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
    pub logits: usize,
    /// Values per sample for activations, in all for constants.
    pub lens: Vec<usize>,
    /// The last dimension of each tensor as kernels store it; output channels for weights.
    pub channels: Vec<usize>,
    pub is_activation: Vec<bool>,
    pub needs_grad: Vec<bool>,
}

impl Plan {
    pub fn new(graph: &Graph, keep_all: bool) -> Result<Self, TrainError> {
        let mut plan = Plan {
            steps: vec![],
            params: vec![],
            inputs: graph.inputs.iter().map(|p| p.tensor.index()).collect(),
            outputs: graph.outputs.iter().map(|p| p.tensor.index()).collect(),
            logits: logits(graph),
            lens: graph.tensors.iter().map(|t| t.len()).collect(),
            channels: graph.tensors.iter().map(|t| t.shape.last().copied().unwrap_or(1)).collect(),
            is_activation: vec![false; graph.tensors.len()],
            needs_grad: vec![false; graph.tensors.len()],
        };
        for &t in &plan.inputs {
            plan.is_activation[t] = true;
        }
        for node in &graph.nodes {
            check(graph, node, &plan.is_activation)?;
            plan.add_params(graph, node)?;
            plan.add_step(graph, node)?;
        }
        if !keep_all {
            plan.fuse(graph);
        }
        Ok(plan)
    }

    fn add_step(&mut self, graph: &Graph, node: &Node) -> Result<(), TrainError> {
        let output = node.output.index();
        let inputs: Vec<usize> = node.inputs.iter().map(|t| t.index()).collect();
        let clamp = node.op.activation().map_or(NO_CLAMP, |a| a.range());
        self.is_activation[output] = true;
        self.needs_grad[output] = inputs.iter().any(|&t| self.needs_grad[t]);
        let kernel = ops::kernel(graph, node, &self.is_activation)?;
        self.steps.push(Step { kernel, inputs, output, clamp });
        Ok(())
    }

    fn add_params(&mut self, graph: &Graph, node: &Node) -> Result<(), TrainError> {
        let roles: &[(usize, Role)] = match node.op {
            Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => {
                &[(1, Role::Weights), (2, Role::Bias)]
            }
            Op::BatchNorm { .. } => {
                &[(1, Role::Norm), (2, Role::Norm), (3, Role::Statistic), (4, Role::Statistic)]
            }
            Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => &[(0, Role::Channel), (1, Role::Channel)],
            _ => &[],
        };
        for &(i, role) in roles.iter().filter(|r| r.0 < node.inputs.len()) {
            let t = node.inputs[i].index();
            if role == Role::Channel && !self.is_trainable_constant(graph, node, i) {
                continue;
            }
            let transposed = match node.op {
                Op::Conv2d { .. } | Op::FullyConnected { .. } if i == 1 => {
                    let shape = &graph.tensors[t].shape;
                    Some([shape[0], shape[1..].iter().product()])
                }
                _ => None,
            };
            if let Some([o, _]) = transposed {
                self.channels[t] = o;
            }
            self.needs_grad[t] = role.is_trained();
            match self.params.iter().find(|p| p.tensor == t) {
                Some(p) if p.transposed != transposed => {
                    let what = "its weights are shared with a node of another kind; give each node its own";
                    return Err(unsupported(node, what));
                }
                Some(_) => {}
                None => {
                    let name = graph.tensors[t].name.clone();
                    let fully_connected = matches!(node.op, Op::FullyConnected { .. });
                    self.params.push(Param { tensor: t, name, role, transposed, fully_connected });
                }
            }
        }
        Ok(())
    }

    /// A constant of one value per channel behind other parameters; before them it is input normalisation.
    fn is_trainable_constant(&self, graph: &Graph, node: &Node, i: usize) -> bool {
        let tensor = graph.tensor(node.inputs[i]);
        let other = node.inputs[1 - i].index();
        let channels = graph.tensor(node.output).shape[3];
        tensor.data.is_some() && tensor.len() == channels && channels > 1 && self.needs_grad[other]
    }

    /// Lets a ReLU or Clip run inside the only node that feeds it.
    fn fuse(&mut self, graph: &Graph) {
        let consumers = graph.consumers();
        let mut i = 1;
        while i < self.steps.len() {
            let range = match graph.nodes.iter().find(|n| n.output.index() == self.steps[i].output) {
                Some(Node { op: Op::Relu, .. }) => Some((0.0, f32::INFINITY)),
                Some(Node { op: Op::Clip { min, max }, .. }) => Some((*min, *max)),
                _ => None,
            };
            let source = self.steps[i].inputs[0];
            let only = consumers[source].len() == 1 && !self.outputs.contains(&source);
            let producer = self.steps[..i].iter().position(|s| s.output == source);
            match (range, producer) {
                (Some(range), Some(p)) if only && source != self.logits => {
                    let clamp = (self.steps[p].clamp.0.max(range.0), self.steps[p].clamp.1.min(range.1));
                    if clamp.0 < clamp.1 {
                        self.steps[p].clamp = clamp;
                        self.steps[p].output = self.steps[i].output;
                        self.is_activation[source] = false;
                        self.steps.remove(i);
                        continue;
                    }
                }
                _ => {}
            }
            i += 1;
        }
    }
}

/// The tensor before a final softmax, seen through reshapes.
fn logits(graph: &Graph) -> usize {
    let producers = graph.producers();
    let Some(output) = graph.outputs.first().map(|p| p.tensor.index()) else { return 0 };
    let mut t = output;
    while let Some(n) = producers[t] {
        let node = &graph.nodes[n];
        match node.op {
            Op::Reshape { .. } | Op::Dequantize | Op::Quantize => t = node.inputs[0].index(),
            Op::Softmax { beta: 1.0 } => return node.inputs[0].index(),
            Op::LogSoftmax => return node.inputs[0].index(),
            _ => break,
        }
    }
    output
}

fn check(graph: &Graph, node: &Node, is_activation: &[bool]) -> Result<(), TrainError> {
    let float = |t: usize| graph.tensors[t].element_type == ElementType::F32;
    let all = node.inputs.iter().chain([&node.output]);
    if !all.map(|t| t.index()).all(float) {
        return Err(unsupported(node, "it works on integers; dequantize the graph first"));
    }
    if !node.inputs.iter().any(|t| is_activation[t.index()]) {
        return Err(unsupported(node, "all its inputs are constants; fold it when importing"));
    }
    let constant_first = !is_activation[node.inputs[0].index()];
    let arithmetic = matches!(node.op, Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } | Op::Concat { .. });
    if constant_first && !arithmetic {
        return Err(unsupported(node, "its first input is a constant"));
    }
    let weights = node.op.has_weights() || matches!(node.op, Op::BatchNorm { .. });
    if weights && node.inputs[1..].iter().any(|t| is_activation[t.index()]) {
        return Err(unsupported(node, "its weights are computed by the graph; they must be constants"));
    }
    Ok(())
}

pub(crate) fn unsupported(node: &Node, what: &str) -> TrainError {
    TrainError::Unsupported { node: node.name.clone(), op: node.op.name(), what: what.to_owned() }
}
