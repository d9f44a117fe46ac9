//! `dtmm bench`

use std::path::PathBuf;

use clap::Args;

use crate::args::{Common, CoreArg};
use crate::output;
use crate::progress::Terminal;

/// Count the instructions of each layer on emulated Cortex-M cores
///
/// Builds the firmware (needs Rust and its target for the core), runs it under QEMU and prints exact instruction counts.
/// Cycles are estimated from Arm's public timing tables where the core has one.
#[derive(Args)]
pub struct Cmd {
    /// Package (.dtmm) or int8 model (.tflite)
    package: PathBuf,
    /// Core: m0, m3, m4, m7, m55 or all
    #[arg(long, default_value = "m4", value_name = "CORE")]
    core: CoreArg,
    /// The first sample of this file is the input; without it a fixed pattern
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,
    /// Board whose clock turns cycles into milliseconds
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let request = dtmm::BenchRequest {
            model: self.package.clone(),
            cores: self.core.cores(),
            input: self.input.clone(),
            board: self.board.clone(),
        };
        output::print(common, &dtmm::bench(&request, progress)?)
    }
}
