//! What can go wrong in a forward pass, a backward pass or a training run.

use std::path::PathBuf;

use thiserror::Error;

/// Why a graph could not be run or trained.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The graph breaks a rule of the IR.
    #[error("the graph '{graph}' is not valid: {source}")]
    Graph {
        /// Graph name.
        graph: String,
        /// The broken rule.
        source: dtmm_graph::VerifyError,
    },
    /// The executor has no float kernel for this node.
    #[error("node '{node}' ({op}) cannot be run in float: {what}")]
    Unsupported {
        /// Node name.
        node: String,
        /// Operator name.
        op: &'static str,
        /// The reason and what to do.
        what: String,
    },
    /// An input, a gradient or a data set has the wrong size.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// Which value.
        what: String,
        /// Expected size or shape.
        expected: String,
        /// Found size or shape.
        found: String,
    },
    /// The options contradict each other or the graph.
    #[error("training option {option}: {what}")]
    Option {
        /// Option name.
        option: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
    /// The loss is not a finite number any more.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step} (learning rate {lr:.2e}); \
         lower the learning rate, lengthen the warm-up, or check the data for NaN or unscaled values"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// Epoch, from 1.
        epoch: usize,
        /// Step inside the epoch, from 1.
        step: usize,
        /// The learning rate at that step.
        lr: f32,
    },
    /// The observer asked to stop.
    #[error("interrupted after {epochs} complete epochs; the checkpoint, if any, holds them")]
    Interrupted {
        /// Complete epochs.
        epochs: usize,
    },
    /// A weight of the starting graph is NaN or infinite.
    #[error(
        "tensor '{tensor}' holds a value that is not finite; the model file is damaged or training diverged"
    )]
    NotFinite {
        /// Tensor name.
        tensor: String,
    },
    /// A checkpoint could not be read or written.
    #[error("checkpoint {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A checkpoint exists but belongs to another run, or is damaged.
    #[error("checkpoint {path}: {what}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} threads: {what}")]
    Threads {
        /// Number asked for.
        threads: usize,
        /// The cause.
        what: String,
    },
    /// The architecture name is unknown, or it does not fit the input.
    #[error("architecture '{name}': {what}")]
    Arch {
        /// Name asked for.
        name: String,
        /// What is wrong and what to do.
        what: String,
    },
}
