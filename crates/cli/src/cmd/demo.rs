//! `dtmm demo`

use std::path::PathBuf;

use clap::Args;

use crate::args::Common;
use crate::output;
use crate::progress::Terminal;

/// The whole line on a built-in data set: train a small CNN, compress it to a budget, measure it
#[derive(Args)]
pub struct Cmd {
    /// Output folder
    #[arg(short, long, default_value = "out/demo", value_name = "OUT")]
    output: PathBuf,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let request =
            dtmm::DemoRequest { output: self.output.clone(), seed: common.seed, threads: common.threads };
        output::print(common, &dtmm::demo(&request, progress)?)?;
        output::note(common, &format!("report: {}", self.output.join("report.html").display()));
        Ok(())
    }
}
