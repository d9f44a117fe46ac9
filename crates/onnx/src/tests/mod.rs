//! Models built message by message: what the golden files do not cover.

mod errors;
mod layouts;
mod structure;

use prost::Message;

use crate::proto::*;

/// Builds a model from parts.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) proto: ModelProto,
}

impl Model {
    /// A model with the float input `x` of these dimensions and the output `y`.
    pub(super) fn new(dims: &[i64]) -> Self {
        let graph =
            GraphProto { input: vec![value("x", dims)], output: vec![value("y", &[])], ..Default::default() };
        let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
        Model { proto: ModelProto { graph: Some(graph), opset_import: vec![opset], ..Default::default() } }
    }

    pub(super) fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().expect("a graph")
    }

    /// Adds a node named like its output.
    pub(super) fn node(mut self, op: &str, inputs: &[&str], output: &str) -> Self {
        self.graph().node.push(NodeProto {
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: vec![output.into()],
            name: format!("node_{output}"),
            op_type: op.into(),
            ..Default::default()
        });
        self
    }

    /// Gives the node added last an integer list.
    pub(super) fn ints(mut self, name: &str, ints: &[i64]) -> Self {
        let attribute =
            AttributeProto { name: name.into(), ints: ints.to_vec(), r#type: 7, ..Default::default() };
        self.graph().node.last_mut().expect("a node").attribute.push(attribute);
        self
    }

    /// A float initializer with the values 0, 1, 2, …
    pub(super) fn floats(mut self, name: &str, dims: &[i64]) -> Self {
        let count: i64 = dims.iter().product();
        self.graph().initializer.push(TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: 1,
            float_data: (0..count).map(|i| i as f32).collect(),
            ..Default::default()
        });
        self
    }

    /// An integer initializer.
    pub(super) fn indices(mut self, name: &str, values: &[i64]) -> Self {
        self.graph().initializer.push(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: 7,
            int64_data: values.to_vec(),
            ..Default::default()
        });
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    pub(super) fn import(&self) -> Result<dtmm_graph::Graph, crate::ImportError> {
        crate::import(&self.bytes(), "test.onnx")
    }
}

fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |&d: &i64| Dimension {
        value: Some(if d < 0 { Value::DimParam("N".into()) } else { Value::DimValue(d) }),
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: 1, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) });
    ValueInfoProto { name: name.into(), r#type }
}
