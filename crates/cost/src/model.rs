//! Coefficients and the sum they stand for.

use std::collections::BTreeMap;

use dtmm_boards::Core;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A family of kernels with coefficients of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Convolution with dense weights.
    Conv,
    /// Convolution over stored runs of input channels.
    ConvRuns,
    /// Depthwise convolution.
    Depthwise,
    /// Fully connected with dense weights.
    Dense,
    /// Fully connected over stored runs.
    DenseRuns,
    /// Add, multiply, activations, copies.
    Elementwise,
    /// Pooling; a multiply-accumulate is one element of a window.
    Pool,
    /// A convolution over single weights in compressed rows. No such kernel exists here; for comparison.
    SingleWeights,
    /// A convolution over kernels with four-weight patterns. No such kernel exists here; for comparison.
    Patterns,
    /// A convolution over n of every four weights. No such kernel exists here; for comparison.
    OfFour,
}

/// What one call of a kernel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Multiply-accumulates with stored weights.
    pub macs: f64,
    /// Stored runs times output pixels.
    pub runs: f64,
    /// Output elements.
    pub outputs: f64,
    /// Input elements under the window, over all output pixels.
    pub inputs: f64,
}

/// Instructions of one kernel on one core: `fixed` and each count times its coefficient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficients {
    /// Of each call.
    #[serde(default)]
    pub fixed: f64,
    /// Of each multiply-accumulate.
    #[serde(default)]
    pub per_mac: f64,
    /// Of each run and output pixel.
    #[serde(default)]
    pub per_run: f64,
    /// Of each output element.
    #[serde(default)]
    pub per_output: f64,
    /// Of each input element under the window.
    #[serde(default)]
    pub per_input: f64,
    /// Largest relative error on the layers it was checked on, or the uncertainty of an estimate; a fraction of 1.
    pub error: f64,
    /// Where the numbers come from.
    pub basis: Basis,
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
        self.fixed
            + self.per_mac * work.macs
            + self.per_run * work.runs
            + self.per_output * work.outputs
            + self.per_input * work.inputs
    }
}

/// All kernels of one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreCosts {
    /// Cycles of an average instruction, code in flash.
    pub cycles_per_instruction: f64,
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
const VERSION: u32 = 1;

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
                let all = [c.fixed, c.per_mac, c.per_run, c.per_output, c.per_input, c.error];
                if !all.iter().chain([&costs.cycles_per_instruction]).all(|v| v.is_finite() && *v >= 0.0) {
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

    /// Estimated cycles of one call.
    ///
    /// # Errors
    /// [`CostError::Missing`].
    pub fn cycles(&self, core: Core, kernel: Kernel, work: &Work) -> Result<f64, CostError> {
        let instructions = self.coefficients(core, kernel)?.instructions(work);
        Ok(instructions * self.cycles_per_instruction(core))
    }

    /// Cycles of an average instruction; 1 for a core that the model does not know.
    pub fn cycles_per_instruction(&self, core: Core) -> f64 {
        self.cores.get(&core).map_or(1.0, |c| c.cycles_per_instruction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output height and width, input and output channels, kernel edge; million instructions on M0 and M3 (QEMU).
    type Measured = ([f64; 5], [f64; 2]);
    const MEASURED: [Measured; 8] = [
        ([32.0, 32.0, 3.0, 16.0, 3.0], [5.19, 2.41]),
        ([32.0, 32.0, 16.0, 16.0, 3.0], [17.8, 7.23]),
        ([16.0, 16.0, 32.0, 32.0, 3.0], [15.8, 6.13]),
        ([16.0, 16.0, 64.0, 64.0, 3.0], [59.8, 22.7]),
        ([8.0, 8.0, 64.0, 64.0, 3.0], [14.9, 5.68]),
        ([8.0, 8.0, 128.0, 128.0, 3.0], [58.1, 21.9]),
        ([25.0, 5.0, 64.0, 64.0, 1.0], [3.87, 1.59]),
        ([48.0, 48.0, 8.0, 16.0, 1.0], [5.22, 2.09]),
    ];

    #[test]
    fn dense_convolutions_are_predicted_within_the_stated_error() {
        let model = CostModel::builtin();
        for ([h, w, c, o, k], millions) in MEASURED {
            let pixels = h * w;
            let inputs = pixels * c * k * k;
            let work = Work { macs: inputs * o, runs: 0.0, outputs: pixels * o, inputs };
            for (core, measured) in [Core::M0, Core::M3].into_iter().zip(millions) {
                let costs = model.coefficients(core, Kernel::Conv).unwrap();
                let error = costs.instructions(&work) / (measured * 1e6) - 1.0;
                assert!(error.abs() <= costs.error + 0.01, "{core} {h}x{w}x{c}->{o} k{k}: {error:+.3}");
            }
        }
    }

    /// Convolutions of this runtime on the M55 (QEMU): shape as above, channels of a run (0: dense), kept share,
    /// instructions.
    const OWN: [([f64; 5], f64, f64, f64); 8] = [
        ([32.0, 32.0, 16.0, 16.0, 3.0], 0.0, 1.0, 571_437.0),
        ([16.0, 16.0, 64.0, 64.0, 3.0], 0.0, 1.0, 1_679_037.0),
        ([8.0, 8.0, 128.0, 128.0, 3.0], 0.0, 1.0, 1_597_504.0),
        ([16.0, 16.0, 64.0, 64.0, 3.0], 64.0, 0.5, 993_847.0),
        ([16.0, 16.0, 64.0, 64.0, 3.0], 64.0, 0.1, 290_477.0),
        ([8.0, 8.0, 128.0, 128.0, 3.0], 128.0, 0.2, 387_591.0),
        ([25.0, 5.0, 64.0, 64.0, 1.0], 16.0, 0.5, 115_788.0),
        ([25.0, 5.0, 64.0, 64.0, 1.0], 4.0, 0.2, 82_738.0),
    ];

    #[test]
    fn our_own_kernels_are_predicted_within_the_stated_error() {
        let model = CostModel::builtin();
        for ([h, w, c, o, k], group, kept, measured) in OWN {
            let (pixels, kernel) = (h * w, if group == 0.0 { Kernel::Conv } else { Kernel::ConvRuns });
            let inputs = pixels * c * k * k;
            let macs = inputs * o * kept;
            let runs = if group == 0.0 { 0.0 } else { macs / group };
            let costs = model.coefficients(Core::M55, kernel).unwrap();
            let work = Work { macs, runs, outputs: pixels * o, inputs };
            let error = costs.instructions(&work) / measured - 1.0;
            assert!(error.abs() <= costs.error + 0.01, "{h}x{w}x{c}->{o} k{k} g{group} {kept}: {error:+.3}");
        }
    }

    #[test]
    fn every_core_has_every_kernel() {
        let model = CostModel::builtin();
        let all = &model.cores[&Core::M4].kernels;
        assert_eq!(all.len(), 10);
        for core in Core::ALL {
            assert!(all.keys().all(|&k| model.coefficients(core, k).is_ok()), "{core}");
            let run = Work { macs: 1e6, runs: 1e5, outputs: 1e4, inputs: 1e5 };
            assert!(model.cycles(core, Kernel::ConvRuns, &run).unwrap() > 1e5);
        }
    }

    #[test]
    fn impossible_models_are_refused() {
        assert!(matches!(CostModel::from_json("{}"), Err(CostError::Json(_))));
        let text = include_str!("../data/model.json");
        let other = text.replace("\"version\": 1", "\"version\": 7");
        assert!(matches!(CostModel::from_json(&other), Err(CostError::Version { found: 7, .. })));
        let negative = text.replacen("\"fixed\": 1500.0", "\"fixed\": -1", 1);
        assert!(matches!(CostModel::from_json(&negative), Err(CostError::Coefficient { .. })));
    }
}
