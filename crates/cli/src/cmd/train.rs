//! `dtmm train`

use std::path::PathBuf;

use clap::Args;

use crate::args::{Common, DataArgs};
use crate::output;
use crate::progress::Terminal;

/// Train an architecture from scratch, or a model further, and write it as ONNX
///
/// An interrupted training goes on when the same command is started again.
#[derive(Args)]
pub struct Cmd {
    /// Architecture: vgg11, resnet12, resnet8, squeezenet, ds-cnn, mobilenet-v1-025, demo-cnn
    #[arg(long, value_name = "NAME", required_unless_present = "from", conflicts_with = "from")]
    arch: Option<String>,
    /// Trained model (.onnx, .tflite) whose weights the training begins with; use a lower rate, such as 0.03
    #[arg(long, value_name = "MODEL")]
    from: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Passes over the training samples
    #[arg(long, default_value_t = 20, value_name = "N")]
    epochs: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 0.2, value_name = "F")]
    lr: f32,
    /// Samples in one step
    #[arg(long, default_value_t = 128, value_name = "N")]
    batch: usize,
    /// Weight decay
    #[arg(long, default_value_t = 5e-4, value_name = "F")]
    weight_decay: f32,
    /// The model file
    #[arg(short, long, default_value = "model.onnx", value_name = "FILE")]
    output: PathBuf,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let start = match &self.from {
            Some(model) => dtmm::Start::Model(model.clone()),
            None => dtmm::Start::Architecture(self.arch.clone().unwrap_or_default()),
        };
        let request = dtmm::TrainRequest {
            start,
            data: self.data.source(common),
            preprocess: self.data.preprocess.choice(),
            epochs: self.epochs,
            lr: self.lr,
            batch: self.batch,
            weight_decay: self.weight_decay,
            output: self.output.clone(),
            seed: common.seed,
            threads: common.threads,
        };
        output::print(common, &dtmm::train(&request, progress)?)
    }
}
