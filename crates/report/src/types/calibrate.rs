//! The report of `dtmm calibrate`.

use serde::{Deserialize, Serialize};

/// Cores whose cost model was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrateReport {
    /// Seed of shapes, masks and of which shapes were held out.
    pub seed: u64,
    /// The file that the model was written to.
    pub written: Option<String>,
    /// One for each core.
    pub cores: Vec<CalibratedCore>,
}

/// A fitted core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibratedCore {
    /// The core.
    pub core: String,
    /// All kernels together.
    pub all: CalibratedKernel,
    /// Each kernel.
    pub kernels: Vec<CalibratedKernel>,
    /// Layers that could be stored dense or in runs.
    pub choices: usize,
    /// Those of them that are faster dense.
    pub dense_faster: usize,
    /// Those for which the model chooses the slower form.
    pub wrong_choices: usize,
    /// How much slower the worst of these is than the faster form, a fraction.
    pub worst_choice: f64,
}

/// How well layers of held-out shapes are predicted; errors are fractions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibratedKernel {
    /// The kernel.
    pub kernel: String,
    /// Layers fitted to.
    pub fitted: usize,
    /// Layers held out.
    pub held_out: usize,
    /// Median error of the instructions.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// Median error of the cycles by the core's public timing table; `None` without one.
    pub cycles_median: Option<f64>,
    /// The largest.
    pub cycles_max: Option<f64>,
}
