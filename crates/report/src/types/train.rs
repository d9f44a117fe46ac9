//! The report of `dtmm train`, and the epoch rows that other reports share.

use serde::{Deserialize, Serialize};

use super::DatasetInfo;

/// One training epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// 1-based epoch.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Accuracy on held-out samples.
    pub validation_accuracy: f64,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
}

/// What `dtmm train` did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    /// Architecture name.
    pub arch: String,
    /// Data used.
    pub dataset: DatasetInfo,
    /// Random seed.
    pub seed: u64,
    /// Where the model was written.
    pub output: String,
    /// Parameters that training changes.
    pub parameters: usize,
    /// Accuracy on the test split, fraction of 1.
    pub accuracy: f64,
    /// The epochs.
    pub epochs: Vec<EpochRow>,
    /// Seconds of work.
    pub seconds: f64,
}
