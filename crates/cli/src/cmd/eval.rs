//! `dtmm eval`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{Common, DataArgs};
use crate::output;
use crate::progress::Terminal;

/// Measure the accuracy of a model or package on a data set
#[derive(Args)]
pub struct Cmd {
    /// Model (.onnx, .tflite) or package (.dtmm)
    model: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Which samples are used
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    Train,
    Test,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let request = dtmm::EvalRequest {
            model: self.model.clone(),
            data: self.data.source(common),
            split: match self.split {
                Split::Train => dtmm::Split::Train,
                Split::Test => dtmm::Split::Test,
            },
            preprocess: self.data.preprocess.choice(),
            threads: common.threads,
        };
        output::print(common, &dtmm::eval(&request, progress)?)
    }
}
