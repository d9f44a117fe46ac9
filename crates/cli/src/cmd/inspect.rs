//! `dtmm inspect`

use std::path::PathBuf;

use clap::Args;

use crate::args::Common;
use crate::output;

/// Show what is inside a model or package: layers, bytes, RAM, quantisation
#[derive(Args)]
pub struct Cmd {
    /// Model (.onnx, .tflite) or package (.dtmm)
    model: PathBuf,
}

impl Cmd {
    pub fn run(&self, common: &Common) -> anyhow::Result<()> {
        output::print(common, &dtmm::inspect(&self.model)?)
    }
}
