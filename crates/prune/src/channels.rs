//! Which channels of which tensors live and die together.
//!
//! Each channel (index of the last axis of an activation) gets a label; operators join labels: Add ties its operands,
//! Concat lists them, pools and activations pass them on, a flatten repeats them for each pixel. A set of joined labels
//! is a [`ChannelGroup`]: everything that disappears from the model when that channel is removed.

use std::collections::BTreeMap;

use dtmm_graph::{Graph, Node, Op, TensorId};

/// What a slice is to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It makes the channel: a filter, its bias, batch-norm parameters, an added constant.
    Producer,
    /// It reads the channel: an input column of a Conv2D or FullyConnected.
    Consumer,
}

/// Index `index` of axis `axis` of a constant tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slice {
    /// The constant.
    pub tensor: TensorId,
    /// Axis in the tensor's own layout (OHWI, 1HWO, OI, NHWC, `[C]`).
    pub axis: usize,
    /// Position on that axis.
    pub index: usize,
    /// Whether it makes or reads the channel.
    pub role: Role,
}

/// Channels tied to each other, with all constants' slices that disappear with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelGroup {
    /// Ordered by tensor, axis and index.
    pub slices: Vec<Slice>,
    /// True when the group reaches a model input or output, or an operator that mixes channels.
    pub pinned: bool,
}

impl ChannelGroup {
    /// The slices of one role.
    pub fn slices_of(&self, role: Role) -> impl Iterator<Item = &Slice> {
        self.slices.iter().filter(move |s| s.role == role)
    }
}

/// The channel groups of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelMap {
    /// All groups, in the order in which the graph first makes them.
    pub groups: Vec<ChannelGroup>,
    /// For each tensor the group of each index of its last axis; empty for constants.
    pub activations: Vec<Vec<u32>>,
    /// For each sliced axis of a constant, the group of each index.
    pub constants: BTreeMap<(TensorId, usize), Vec<u32>>,
}

impl ChannelMap {
    /// Analyses a verified float graph.
    pub fn new(graph: &Graph) -> Self {
        let mut labels = Labels { activations: vec![Vec::new(); graph.tensors.len()], ..Labels::default() };
        for port in &graph.inputs {
            let own = labels.fresh(last_axis(graph, port.tensor));
            labels.pin(&own);
            labels.activations[port.tensor.index()] = own;
        }
        for node in &graph.nodes {
            let output = labels.node(graph, node);
            labels.activations[node.output.index()] = output;
        }
        for port in &graph.outputs {
            let own = labels.activations[port.tensor.index()].clone();
            labels.pin(&own);
        }
        labels.finish()
    }

    /// The group of filter `filter` of a weight tensor.
    pub fn group_of_filter(&self, weights: TensorId, filter: usize) -> Option<usize> {
        // 1HWO filters have their output channel on axis 3, and no axis 0 entry.
        let own = self.constants.get(&(weights, 0)).or_else(|| self.constants.get(&(weights, 3)))?;
        own.get(filter).map(|&g| g as usize)
    }
}

#[derive(Default)]
struct Labels {
    parent: Vec<u32>,
    pinned: Vec<bool>,
    activations: Vec<Vec<u32>>,
    constants: BTreeMap<(TensorId, usize), (Role, Vec<u32>)>,
}

impl Labels {
    fn fresh(&mut self, n: usize) -> Vec<u32> {
        let first = self.parent.len() as u32;
        self.parent.extend(first..first + n as u32);
        self.pinned.resize(self.parent.len(), false);
        (first..first + n as u32).collect()
    }

    fn root(&mut self, mut label: u32) -> u32 {
        while self.parent[label as usize] != label {
            let up = self.parent[self.parent[label as usize] as usize];
            self.parent[label as usize] = up;
            label = up;
        }
        label
    }

    /// Ties two channels; the older label stays the root, so that groups come out in graph order.
    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        let (old, new) = (a.min(b), a.max(b));
        self.parent[new as usize] = old;
        self.pinned[old as usize] |= self.pinned[new as usize];
    }

    fn join_all(&mut self, a: &[u32], b: &[u32]) {
        a.iter().zip(b).for_each(|(&a, &b)| self.join(a, b));
    }

    fn pin(&mut self, labels: &[u32]) {
        for &label in labels {
            let root = self.root(label);
            self.pinned[root as usize] = true;
        }
    }

    /// Lets an axis of a constant follow `labels`; a constant used twice ties its users.
    fn attach(&mut self, tensor: TensorId, axis: usize, role: Role, labels: &[u32]) {
        match self.constants.get(&(tensor, axis)).map(|(_, known)| known.clone()) {
            Some(known) => self.join_all(&known, labels),
            None => {
                self.constants.insert((tensor, axis), (role, labels.to_vec()));
            }
        }
    }

    /// The labels of an operand: those of an activation, or fresh pinned ones for a constant.
    fn operand(&mut self, graph: &Graph, tensor: TensorId) -> Vec<u32> {
        if graph.tensor(tensor).data.is_none() {
            return self.activations[tensor.index()].clone();
        }
        self.pinned_fresh(last_axis(graph, tensor))
    }

    fn pinned_fresh(&mut self, n: usize) -> Vec<u32> {
        let labels = self.fresh(n);
        self.pin(&labels);
        labels
    }

    fn node(&mut self, graph: &Graph, node: &Node) -> Vec<u32> {
        let channels = last_axis(graph, node.output);
        match &node.op {
            Op::Conv2d { .. } | Op::FullyConnected { .. } => self.linear(graph, node),
            Op::DepthwiseConv2d { .. } => self.depthwise(graph, node),
            Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => self.elementwise(graph, node),
            Op::Concat { axis } => self.concat(graph, node, *axis),
            Op::BatchNorm { .. } => {
                let x = self.operand(graph, node.inputs[0]);
                node.inputs[1..].iter().for_each(|&t| self.parameter(graph, t, 0, &x));
                x
            }
            Op::Slice { begin, end, stride } => {
                let x = self.operand(graph, node.inputs[0]);
                if stride[3] != 1 {
                    self.pin(&x);
                }
                x.into_iter().take(end[3]).skip(begin[3]).step_by(stride[3]).collect()
            }
            Op::Pad { before, after, .. } => {
                let x = self.operand(graph, node.inputs[0]);
                let (head, tail) = (self.fresh(before[3]), self.fresh(after[3]));
                [head, x, tail].concat()
            }
            Op::Reshape { .. } => self.reshape(graph, node),
            Op::Transpose { perm } if perm[3] == 3 => self.operand(graph, node.inputs[0]),
            Op::Mean { axes } if !axes.contains(&3) => self.operand(graph, node.inputs[0]),
            Op::Transpose { .. } | Op::Mean { .. } | Op::Softmax { .. } | Op::LogSoftmax => {
                let x = self.operand(graph, node.inputs[0]);
                self.pin(&x);
                self.pinned_fresh(channels)
            }
            Op::MaxPool { .. }
            | Op::AveragePool { .. }
            | Op::Relu
            | Op::Clip { .. }
            | Op::LeakyRelu { .. }
            | Op::HardSwish
            | Op::Sigmoid
            | Op::Tanh
            | Op::ResizeNearest { .. }
            | Op::Quantize
            | Op::Dequantize => self.operand(graph, node.inputs[0]),
        }
    }

    /// A per-channel constant; one that is not float data pins its channels.
    fn parameter(&mut self, graph: &Graph, tensor: TensorId, axis: usize, labels: &[u32]) {
        match graph.tensor(tensor).f32_data() {
            Some(_) => self.attach(tensor, axis, Role::Producer, labels),
            None => self.pin(labels),
        }
    }

    fn linear(&mut self, graph: &Graph, node: &Node) -> Vec<u32> {
        let x = self.operand(graph, node.inputs[0]);
        let weights = node.inputs[1];
        let y = self.fresh(last_axis(graph, node.output));
        if graph.tensor(weights).f32_data().is_none() {
            self.pin(&x);
            self.pin(&y);
            return y;
        }
        let input_axis = graph.tensor(weights).shape.len() - 1;
        self.attach(weights, input_axis, Role::Consumer, &x);
        self.attach(weights, 0, Role::Producer, &y);
        node.inputs[2..].iter().for_each(|&b| self.parameter(graph, b, 0, &y));
        y
    }

    fn depthwise(&mut self, graph: &Graph, node: &Node) -> Vec<u32> {
        let x = self.operand(graph, node.inputs[0]);
        let multiplier = last_axis(graph, node.output) / x.len().max(1);
        let y: Vec<u32> = x.iter().flat_map(|&l| std::iter::repeat_n(l, multiplier)).collect();
        self.parameter(graph, node.inputs[1], 3, &y);
        node.inputs[2..].iter().for_each(|&b| self.parameter(graph, b, 0, &y));
        y
    }

    fn elementwise(&mut self, graph: &Graph, node: &Node) -> Vec<u32> {
        let channels = last_axis(graph, node.output);
        let mut output: Option<Vec<u32>> = None;
        for &t in node.inputs.iter().filter(|t| graph.tensor(**t).data.is_none()) {
            let x = self.activations[t.index()].clone();
            match &output {
                _ if x.len() != channels => self.pin(&x),
                Some(first) => self.join_all(&first.clone(), &x),
                None => output = Some(x),
            }
        }
        let output = output.unwrap_or_else(|| self.fresh(channels));
        for &t in node.inputs.iter().filter(|t| graph.tensor(**t).data.is_some()) {
            if last_axis(graph, t) == channels {
                self.parameter(graph, t, 3, &output);
            }
        }
        output
    }

    fn concat(&mut self, graph: &Graph, node: &Node, axis: usize) -> Vec<u32> {
        let parts: Vec<Vec<u32>> = node.inputs.iter().map(|&t| self.operand(graph, t)).collect();
        if axis == 3 {
            return parts.concat();
        }
        parts.iter().for_each(|p| self.join_all(&parts[0].clone(), p));
        parts.into_iter().next().unwrap_or_default()
    }

    /// A reshape keeps channels apart when the last axis stays, or swallows whole axes before it (a flatten).
    fn reshape(&mut self, graph: &Graph, node: &Node) -> Vec<u32> {
        let x = self.operand(graph, node.inputs[0]);
        let channels = last_axis(graph, node.output);
        if x.is_empty() || !channels.is_multiple_of(x.len()) {
            self.pin(&x);
            return self.pinned_fresh(channels);
        }
        x.iter().copied().cycle().take(channels).collect()
    }

    fn finish(mut self) -> ChannelMap {
        let mut groups: Vec<ChannelGroup> = Vec::new();
        let mut number = vec![u32::MAX; self.parent.len()];
        let mut group = |labels: &mut Labels, label: u32| {
            let root = labels.root(label);
            let n = &mut number[root as usize];
            if *n == u32::MAX {
                *n = groups.len() as u32;
                groups.push(ChannelGroup { slices: vec![], pinned: labels.pinned[root as usize] });
            }
            *n
        };
        let activations: Vec<Vec<u32>> = std::mem::take(&mut self.activations)
            .into_iter()
            .map(|of| of.into_iter().map(|l| group(&mut self, l)).collect())
            .collect();
        let owners = std::mem::take(&mut self.constants);
        let mut constants = BTreeMap::new();
        let mut slices = Vec::new();
        for ((tensor, axis), (role, labels)) in owners {
            let of: Vec<u32> = labels.into_iter().map(|l| group(&mut self, l)).collect();
            let slice = |(index, &g): (usize, &u32)| (g, Slice { tensor, axis, index, role });
            slices.extend(of.iter().enumerate().map(slice));
            constants.insert((tensor, axis), of);
        }
        slices.into_iter().for_each(|(g, s)| groups[g as usize].slices.push(s));
        ChannelMap { groups, activations, constants }
    }
}

fn last_axis(graph: &Graph, tensor: TensorId) -> usize {
    graph.tensor(tensor).shape.last().copied().unwrap_or(0)
}
