//! What can go wrong while importing, in words for the user.

use std::path::PathBuf;

use dtmm_graph::{ShapeError, VerifyError};
use thiserror::Error;

use crate::flat::FlatError;
use crate::schema::ModelError;

/// An operator, or a variant of one, that the importer does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// The operator's name in the TFLite schema, or a custom operator's own name.
    pub operator: String,
    /// Position in the model's list of operators; `None` for an input of the model.
    pub index: Option<usize>,
    /// Name of the node's first output.
    pub name: String,
    /// What about it is not supported, when the operator itself is known.
    pub reason: Option<String>,
}

impl std::fmt::Display for UnsupportedNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            Some(index) => write!(f, "{} (node {index}, '{}')", self.operator, self.name)?,
            None => write!(f, "{} '{}'", self.operator, self.name)?,
        }
        self.reason.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// Why a TFLite model could not be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file could not be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The bytes are not a TFLite model, or a garbled one.
    #[error("'{file}' is not a valid TFLite model: {what}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The model uses operators that are not supported: all of them.
    #[error("'{file}' uses {} unsupported operator{}:{}", nodes.len(), if nodes.len() == 1 { "" } else { "s" }, list(nodes))]
    Unsupported {
        /// The file.
        file: String,
        /// Every unsupported input and node, in the model's order.
        nodes: Vec<UnsupportedNode>,
    },
    /// A node contradicts the TFLite specification or itself.
    #[error("'{file}', node {index} '{name}' ({operator}): {what}")]
    Node {
        /// The file.
        file: String,
        /// Position in the model's list of operators.
        index: usize,
        /// Name of the node's first output.
        name: String,
        /// The operator.
        operator: String,
        /// What is wrong: expected and found.
        what: String,
    },
    /// An input or output of the model is unusable.
    #[error("'{file}', model {role} '{name}': {what}")]
    Port {
        /// The file.
        file: String,
        /// "input" or "output".
        role: &'static str,
        /// Tensor name.
        name: String,
        /// What is wrong: expected and found.
        what: String,
    },
    /// The imported graph breaks a rule of the intermediate representation.
    #[error("'{file}' is inconsistent")]
    Graph {
        /// The file.
        file: String,
        /// The rule.
        source: VerifyError,
    },
}

impl ImportError {
    /// What the user can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            ImportError::Read { .. } => "check the path and its permissions",
            ImportError::Format { .. } => {
                "expected a .tflite file (a FlatBuffer with the identifier TFL3); export or download it again"
            }
            ImportError::Unsupported { .. } => {
                "dtmm compresses feed-forward CNNs in float32 or int8; recurrent, control-flow and custom operators, \
                 and other element types are not supported: replace these nodes, or convert the model again with full \
                 int8 quantisation or as float32"
            }
            ImportError::Node { .. } | ImportError::Graph { .. } => {
                "the file was probably written by a broken converter or damaged; convert it again"
            }
            ImportError::Port { .. } => {
                "inputs and outputs must be float32, int8 or uint8 tensors of a fixed shape; convert the model again"
            }
        }
    }
}

fn list(nodes: &[UnsupportedNode]) -> String {
    nodes.iter().map(|n| format!("\n  {n}")).collect()
}

/// What is wrong with one node; the importer adds where.
#[derive(Debug)]
pub enum NodeError {
    /// Valid TFLite that the importer does not handle; `None` when it is the operator as such.
    Unsupported(Option<String>),
    /// Not valid.
    Invalid(String),
    /// The node reads the result of an unsupported one: nothing can be said about it.
    Poisoned,
}

impl NodeError {
    pub fn unsupported<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(NodeError::Unsupported(Some(what.into())))
    }

    pub fn invalid<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(NodeError::Invalid(what.into()))
    }
}

impl From<FlatError> for NodeError {
    fn from(error: FlatError) -> Self {
        NodeError::Invalid(error.to_string())
    }
}

impl From<ShapeError> for NodeError {
    fn from(error: ShapeError) -> Self {
        NodeError::Invalid(error.to_string())
    }
}

impl std::fmt::Display for NodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NodeError::Unsupported(why) => f.write_str(why.as_deref().unwrap_or("not supported")),
            NodeError::Invalid(what) => f.write_str(what),
            NodeError::Poisoned => f.write_str("it depends on an unsupported node"),
        }
    }
}

impl std::fmt::Display for ModelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ModelError::Flat(error) => error.fmt(f),
            ModelError::Other(what) => f.write_str(what),
        }
    }
}
