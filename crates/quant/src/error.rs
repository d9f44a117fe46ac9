//! Why a graph cannot be calibrated, quantised or dequantised.

use thiserror::Error;

/// Why calibration, quantisation or dequantisation failed; each message says what to do.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum QuantError {
    /// Nothing was observed.
    #[error("calibration saw no sample; give at least one, better 100 or more, from the training set")]
    EmptyCalibration,
    /// An activation was never observed.
    #[error(
        "tensor '{tensor}' has no calibrated range; calibrate the graph that is quantised (batch norms folded, activations fused)"
    )]
    MissingRange {
        /// Tensor name.
        tensor: String,
    },
    /// A constant holds NaN or an infinity.
    #[error(
        "tensor '{tensor}' holds {value} at element {index}; the training diverged or the file is damaged: retrain with a lower learning rate or export the model again"
    )]
    NotFinite {
        /// Tensor name.
        tensor: String,
        /// First bad element.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// The float model computed NaN or an infinity on calibration samples.
    #[error(
        "tensor '{tensor}' took the value {value} during calibration; check the preprocessing and the weights"
    )]
    ActivationNotFinite {
        /// Tensor name.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// The graph is not what the operation takes.
    #[error("node '{node}' ({op}): {what}")]
    Node {
        /// Node name.
        node: String,
        /// Operator name.
        op: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
}
