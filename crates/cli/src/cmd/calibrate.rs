//! `dtmm calibrate`

use std::path::PathBuf;

use clap::Args;

use crate::args::{Common, CoreArg};
use crate::output;
use crate::progress::Terminal;

/// Fit the cost model to layers that run on emulated Cortex-M cores
///
/// Draws shapes of every operator, runs them dense and at several sparsities under QEMU, and fits each kernel's numbers.
/// The shapes of three layers in ten are held out; the errors shown are those. `inspect --board`, latency budgets and the
/// choice between dense and sparse weights use the model that was built in.
#[derive(Args)]
pub struct Cmd {
    /// Core: m0, m3, m4, m7, m55 or all
    #[arg(long, default_value = "all", value_name = "CORE")]
    core: CoreArg,
    /// Measure a third of the layers
    #[arg(long)]
    quick: bool,
    /// Keep measurements in this file, and take from it what was measured of the same kernels before: a calibration that was
    /// cut off goes on where it was
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    /// Write the model with the new numbers (crates/cost/data/model.json is the one that is built in)
    #[arg(short, long, value_name = "MODEL.json")]
    output: Option<PathBuf>,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let request = dtmm::CalibrateRequest {
            cores: self.core.cores(),
            quick: self.quick,
            seed: common.seed,
            measurements: self.measurements.clone(),
            output: self.output.clone(),
        };
        output::print(common, &dtmm::calibrate(&request, progress)?)
    }
}
