//! Coefficients and the sum they stand for.

use std::collections::BTreeMap;

use dtmm_boards::Core;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::work::{Feature, Work};

/// A family of kernels with coefficients of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Convolution with dense weights.
    Conv,
    /// Convolution over stored runs of input channels.
    ConvRuns,
    /// Depthwise convolution with one filter for each channel.
    Depthwise,
    /// Depthwise convolution with several filters for each channel.
    DepthwiseMultiplied,
    /// Fully connected with dense weights.
    Dense,
    /// Fully connected over stored runs.
    DenseRuns,
    /// Sum of two inputs.
    Add,
    /// Difference of two inputs.
    Sub,
    /// Product of two inputs.
    Mul,
    /// Other scale.
    Requantize,
    /// Table of values.
    Lut,
    /// Maximum over windows.
    MaxPool,
    /// Mean over windows.
    AveragePool,
    /// Mean over axes.
    Mean,
    /// Softmax over channels.
    Softmax,
    /// Its logarithm.
    LogSoftmax,
    /// Inputs joined.
    Concat,
    /// Other axis order.
    Transpose,
    /// Part of the input.
    Slice,
    /// The input with a border.
    Pad,
    /// Nearest-neighbour resize.
    ResizeNearest,
    /// A convolution over single weights in compressed rows. No such kernel exists here; for comparison.
    SingleWeights,
    /// A convolution over kernels with four-weight patterns. No such kernel exists here; for comparison.
    Patterns,
    /// A convolution over n of every four weights. No such kernel exists here; for comparison.
    OfFour,
}

impl Kernel {
    /// The kernels that the runtime has.
    pub const REAL: [Kernel; 21] = [
        Kernel::Conv,
        Kernel::ConvRuns,
        Kernel::Depthwise,
        Kernel::DepthwiseMultiplied,
        Kernel::Dense,
        Kernel::DenseRuns,
        Kernel::Add,
        Kernel::Sub,
        Kernel::Mul,
        Kernel::Requantize,
        Kernel::Lut,
        Kernel::MaxPool,
        Kernel::AveragePool,
        Kernel::Mean,
        Kernel::Softmax,
        Kernel::LogSoftmax,
        Kernel::Concat,
        Kernel::Transpose,
        Kernel::Slice,
        Kernel::Pad,
        Kernel::ResizeNearest,
    ];
}

/// What a kernel takes on one core: each count of its [`Work`] times a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficients {
    /// Instructions.
    pub instructions: BTreeMap<Feature, f64>,
    /// Cycles where the core has a public timing table; else they are instructions times
    /// [`CoreCosts::cycles_per_instruction`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cycles: BTreeMap<Feature, f64>,
    /// Largest relative error of the instructions on layers that were not fitted to, or the uncertainty of an estimate; a
    /// fraction of 1.
    pub error: f64,
    /// How the fit went; `None` for what was not fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitRecord>,
    /// Where the numbers come from.
    pub basis: Basis,
}

/// How well a fit predicts layers of shapes that it has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitRecord {
    /// Layers fitted to.
    pub fitted: usize,
    /// Layers held out.
    pub held_out: usize,
    /// Median relative error of the instructions of those.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// Median relative error of their cycles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles_median: Option<f64>,
    /// The largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles_max: Option<f64>,
}

/// Where coefficients come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Least squares on measured layers.
    Fitted,
    /// Scaled from another core's or kernel's numbers.
    #[default]
    Estimated,
}

impl Coefficients {
    /// Instructions of one call.
    pub fn instructions(&self, work: &Work) -> f64 {
        sum(&self.instructions, work)
    }

    /// Cycles of one call; `None` where the core has no public timing table.
    pub fn cycles(&self, work: &Work) -> Option<f64> {
        (!self.cycles.is_empty()).then(|| sum(&self.cycles, work))
    }
}

/// Each count times its number.
pub(crate) fn sum(numbers: &BTreeMap<Feature, f64>, work: &Work) -> f64 {
    numbers.iter().map(|(&feature, number)| number * work.get(feature)).sum()
}

/// All kernels of one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreCosts {
    /// Cycles of an average instruction, code in flash.
    pub cycles_per_instruction: f64,
    /// How well the held-out layers of all kernels together are predicted; `None` for a core that was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitRecord>,
    /// Coefficients by kernel.
    pub kernels: BTreeMap<Kernel, Coefficients>,
}

/// Coefficients of every core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostModel {
    /// Version of the data's layout.
    pub version: u32,
    /// What the numbers were measured on.
    pub source: String,
    /// By core name.
    pub cores: BTreeMap<Core, CoreCosts>,
}

/// Why a cost model is unusable.
#[derive(Debug, Error)]
pub enum CostError {
    /// The text is no cost model.
    #[error("the cost model cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The layout is another one.
    #[error("cost model version {found}, expected {expected}; make it again with this version of the tool")]
    Version {
        /// Version in the text.
        found: u32,
        /// Version understood.
        expected: u32,
    },
    /// A number is negative or not finite.
    #[error("core {core}, kernel {kernel:?}: a coefficient is negative or not finite")]
    Coefficient {
        /// The core.
        core: Core,
        /// The kernel.
        kernel: Kernel,
    },
    /// The core or the kernel has no coefficients.
    #[error("the cost model knows no {kernel:?} kernel on {core}")]
    Missing {
        /// The core.
        core: Core,
        /// The kernel.
        kernel: Kernel,
    },
}

/// Version of the layout that this crate reads.
const VERSION: u32 = 2;

impl CostModel {
    /// The coefficients that come with the tool.
    pub fn builtin() -> Self {
        Self::from_json(include_str!("../data/model.json")).unwrap_or_else(|_| CostModel {
            version: VERSION,
            source: String::new(),
            cores: BTreeMap::new(),
        })
    }

    /// Reads and checks a model.
    ///
    /// # Errors
    /// [`CostError`] for text that is none, another version, or impossible numbers.
    pub fn from_json(text: &str) -> Result<Self, CostError> {
        let model: CostModel = serde_json::from_str(text)?;
        if model.version != VERSION {
            return Err(CostError::Version { found: model.version, expected: VERSION });
        }
        for (&core, costs) in &model.cores {
            for (&kernel, c) in &costs.kernels {
                let numbers = c.instructions.values().chain(c.cycles.values());
                let mut all = numbers.chain([&costs.cycles_per_instruction, &c.error]);
                if !all.all(|v| v.is_finite() && *v >= 0.0) {
                    return Err(CostError::Coefficient { core, kernel });
                }
            }
        }
        Ok(model)
    }

    /// The coefficients of a kernel on a core.
    ///
    /// # Errors
    /// [`CostError::Missing`].
    pub fn coefficients(&self, core: Core, kernel: Kernel) -> Result<&Coefficients, CostError> {
        let costs = self.cores.get(&core).and_then(|c| c.kernels.get(&kernel));
        costs.ok_or(CostError::Missing { core, kernel })
    }

    /// Estimated instructions of one call.
    ///
    /// # Errors
    /// [`CostError::Missing`].
    pub fn instructions(&self, core: Core, kernel: Kernel, work: &Work) -> Result<f64, CostError> {
        Ok(self.coefficients(core, kernel)?.instructions(work))
    }

    /// Estimated cycles of one call.
    ///
    /// # Errors
    /// [`CostError::Missing`].
    pub fn cycles(&self, core: Core, kernel: Kernel, work: &Work) -> Result<f64, CostError> {
        let costs = self.coefficients(core, kernel)?;
        let assumed = || costs.instructions(work) * self.cycles_per_instruction(core);
        Ok(costs.cycles(work).unwrap_or_else(assumed))
    }

    /// Cycles of an average instruction; 1 for a core that the model does not know.
    pub fn cycles_per_instruction(&self, core: Core) -> f64 {
        self.cores.get(&core).map_or(1.0, |c| c.cycles_per_instruction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Median and largest error of the held-out layers, rounded up, of the cores whose kernels were measured.
    const STATED: [(Core, f64, f64); 4] = [
        (Core::M0, 0.006, 0.070),
        (Core::M3, 0.006, 0.070),
        (Core::M4, 0.006, 0.055),
        (Core::M55, 0.006, 0.070),
    ];

    #[test]
    fn every_core_has_every_kernel() {
        let model = CostModel::builtin();
        let others = [Kernel::SingleWeights, Kernel::Patterns, Kernel::OfFour];
        for core in Core::ALL {
            for kernel in Kernel::REAL.into_iter().chain(others) {
                assert!(model.coefficients(core, kernel).is_ok(), "{core} {kernel:?}");
            }
        }
    }

    #[test]
    fn held_out_layers_are_predicted_as_well_as_stated() {
        let model = CostModel::builtin();
        for (core, median, max) in STATED {
            let fit = model.cores[&core].fit.unwrap();
            assert!(fit.held_out > 500 && fit.median <= median && fit.max <= max, "{core} {fit:?}");
            assert!(median <= 0.05 && max <= 0.15, "{core}: the bar");
            let fitted = model.cores[&core].kernels.iter().filter(|(_, c)| c.basis == Basis::Fitted);
            for (kernel, c) in fitted {
                assert!(c.fit.is_some_and(|f| c.error >= f.max && f.max <= max), "{core} {kernel:?}");
            }
        }
    }

    #[test]
    fn impossible_models_are_refused() {
        assert!(matches!(CostModel::from_json("{}"), Err(CostError::Json(_))));
        let text = include_str!("../data/model.json");
        let other = text.replace("\"version\": 2", "\"version\": 7");
        assert!(matches!(CostModel::from_json(&other), Err(CostError::Version { found: 7, .. })));
        let negative = text.replacen("\"error\": 0.", "\"error\": -0.", 1);
        assert!(matches!(CostModel::from_json(&negative), Err(CostError::Coefficient { .. })));
    }
}
