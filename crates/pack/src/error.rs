//! Why a graph cannot be packed, or a package not be used.

use dtmm_format::{FormatError, WriteError};
use dtmm_graph::VerifyError;
use dtmm_quant::QuantError;
use dtmm_runtime::RunError;
use thiserror::Error;

/// Why a graph cannot be packed or planned, or a package not be loaded or run; messages name the node or port.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum PackError {
    /// The graph breaks a rule of the intermediate representation.
    #[error("the graph is not valid: {0}")]
    Graph(#[from] VerifyError),
    /// A node computes in float.
    #[error(
        "node '{node}' ({op}) computes in {found}; a package holds int8 operators only: quantise the graph first"
    )]
    NotInt8 {
        /// Node name.
        node: String,
        /// Operator name.
        op: &'static str,
        /// Element type of its output.
        found: String,
    },
    /// The package format cannot express the node.
    #[error("node '{node}' ({op}): {what}")]
    Node {
        /// Node name.
        node: String,
        /// Operator name.
        op: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
    /// A model input or output cannot be brought to int8.
    #[error("port '{port}': {what}")]
    Port {
        /// Port name.
        port: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The structure of a float graph could not be quantised for planning.
    #[error("the float graph cannot be planned: {0}")]
    Quantize(#[from] QuantError),
    /// The bytes are no usable package.
    #[error("the package is refused: {0}")]
    Invalid(FormatError),
    /// The package cannot run.
    #[error("the package cannot run: {0}")]
    Run(RunError),
    /// A sample does not fit the package's input.
    #[error("input '{port}' takes {expected}, found {found}")]
    Sample {
        /// Port name.
        port: String,
        /// Number and type of elements.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The writer refused the package.
    #[error("the package cannot be written: {0}")]
    Write(WriteError),
}

impl From<WriteError> for PackError {
    fn from(error: WriteError) -> Self {
        PackError::Write(error)
    }
}
