//! The report types, one file for each command.

mod bench;
mod boards;
mod calibrate;
mod compare;
mod compress;
mod eval;
mod export;
mod inspect;
mod run;
mod train;

pub use bench::{BenchLayer, BenchReport, CoreBench, CoreVerify, Difference, VerifyReport};
pub use boards::{BoardFit, BoardsReport};
pub use calibrate::{CalibrateReport, CalibratedCore, CalibratedKernel};
pub use compare::{CompareReport, CompareRow};
pub use compress::{
    Accuracy, Bound, BudgetRow, CompressReport, CoreLatency, Flash, Quantization, Ram, RamPoint, RoundRow,
    TensorBytes, TrialRow,
};
pub use eval::{ClassRow, EvalReport};
pub use export::ExportReport;
pub use inspect::{Estimate, InspectReport, KeptMap, LayerRow};
pub use run::RunReport;
pub use train::{EpochRow, TrainReport};

use serde::{Deserialize, Serialize};

/// Versions of what made a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    /// Version of the `dtmm` command.
    pub dtmm: String,
    /// Version of the package format.
    pub package_format: u32,
}

/// The data set of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Path as the user gave it.
    pub name: String,
    /// Training samples used.
    pub train_samples: usize,
    /// Test samples used.
    pub test_samples: usize,
    /// Number of classes.
    pub classes: usize,
}
