//! `dtmm verify`

use std::path::PathBuf;

use clap::Args;

use crate::args::{Common, CoreArg};
use crate::output;
use crate::progress::Terminal;

/// Compare an emulated Cortex-M core with the host, layer by layer
///
/// An int8 .tflite model is packed first. The first layer that differs is named, and the command fails.
#[derive(Args)]
pub struct Cmd {
    /// Package (.dtmm) or int8 model (.tflite)
    model: PathBuf,
    /// Core: m0, m3, m4, m7, m55 or all
    #[arg(long, default_value = "m4", value_name = "CORE")]
    core: CoreArg,
    /// The first sample of this file is the input; without it a fixed pattern
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let request = dtmm::VerifyRequest {
            model: self.model.clone(),
            cores: self.core.cores(),
            input: self.input.clone(),
        };
        let report = dtmm::verify(&request, progress)?;
        output::print(common, &report)?;
        anyhow::ensure!(report.is_equal(), "device and host differ");
        Ok(())
    }
}
