//! The report of `dtmm run`.

use serde::{Deserialize, Serialize};

/// What `dtmm run` did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Model or package path.
    pub model: String,
    /// Samples run.
    pub samples: usize,
    /// Shape of one output as the source model presents it.
    pub output_shape: Vec<usize>,
    /// Element type of the output.
    pub output_type: String,
    /// Where the outputs were written.
    pub output: String,
}
