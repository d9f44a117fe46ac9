//! What can go wrong, for users and inside the crate.

use std::{fmt, io};

use dtmm_graph::{ShapeError, VerifyError};
use thiserror::Error;

/// An operator of a model that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedOp {
    /// Operator type, with its domain unless that is the standard one.
    pub op: String,
    /// Node name, or the name of its first output when it has none.
    pub node: String,
    /// Why: empty when the operator as such is unknown.
    pub reason: String,
}

impl fmt::Display for UnsupportedOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at node '{}'", self.op, self.node)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

/// Why an ONNX model was not imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file, or a file with external data, cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// File.
        file: String,
        /// Cause.
        source: io::Error,
    },
    /// The file is larger than any model that protobuf can hold.
    #[error("{file} has {size} bytes; an ONNX model has at most {limit}")]
    TooLarge {
        /// File.
        file: String,
        /// Bytes found.
        size: u64,
        /// Bytes accepted.
        limit: u64,
    },
    /// Not an ONNX protobuf, or a truncated one.
    #[error("{file} is not a readable ONNX model")]
    Parse {
        /// File.
        file: String,
        /// Cause.
        source: prost::DecodeError,
    },
    /// A valid protobuf that is no usable model.
    #[error("{file} is not a usable ONNX model: {what}")]
    Model {
        /// File.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// Operators that the importer does not know or cannot express; all of them.
    #[error("{file}: {} unsupported operator{}:{}", ops.len(), if ops.len() == 1 { "" } else { "s" }, list(ops))]
    Unsupported {
        /// File.
        file: String,
        /// Every one of them, in execution order.
        ops: Vec<UnsupportedOp>,
    },
    /// A model input cannot be used.
    #[error("{file}: input '{input}': {what}")]
    Input {
        /// File.
        file: String,
        /// Input name.
        input: String,
        /// What is wrong.
        what: String,
    },
    /// A stored tensor is inconsistent.
    #[error("{file}: tensor '{tensor}': {what}")]
    Tensor {
        /// File.
        file: String,
        /// Tensor name.
        tensor: String,
        /// What is wrong.
        what: String,
    },
    /// A node has wrong attributes or inputs.
    #[error("{file}: {op} at node '{node}': {what}")]
    Node {
        /// File.
        file: String,
        /// Operator type.
        op: String,
        /// Node name.
        node: String,
        /// What is wrong.
        what: String,
    },
    /// The shapes of a node's inputs do not fit.
    #[error("{file}: {op} at node '{node}' does not fit its inputs (shapes are NHWC)")]
    Shape {
        /// File.
        file: String,
        /// Operator type.
        op: String,
        /// Node name.
        node: String,
        /// Cause.
        source: Box<ShapeError>,
    },
    /// Nodes depend on each other.
    #[error("{file}: the nodes {} depend on each other in a cycle", nodes.join(", "))]
    Cycle {
        /// File.
        file: String,
        /// Some of the nodes (at most eight).
        nodes: Vec<String>,
    },
    /// The imported graph breaks a rule of the intermediate representation.
    #[error("{file}: the model is not a valid graph")]
    Verify {
        /// File.
        file: String,
        /// The rule.
        source: Box<VerifyError>,
    },
}

fn list(ops: &[UnsupportedOp]) -> String {
    ops.iter().map(|op| format!("\n  {op}")).collect()
}

impl ImportError {
    /// What the user can do about it, for a `help:` line.
    pub fn help(&self) -> &'static str {
        match self {
            ImportError::Read { .. } => "check the path and the permissions",
            ImportError::TooLarge { .. } => "give a model of microcontroller size",
            ImportError::Parse { .. } | ImportError::Model { .. } => {
                "the file may be truncated or of another format; check it with onnx.checker and export it again"
            }
            ImportError::Unsupported { .. } => {
                "replace these operators in the model, or simplify it before (for instance with onnxsim); \
                 recurrent operators and control flow cannot be imported"
            }
            ImportError::Input { .. } => {
                "export the model with static dimensions; only the batch dimension may be dynamic"
            }
            ImportError::Tensor { .. } => "the file is damaged or incomplete; export the model again",
            ImportError::Node { .. } | ImportError::Shape { .. } => {
                "check the model with onnx.checker and onnx.shape_inference, and export it again"
            }
            ImportError::Cycle { .. } | ImportError::Verify { .. } => {
                "the model is inconsistent; export it again"
            }
        }
    }
}

/// Why a graph was not written as ONNX.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The graph breaks a rule of the intermediate representation.
    #[error("graph '{graph}' is not valid")]
    Verify {
        /// Graph name.
        graph: String,
        /// The rule.
        source: Box<VerifyError>,
    },
    /// The operator has no ONNX form here.
    #[error("{op} at node '{node}' cannot be written as float ONNX: {what}")]
    Unsupported {
        /// Operator name.
        op: &'static str,
        /// Node name.
        node: String,
        /// Why.
        what: String,
    },
    /// A port's source shape or permutation does not fit its tensor.
    #[error("port '{port}': source shape {source_shape:?} with permutation {perm:?} does not fit {shape:?}")]
    Port {
        /// Port name.
        port: String,
        /// Shape that the port declares.
        source_shape: Vec<usize>,
        /// Permutation that the port declares.
        perm: Vec<usize>,
        /// The tensor's NHWC shape.
        shape: Vec<usize>,
    },
    /// The file cannot be written.
    #[error("cannot write {file}")]
    Write {
        /// File.
        file: String,
        /// Cause.
        source: io::Error,
    },
}

/// Why one node or constant was not imported; the driver adds file and node.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Not expressible; collected with all others.
    Unsupported(String),
    /// Wrong in itself.
    Bad(String),
    /// Shapes do not fit.
    Shape(Box<ShapeError>),
}

impl From<ShapeError> for Fault {
    fn from(source: ShapeError) -> Self {
        Fault::Shape(Box::new(source))
    }
}

/// A fault of the node's own content.
pub(crate) fn bad<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Bad(what.into()))
}

/// A construct that is valid but has no counterpart here.
pub(crate) fn unsupported<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unsupported(why.into()))
}
