//! `dtmm run`

use std::path::PathBuf;

use clap::Args;

use crate::args::Common;
use crate::output;
use crate::progress::Terminal;

/// Run a model or package on the samples of a .npy file
///
/// The input is [N, ...] in the model's own type and axis order: as the .tflite file says, as the ONNX model was
/// exported. A package takes what the model takes that it was made from. The output has the model's type and order too.
#[derive(Args)]
pub struct Cmd {
    /// Model (.onnx, .tflite) or package (.dtmm)
    model: PathBuf,
    /// Samples, [N, ...]
    #[arg(long, value_name = "X.npy")]
    input: PathBuf,
    /// Where the outputs go, [N, ...]
    #[arg(long, value_name = "Y.npy")]
    output: PathBuf,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let request = dtmm::RunRequest {
            model: self.model.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
            threads: common.threads,
        };
        output::print(common, &dtmm::run(&request, progress)?)
    }
}
