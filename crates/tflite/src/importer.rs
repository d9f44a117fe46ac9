//! The state of an import: what each source tensor has become, and the graph built so far.

use std::collections::HashMap;

use dtmm_graph::{ElementType, Graph, Node, Op, Tensor, TensorId, infer_shape};

use crate::constant::Constant;
use crate::dims::Layout;
use crate::error::NodeError;
use crate::flat::{FlatError, Table};
use crate::ops::spread;
use crate::quantization::activation_type;
use crate::schema::{Model, Operator, SourceTensor};

/// What a source tensor has become.
#[derive(Clone)]
pub enum Slot {
    /// Nothing yet.
    Unset,
    /// A tensor of the graph that is computed at run time.
    Activation(Activation),
    /// A constant computed during the import.
    Folded(Constant),
    /// The result of an unsupported node.
    Poisoned,
}

/// What a constant is used as; the same one may have another shape in the graph for another use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    Weights,
    Bias,
    Operand,
}

/// A run-time value: its tensor in the graph and its source shape.
#[derive(Clone, Debug)]
pub struct Activation {
    pub id: TensorId,
    pub dims: Vec<usize>,
}

/// One operator of the source model.
pub struct NodeView<'m> {
    pub operator: String,
    pub name: String,
    pub source: &'m Operator<'m>,
}

/// The options of an operator, each with the schema's default when absent.
#[derive(Clone, Copy)]
pub struct Options<'m>(Option<Table<'m>>);

impl Options<'_> {
    pub fn i8(&self, id: usize) -> Result<i8, FlatError> {
        self.0.map_or(Ok(0), |t| t.i8(id, 0))
    }

    pub fn bool(&self, id: usize) -> Result<bool, FlatError> {
        self.0.map_or(Ok(false), |t| t.bool(id))
    }

    pub fn i32(&self, id: usize, default: i32) -> Result<i32, FlatError> {
        self.0.map_or(Ok(default), |t| t.i32(id, default))
    }

    pub fn f32(&self, id: usize) -> Result<f32, FlatError> {
        self.0.map_or(Ok(0.0), |t| t.f32(id, 0.0))
    }

    pub fn i32s(&self, id: usize) -> Result<Vec<i32>, FlatError> {
        self.0.map_or(Ok(vec![]), |t| t.i32s(id))
    }
}

impl<'m> NodeView<'m> {
    pub fn options(&self) -> Options<'m> {
        Options(self.source.options)
    }

    /// The source tensor of a required input.
    pub fn input(&self, i: usize) -> Result<usize, NodeError> {
        let missing = || NodeError::Invalid(format!("input {i} is missing"));
        self.optional(i).ok_or_else(missing)
    }

    /// The source tensor of an optional input.
    pub fn optional(&self, i: usize) -> Option<usize> {
        self.source.inputs.get(i).and_then(|&t| usize::try_from(t).ok())
    }

    /// The source tensors of all inputs that are present.
    pub fn inputs(&self) -> impl Iterator<Item = usize> {
        self.source.inputs.iter().filter_map(|&t| usize::try_from(t).ok())
    }

    /// The source tensor of an output.
    pub fn output(&self, i: usize) -> Result<usize, NodeError> {
        let found = self.source.outputs.get(i).and_then(|&t| usize::try_from(t).ok());
        found.ok_or_else(|| NodeError::Invalid(format!("output {i} is missing")))
    }
}

/// An import under way.
pub struct Importer<'m> {
    pub model: &'m Model<'m>,
    /// Samples in the leading axis of the model's input.
    pub batch: usize,
    pub graph: Graph,
    /// Values spread over the batch, by source tensor.
    pub spread: HashMap<usize, Vec<spread::Axis>>,
    slots: Vec<Slot>,
    weights: HashMap<(usize, Use), TensorId>,
}

impl<'m> Importer<'m> {
    pub fn new(model: &'m Model<'m>, name: &str) -> Self {
        Importer {
            model,
            batch: 1,
            graph: Graph { name: name.to_owned(), ..Graph::default() },
            spread: HashMap::new(),
            slots: vec![Slot::Unset; model.tensors.len()],
            weights: HashMap::new(),
        }
    }

    pub fn source(&self, t: usize) -> Result<&'m SourceTensor, NodeError> {
        let count = self.model.tensors.len();
        let found = self.model.tensors.get(t);
        found.ok_or_else(|| NodeError::Invalid(format!("it refers to tensor {t} of {count}")))
    }

    pub fn slot(&self, t: usize) -> Result<&Slot, NodeError> {
        self.source(t)?;
        Ok(&self.slots[t])
    }

    /// Gives a source tensor its value; twice is an error.
    pub fn set(&mut self, t: usize, slot: Slot) -> Result<(), NodeError> {
        let source = self.source(t)?;
        if !matches!(self.slots[t], Slot::Unset) || self.has_buffer(source) {
            return NodeError::invalid(format!(
                "tensor '{}' is written although it has a value",
                source.name
            ));
        }
        self.slots[t] = slot;
        Ok(())
    }

    fn has_buffer(&self, source: &SourceTensor) -> bool {
        self.model.buffers.get(source.buffer).is_some_and(|b| !b.is_empty())
    }

    /// True when the value is known during the import.
    pub fn is_constant(&self, t: usize) -> bool {
        match self.slot(t) {
            Ok(Slot::Folded(_)) => true,
            Ok(Slot::Unset) => self.source(t).is_ok_and(|s| self.has_buffer(s)),
            _ => false,
        }
    }

    /// The value of a constant; `None` for an activation.
    pub fn constant(&self, t: usize) -> Result<Option<Constant>, NodeError> {
        match self.slot(t)? {
            Slot::Folded(c) => {
                self.model.flat.charge(c.values.len())?;
                Ok(Some(c.clone()))
            }
            Slot::Unset => {
                let source = self.source(t)?;
                let buffer = self.model.buffers.get(source.buffer).filter(|b| !b.is_empty());
                buffer.map(|b| Constant::load(source, b, self.model.flat)).transpose()
            }
            Slot::Activation(_) => Ok(None),
            Slot::Poisoned => Err(NodeError::Poisoned),
        }
    }

    /// A constant that the operator cannot do without; `role` says which.
    pub fn required(&self, t: usize, role: &str) -> Result<Constant, NodeError> {
        match self.constant(t)? {
            Some(c) => Ok(c),
            None => NodeError::unsupported(format!("{role} must be constant")),
        }
    }

    /// A constant list of integers.
    pub fn index(&self, t: usize, role: &str) -> Result<Vec<i64>, NodeError> {
        let found = self.required(t, role)?.values.as_index();
        found.ok_or_else(|| NodeError::Invalid(format!("{role} must be int32 or int64")))
    }

    /// A value computed at run time.
    pub fn activation(&self, t: usize) -> Result<Activation, NodeError> {
        match self.slot(t)? {
            Slot::Activation(a) => Ok(a.clone()),
            Slot::Poisoned => Err(NodeError::Poisoned),
            _ if self.is_constant(t) => NodeError::unsupported("its first input is constant"),
            _ => NodeError::invalid(format!(
                "it reads tensor '{}' before any node writes it (a cycle or a missing producer)",
                self.source(t)?.name
            )),
        }
    }

    pub fn layout<'d>(&self, dims: &'d [usize]) -> Result<Layout<'d>, NodeError> {
        Layout::new(dims, self.batch)
    }

    pub fn shape(&self, id: TensorId) -> &[usize] {
        &self.graph.tensor(id).shape
    }

    pub fn is_float(&self, id: TensorId) -> bool {
        self.graph.tensor(id).element_type == ElementType::F32
    }

    /// Adds `op` for the node's first output, whose source shape is `dims`. When the operator's own result has another
    /// NHWC shape than `dims` stands for, a Reshape follows.
    pub fn emit(
        &mut self,
        node: &NodeView<'_>,
        op: Op,
        inputs: &[TensorId],
        dims: Vec<usize>,
    ) -> Result<(), NodeError> {
        self.emit_output(node, 0, op, inputs, dims)
    }

    /// Adds `op`, which makes an image of an image; `lead` is the source's batch axis.
    pub fn emit_image(
        &mut self,
        node: &NodeView<'_>,
        op: Op,
        inputs: &[TensorId],
        lead: usize,
    ) -> Result<(), NodeError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&t| self.shape(t)).collect();
        let mut dims = infer_shape(&op, &shapes)?;
        dims[0] = lead;
        self.emit(node, op, inputs, dims)
    }

    /// As [`Importer::emit`], for a node with several outputs.
    pub fn emit_output(
        &mut self,
        node: &NodeView<'_>,
        output: usize,
        op: Op,
        inputs: &[TensorId],
        dims: Vec<usize>,
    ) -> Result<(), NodeError> {
        let out = node.output(output)?;
        let wanted = self.layout(&dims)?.shape();
        let mut id = self.add_node(node, out, op, inputs)?;
        if self.shape(id) != wanted {
            id = self.add_node(node, out, Op::Reshape { shape: wanted }, &[id])?;
        }
        self.set(out, Slot::Activation(Activation { id, dims }))
    }

    /// Adds one node; the new tensor has name, type and quantisation of source tensor `out`.
    pub fn add_node(
        &mut self,
        node: &NodeView<'_>,
        out: usize,
        op: Op,
        inputs: &[TensorId],
    ) -> Result<TensorId, NodeError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&t| self.shape(t)).collect();
        let shape = infer_shape(&op, &shapes)?;
        let source = self.source(out)?;
        let (element_type, quant) = activation_type(source)?;
        self.check_types(&op, inputs[0], element_type)?;
        let output = self.graph.add_tensor(Tensor {
            name: source.name.clone(),
            shape,
            element_type,
            quant,
            data: None,
        });
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs: inputs.to_vec(), output });
        Ok(output)
    }

    /// Reshapes `x`, keeping its type and quantisation; nothing is added when it has this NHWC shape.
    pub fn reshaped(
        &mut self,
        node: &NodeView<'_>,
        x: TensorId,
        shape: [usize; 4],
    ) -> Result<TensorId, NodeError> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.rearranged(node, x, Op::Reshape { shape })
    }

    /// Applies a layout operator to `x`; the result has its type and quantisation.
    pub fn rearranged(&mut self, node: &NodeView<'_>, x: TensorId, op: Op) -> Result<TensorId, NodeError> {
        let shape = infer_shape(&op, &[self.shape(x)])?;
        let tensor = Tensor { shape, ..self.graph.tensor(x).clone() };
        let output = self.graph.add_tensor(tensor);
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs: vec![x], output });
        Ok(output)
    }

    /// Lets an output be the same value as `x` under the source shape `dims`; a Reshape where the NHWC shapes differ.
    pub fn alias(
        &mut self,
        node: &NodeView<'_>,
        output: usize,
        x: TensorId,
        dims: Vec<usize>,
    ) -> Result<(), NodeError> {
        let out = node.output(output)?;
        let (element_type, quant) = activation_type(self.source(out)?)?;
        let shape = self.layout(&dims)?.shape();
        let t = self.graph.tensor(x);
        if t.shape == shape && t.element_type == element_type && t.quant == quant {
            return self.set(out, Slot::Activation(Activation { id: x, dims }));
        }
        self.emit_output(node, output, Op::Reshape { shape }, &[x], dims)
    }

    /// Adds a constant to the graph once per source tensor and use.
    pub fn weight(
        &mut self,
        t: usize,
        used_as: Use,
        make: impl FnOnce(&mut Self) -> Result<Tensor, NodeError>,
    ) -> Result<TensorId, NodeError> {
        if let Some(&id) = self.weights.get(&(t, used_as)) {
            return Ok(id);
        }
        let tensor = make(self)?;
        let id = self.graph.add_tensor(tensor);
        self.weights.insert((t, used_as), id);
        Ok(id)
    }

    fn check_types(&self, op: &Op, x: TensorId, output: ElementType) -> Result<(), NodeError> {
        let input = self.graph.tensor(x).element_type;
        let ok = match op {
            Op::Quantize => output != ElementType::F32,
            Op::Dequantize => input != ElementType::F32 && output == ElementType::F32,
            _ if input == ElementType::U8 || output == ElementType::U8 => {
                return NodeError::unsupported(
                    "computing in uint8 (the old quantisation scheme); convert with int8 quantisation",
                );
            }
            _ => input == output,
        };
        if ok { Ok(()) } else { NodeError::invalid(format!("{input} input, but {output} output")) }
    }
}
