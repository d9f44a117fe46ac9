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
    /// List the boards that it fits and what the others lack
    #[arg(long)]
    boards: bool,
    /// Estimate the time of each layer on this board
    #[arg(long, value_name = "BOARD", conflicts_with = "boards")]
    board: Option<String>,
}

impl Cmd {
    pub fn run(&self, common: &Common) -> anyhow::Result<()> {
        if self.boards {
            return output::print(common, &dtmm::boards(&self.model)?);
        }
        let report = match &self.board {
            Some(board) => dtmm::inspect_on(&self.model, board)?,
            None => dtmm::inspect(&self.model)?,
        };
        output::print(common, &report)
    }
}
