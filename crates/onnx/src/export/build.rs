//! The ONNX graph under construction.

use std::collections::{HashMap, HashSet};

use dtmm_graph::{ElementType, Graph, Node, TensorId};

use crate::ExportError;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// How a tensor of the graph is present in the ONNX file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// `[N, C, H, W]`.
    Image,
    /// `[N, F]`, features in the order of the NHWC tensor, of which only one dimension is more than 1.
    Features,
    /// `[N, F]`, the C, H, W order of an image `[h, w, c]` that was flattened to the tensor `[1, 1, 1, F]`.
    Flattened([usize; 3]),
}

/// Collects nodes and initializers.
pub(super) struct Exporter<'g> {
    pub(super) graph: &'g Graph,
    pub(super) onnx: GraphProto,
    /// The names under which each tensor is present, by form.
    values: HashMap<(TensorId, Form), String>,
    /// The form in which a tensor was computed.
    native: HashMap<TensorId, Form>,
    names: HashSet<String>,
    node_names: HashSet<String>,
}

/// ONNX attribute types.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const INTS: i32 = 7;

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), r#type: INT, ..Default::default() }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&v| v as i64).collect();
    AttributeProto { name: name.into(), ints, r#type: INTS, ..Default::default() }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: Some(value), r#type: FLOAT, ..Default::default() }
}

pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    let s = Some(value.as_bytes().to_vec());
    AttributeProto { name: name.into(), s, r#type: STRING, ..Default::default() }
}

impl<'g> Exporter<'g> {
    pub(super) fn new(graph: &'g Graph) -> Self {
        // Port names are the interface: nothing else may take them.
        let names = graph.inputs.iter().chain(&graph.outputs).map(|p| p.name.clone()).collect();
        Exporter {
            graph,
            onnx: GraphProto::default(),
            values: HashMap::new(),
            native: HashMap::new(),
            names,
            node_names: HashSet::new(),
        }
    }

    /// A value name that is not taken, close to `wanted`.
    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        unique(&mut self.names, if wanted.is_empty() { "value" } else { wanted })
    }

    /// Adds a node with one output and returns the output's name.
    pub(super) fn add(
        &mut self,
        op: &str,
        (node, output): (&str, String),
        inputs: &[String],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = unique(&mut self.node_names, if node.is_empty() { op } else { node });
        self.onnx.node.push(NodeProto {
            input: inputs.to_vec(),
            output: vec![output.clone()],
            name,
            op_type: op.into(),
            attribute,
            domain: String::new(),
        });
        output
    }

    /// Adds a node that only serves another: both names are derived from `base`.
    pub(super) fn add_helper(
        &mut self,
        op: &str,
        base: &str,
        inputs: &[String],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = format!("{base}/{}", op.to_lowercase());
        let output = self.fresh(&name);
        self.add(op, (&name, output), inputs, attribute)
    }

    /// Adds a float initializer.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, dims, 1, raw)
    }

    /// Adds an int64 initializer vector.
    pub(super) fn indices(&mut self, name: &str, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, &[values.len()], 7, raw)
    }

    /// Adds an int8 initializer scalar.
    pub(super) fn int8(&mut self, name: &str, value: i8) -> String {
        self.initializer(name, &[], 3, value.to_le_bytes().to_vec())
    }

    fn initializer(&mut self, name: &str, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let name = self.fresh(name);
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.onnx.initializer.push(TensorProto {
            dims,
            data_type,
            raw_data,
            name: name.clone(),
            ..Default::default()
        });
        name
    }

    /// The NHWC shape of a tensor.
    pub(super) fn shape(&self, tensor: TensorId) -> [usize; 4] {
        let shape = &self.graph.tensor(tensor).shape;
        std::array::from_fn(|i| shape.get(i).copied().unwrap_or(1))
    }

    /// The values of a float constant.
    pub(super) fn constant(&self, node: &Node, tensor: TensorId) -> Result<&'g [f32], ExportError> {
        match self.graph.tensor(tensor).f32_data() {
            Some(values) => Ok(values),
            None => refuse(node, format!("'{}' is no float constant", self.graph.tensor(tensor).name)),
        }
    }

    pub(super) fn is_constant(&self, tensor: TensorId) -> bool {
        self.graph.tensor(tensor).data.is_some()
    }

    /// Records that `tensor` is present as `name`; the first form counts as its native one.
    pub(super) fn define(&mut self, tensor: TensorId, form: Form, name: String) {
        self.native.entry(tensor).or_insert(form);
        self.values.insert((tensor, form), name);
    }

    pub(super) fn defined(&self, tensor: TensorId, form: Form) -> Option<String> {
        self.values.get(&(tensor, form)).cloned()
    }

    pub(super) fn native(&self, tensor: TensorId) -> Option<Form> {
        self.native.get(&tensor).copied()
    }

    /// The output name of a node: the port's when the tensor can be given out as it is.
    pub(super) fn output_name(&mut self, tensor: TensorId, form: Form) -> String {
        match self.port_presenting(tensor, form) {
            Some(name) => name,
            None => {
                let wanted = self.graph.tensor(tensor).name.clone();
                self.fresh(&wanted)
            }
        }
    }

    /// Errors unless the tensor is float32 (or int8 where `or_int8`).
    pub(super) fn check_type(&self, node: &Node, tensor: TensorId, or_int8: bool) -> Result<(), ExportError> {
        let t = self.graph.tensor(tensor);
        match t.element_type {
            ElementType::F32 => Ok(()),
            ElementType::I8 if or_int8 => Ok(()),
            found => refuse(node, format!("tensor '{}' is {found}; dequantise the graph first", t.name)),
        }
    }
}

pub(super) fn refuse<T>(node: &Node, what: impl Into<String>) -> Result<T, ExportError> {
    Err(ExportError::Unsupported { op: node.op.name(), node: node.name.clone(), what: what.into() })
}

fn unique(taken: &mut HashSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut n = 1;
    while !taken.insert(name.clone()) {
        n += 1;
        name = format!("{wanted}_{n}");
    }
    name
}
