//! The graph under construction and what operator importers need from it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use dtmm_graph::{ElementType, Graph, Node, Op, QuantParams, Tensor, TensorId, infer_shape};

use crate::attributes::Attributes;
use crate::constant::{Const, element_count};
use crate::error::{Fault, bad, unsupported};
use crate::proto::NodeProto;
use crate::view::View;

/// Larger tensors are refused: no microcontroller model comes near, and arithmetic on their sizes stays safe.
pub(crate) const MAX_ELEMENTS: usize = 1 << 28;

/// Folding and conversion may produce this many constant elements in any case ...
const BASE_BUDGET: usize = 1 << 22;
/// ... and this many more for each byte of the file; whatever would exceed the sum is refused.
const BUDGET_PER_BYTE: usize = 8;

/// An activation: a tensor of the graph and how the ONNX value relates to it.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) tensor: TensorId,
    pub(crate) view: View,
}

/// What an ONNX value name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Const(Rc<Const>),
    Act(Act),
    /// Depends on an unsupported operator, or is an output that the importer does not provide.
    Unknown,
}

/// The graph under construction.
pub(crate) struct Importer {
    pub(crate) graph: Graph,
    pub(crate) values: HashMap<String, Value>,
    pub(crate) opset: i64,
    /// The batch size that the model was exported with, when it is fixed and not 1; the graph has batch 1.
    pub(crate) fixed_batch: Option<i64>,
    folder: Option<PathBuf>,
    budget: usize,
    /// Reshapes and transposes done before, so that each is done once.
    moved: HashMap<(TensorId, String), TensorId>,
}

impl Importer {
    pub(crate) fn new(opset: i64, file_bytes: usize, folder: Option<&Path>) -> Self {
        Importer {
            graph: Graph::default(),
            values: HashMap::new(),
            opset,
            fixed_batch: None,
            folder: folder.map(Path::to_owned),
            budget: BASE_BUDGET.saturating_add(file_bytes.saturating_mul(BUDGET_PER_BYTE)),
            moved: HashMap::new(),
        }
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// How many constant elements may still be made.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// Accounts for `count` constant elements before they are made.
    pub(crate) fn charge(&mut self, count: usize) -> Result<(), Fault> {
        match self.budget.checked_sub(count) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => bad("its constants expand to far more data than the file holds"),
        }
    }

    /// A folded constant as a value.
    pub(crate) fn constant_value(&mut self, constant: Const) -> Result<Value, Fault> {
        self.charge(constant.values.len())?;
        Ok(Value::Const(Rc::new(constant)))
    }

    /// Adds a node; the output is float32 unless `quant` says what it is quantised to.
    pub(crate) fn push(
        &mut self,
        (node, output): (&str, &str),
        op: Op,
        inputs: &[TensorId],
        quant: Option<(ElementType, QuantParams)>,
    ) -> Result<TensorId, Fault> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&t| self.graph.tensor(t).shape.as_slice()).collect();
        let shape = infer_shape(&op, &shapes)?;
        if element_count(&shape).is_none_or(|n| n > MAX_ELEMENTS || n == 0) {
            return bad(format!("its output shape {shape:?} is empty or too large"));
        }
        let (element_type, quant) = quant.map_or((ElementType::F32, None), |(t, q)| (t, Some(q)));
        let name = output.to_owned();
        let output = self.graph.add_tensor(Tensor { name, shape, element_type, quant, data: None });
        self.graph.nodes.push(Node { name: node.to_owned(), op, inputs: inputs.to_vec(), output });
        Ok(output)
    }

    /// Adds a Reshape or Transpose, or finds the one added before.
    pub(crate) fn push_move(&mut self, name: &str, op: Op, input: TensorId) -> Result<TensorId, Fault> {
        let key = (input, format!("{op:?}"));
        if let Some(&done) = self.moved.get(&key) {
            return Ok(done);
        }
        let suffix = op.name().to_lowercase();
        let name = format!("{name}/{suffix}");
        let output = self.push((&name, &name), op, &[input], None)?;
        self.moved.insert(key, output);
        Ok(output)
    }

    /// The NHWC shape of a tensor.
    pub(crate) fn shape(&self, tensor: TensorId) -> [usize; 4] {
        let shape = &self.graph.tensor(tensor).shape;
        std::array::from_fn(|i| shape.get(i).copied().unwrap_or(1))
    }
}

/// One node being imported.
pub(crate) struct NodeImport<'a> {
    pub(crate) importer: &'a mut Importer,
    pub(crate) node: &'a NodeProto,
    pub(crate) attributes: Attributes<'a>,
    pub(crate) name: String,
    inputs: Vec<Option<Value>>,
}

impl<'a> NodeImport<'a> {
    pub(crate) fn new(importer: &'a mut Importer, node: &'a NodeProto, inputs: Vec<Option<Value>>) -> Self {
        let name = super::node_name(node);
        NodeImport { importer, node, attributes: Attributes::of(node), name, inputs }
    }

    pub(crate) fn opset(&self) -> i64 {
        self.importer.opset
    }

    pub(crate) fn op(&self) -> &'a str {
        &self.node.op_type
    }

    /// Input `i`, `None` when it is absent.
    pub(crate) fn input(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i)?.as_ref()
    }

    pub(crate) fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Input `i`, which must be a float activation.
    pub(crate) fn act(&self, i: usize) -> Result<Act, Fault> {
        let act = self.quantized_act(i)?;
        match self.importer.graph.tensor(act.tensor).element_type {
            ElementType::F32 => Ok(act),
            found => unsupported(format!("its input {i} is {found}, expected float32")),
        }
    }

    /// Input `i`, which must be an activation of any type.
    pub(crate) fn quantized_act(&self, i: usize) -> Result<Act, Fault> {
        match self.input(i) {
            Some(Value::Act(act)) => Ok(act.clone()),
            Some(_) => unsupported(format!("its input {i} is a constant, expected an activation")),
            None => bad(format!("input {i} is missing")),
        }
    }

    /// Input `i` as a constant, `None` when it is absent.
    pub(crate) fn constant(&self, i: usize) -> Result<Option<Rc<Const>>, Fault> {
        match self.input(i) {
            None => Ok(None),
            Some(Value::Const(c)) => Ok(Some(c.clone())),
            Some(_) => unsupported(format!("its input {i} is computed, expected a constant")),
        }
    }

    /// Input `i`, which must be there and be a constant.
    pub(crate) fn weights(&self, i: usize) -> Result<Rc<Const>, Fault> {
        match self.constant(i)? {
            Some(c) => Ok(c),
            None => bad(format!("input {i} is missing")),
        }
    }

    /// Integers that are attribute `name` in old operator sets and input `i` in new ones.
    pub(crate) fn ints(&self, name: &str, i: usize) -> Result<Option<Vec<i64>>, Fault> {
        match self.constant(i)? {
            Some(c) => c.as_ints().map(|v| Some(v.to_vec())),
            None => Ok(self.attributes.ints(name).map(<[i64]>::to_vec)),
        }
    }

    /// Adds the node's operator; the output tensor has the ONNX value's name.
    pub(crate) fn emit(&mut self, op: Op, inputs: &[TensorId]) -> Result<TensorId, Fault> {
        let output = self.node.output.first().cloned().unwrap_or_default();
        let name = self.name.clone();
        self.importer.push((&name, &output), op, inputs, None)
    }

    /// Adds one of several operators that the node becomes.
    pub(crate) fn emit_part(&mut self, part: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, Fault> {
        let name = format!("{}/{part}", self.name);
        self.importer.push((&name, &name), op, inputs, None)
    }

    /// Adds a float constant; `name` is the initializer's or a part of this node.
    pub(crate) fn add_weights(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        values: Vec<f32>,
    ) -> Result<TensorId, Fault> {
        self.importer.charge(values.len())?;
        let name = if name.is_empty() { format!("{}/const", self.name) } else { name.to_owned() };
        Ok(self.importer.graph.add_f32(name, shape, values))
    }

    pub(crate) fn shape(&self, tensor: TensorId) -> [usize; 4] {
        self.importer.shape(tensor)
    }
}

/// The single output of most operators.
pub(crate) fn one(tensor: TensorId, view: View) -> Result<Vec<Value>, Fault> {
    Ok(vec![Value::Act(Act { tensor, view })])
}
