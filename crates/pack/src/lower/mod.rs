//! Int8 graph to [`Program`]: operator parameters with TFLite's arithmetic, views instead of reshapes, int8 ports.

mod arithmetic;
mod boundary;
mod linear;
mod lut;
mod movement;
mod windowed;

use std::collections::BTreeMap;

use dtmm_format::{Params, Shape};
use dtmm_graph::{Data, ElementType, Graph, Node, NodeId, Op, TensorId, transform};

use dtmm_quant::absorb_float_edges;

use crate::PackError;
use crate::program::{Kind, Program, Slot, SlotId, SlotPlace, Step};

/// Lowers an int8 graph; operators that change nothing get no layer, float operators at the edges become int8.
pub(crate) fn lower(graph: &Graph) -> Result<Program, PackError> {
    graph.verify()?;
    let mut graph = graph.clone();
    absorb_float_edges(&mut graph);
    transform::eliminate_identities(&mut graph);
    let graph = &graph;
    let boundary = boundary::resolve(graph)?;
    let mut lowering = Lowering { graph, program: Program::default(), slot_of: BTreeMap::new() };
    for &id in &boundary.inputs {
        let slot = lowering.arena_slot(id)?;
        lowering.program.inputs.push(slot);
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        if !boundary.skipped.contains(&i) {
            lowering.node(i, node)?;
        }
    }
    for &id in &boundary.outputs {
        let slot = lowering.slot(id)?;
        if matches!(lowering.program.slots[slot].place, SlotPlace::Constant(_)) {
            let what = "the output is a constant; there is nothing to run".to_owned();
            return Err(PackError::Port { port: graph.tensor(id).name.clone(), what });
        }
        lowering.program.outputs.push(slot);
    }
    Ok(lowering.program)
}

struct Lowering<'g> {
    graph: &'g Graph,
    program: Program,
    slot_of: BTreeMap<TensorId, SlotId>,
}

impl Lowering<'_> {
    fn node(&mut self, index: NodeId, node: &Node) -> Result<(), PackError> {
        let output = self.graph.tensor(node.output);
        if output.element_type != ElementType::I8 {
            let found = output.element_type.to_string();
            return Err(PackError::NotInt8 { node: node.name.clone(), op: node.op.name(), found });
        }
        if let Op::Reshape { .. } = node.op {
            return self.view(node);
        }
        let operands = if node.op.has_weights() { &node.inputs[..1] } else { &node.inputs[..] };
        let inputs = operands.iter().map(|&t| self.slot(t)).collect::<Result<Vec<_>, _>>()?;
        let kind = self.kind(node)?;
        let output = self.arena_slot(node.output)?;
        let name = if node.name.is_empty() { format!("node {index}") } else { node.name.clone() };
        self.program.steps.push(Step { name, op: node.op.name(), inputs, output, kind });
        Ok(())
    }

    /// A reshape needs no layer: its output is the input's bytes under another shape.
    fn view(&mut self, node: &Node) -> Result<(), PackError> {
        let input = self.slot(node.inputs[0])?;
        let place = self.program.slots[input].place.clone();
        let slot = self.new_slot(node.output, place)?;
        self.slot_of.insert(node.output, slot);
        Ok(())
    }

    fn kind(&self, node: &Node) -> Result<Kind, PackError> {
        let graph = self.graph;
        match &node.op {
            Op::Conv2d { window, activation } => linear::conv2d(graph, node, window, *activation),
            Op::DepthwiseConv2d { window, activation } => linear::depthwise(graph, node, window, *activation),
            Op::FullyConnected { activation } => linear::fully_connected(graph, node, *activation),
            Op::Add { activation } => Ok(Kind::Add(arithmetic::add(graph, node, *activation)?)),
            Op::Sub { activation } => Ok(Kind::Sub(arithmetic::add(graph, node, *activation)?)),
            Op::Mul { activation } => Ok(Kind::Mul(arithmetic::mul(graph, node, *activation)?)),
            Op::Concat { axis } => movement::concat(graph, node, *axis),
            Op::MaxPool { .. } | Op::AveragePool { .. } => windowed::pool(graph, node),
            Op::Mean { axes } => arithmetic::mean(graph, node, axes),
            Op::Transpose { .. } | Op::Slice { .. } | Op::Pad { .. } | Op::ResizeNearest { .. } => {
                movement::movement(graph, node)
            }
            Op::Relu | Op::Clip { .. } | Op::Quantize => arithmetic::requantize(graph, node),
            Op::LeakyRelu { .. } | Op::HardSwish | Op::Sigmoid | Op::Tanh => Ok(Kind::Lut(Box::new(
                lut::table(&node.op, quant(graph, node, node.inputs[0])?, quant(graph, node, node.output)?),
            ))),
            Op::Softmax { beta } => arithmetic::softmax(graph, node, *beta),
            Op::LogSoftmax => arithmetic::log_softmax(graph, node),
            Op::Reshape { .. } => Ok(Kind::Plain(Params::Reshape)),
            Op::BatchNorm { .. } | Op::Dequantize => Err(fail(
                node,
                "has no int8 form; fold batch norms and keep the graph int8 up to its outputs",
            )),
        }
    }

    /// The slot of a tensor that exists already, or of a constant.
    fn slot(&mut self, id: TensorId) -> Result<SlotId, PackError> {
        if let Some(&slot) = self.slot_of.get(&id) {
            return Ok(slot);
        }
        let tensor = self.graph.tensor(id);
        let Some(Data::I8(values)) = &tensor.data else {
            let what =
                format!("tensor of type {} cannot be an operand of an int8 operator", tensor.element_type);
            return Err(PackError::Port { port: tensor.name.clone(), what });
        };
        let slot = self.new_slot(id, SlotPlace::Constant(values.clone()))?;
        self.slot_of.insert(id, slot);
        Ok(slot)
    }

    /// A new slot with bytes of its own in the arena.
    fn arena_slot(&mut self, id: TensorId) -> Result<SlotId, PackError> {
        if let Some(&slot) = self.slot_of.get(&id) {
            return Ok(slot);
        }
        let buffer = self.program.buffers;
        self.program.buffers += 1;
        let slot = self.new_slot(id, SlotPlace::Arena(buffer))?;
        self.slot_of.insert(id, slot);
        Ok(slot)
    }

    fn new_slot(&mut self, id: TensorId, place: SlotPlace) -> Result<SlotId, PackError> {
        let tensor = self.graph.tensor(id);
        let too_large = |what: &str| PackError::Port { port: tensor.name.clone(), what: what.to_owned() };
        let dim = |i: usize| tensor.shape.get(i).and_then(|&d| u32::try_from(d).ok());
        let (Some(w), Some(c), Some(Ok(h))) =
            (dim(2), dim(3), tensor.shape.get(1).map(|&h| u16::try_from(h)))
        else {
            return Err(too_large("its shape does not fit the package (H ≤ 65535)"));
        };
        let q = tensor.quant.as_ref().filter(|q| q.is_per_tensor());
        let zero_point = q.and_then(|q| i8::try_from(q.zero_point[0]).ok());
        let (Some(q), Some(zero_point)) = (q, zero_point) else {
            return Err(too_large("an int8 activation needs one scale and a zero point in -128..=127"));
        };
        let slot = Slot {
            name: tensor.name.clone(),
            shape: Shape { h, w, c },
            scale: q.scale[0],
            zero_point,
            place,
        };
        self.program.slots.push(slot);
        Ok(self.program.slots.len() - 1)
    }
}

/// Scale and zero point of an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quant {
    scale: f32,
    zero_point: i32,
}

fn quant(graph: &Graph, node: &Node, id: TensorId) -> Result<Quant, PackError> {
    let tensor = graph.tensor(id);
    match tensor.quant.as_ref().filter(|q| q.is_per_tensor() && tensor.element_type == ElementType::I8) {
        Some(q) => Ok(Quant { scale: q.scale[0], zero_point: q.zero_point[0] }),
        None => Err(fail(node, &format!("tensor '{}' is no int8 tensor with one scale", tensor.name))),
    }
}

/// Input and output must have the same parameters, as the operator does not rescale.
fn same_quant(graph: &Graph, node: &Node) -> Result<Quant, PackError> {
    let output = quant(graph, node, node.output)?;
    for &input in &node.inputs {
        if quant(graph, node, input)? != output {
            return Err(fail(
                node,
                "does not rescale, but its input and output have different scales or zero points",
            ));
        }
    }
    Ok(output)
}

fn fail(node: &Node, what: &str) -> PackError {
    PackError::Node { node: node.name.clone(), op: node.op.name(), what: what.to_owned() }
}

/// A number that a package stores in 16 bits.
fn small(node: &Node, n: usize) -> Result<u16, PackError> {
    u16::try_from(n).map_err(|_| fail(node, &format!("{n} is too large for a package")))
}
