//! `dtmm compare`

use std::path::PathBuf;

use clap::Args;
use dtmm::{Budgets, ChannelCut, ImportanceKind, Method, MethodSpec, SizeBudget};

use crate::args::{self, Common, DataArgs};
use crate::output;
use crate::progress::Terminal;

/// Compress a model by every method to every budget, and show accuracy against bytes and estimated time
///
/// Writes OUT/compare.csv, OUT/compare.json and OUT/compare.html after each run, and each run's own folder below
/// OUT/runs. Budgets are of flash only, because the methods that others are compared with cannot keep any other;
/// `dtmm compress --scheduler METHOD` takes RAM and latency where the method can. An interrupted comparison goes on when the same command is started again.
#[derive(Args)]
pub struct Cmd {
    /// Model (.onnx, .tflite float32 or int8)
    model: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Flash budgets: sizes, or shares of the dense int8 package such as 1/4 or 0.25x
    #[arg(long, value_parser = args::budget, value_delimiter = ',', default_value = "1/2,1/4,1/8,1/16", value_name = "SIZE,..")]
    budgets: Vec<SizeBudget>,
    /// Methods, each with its own importance after an @ where it has one: lagrangian, uniform, anneal, filter-only,
    /// unstructured, pattern, 1:4, 2:4, n:4; the unpruned package is always there
    #[arg(
        long,
        value_parser = args::method_spec,
        value_delimiter = ',',
        default_value = "lagrangian,uniform,anneal,filter-only,filter-only@l1,filter-only@taylor,filter-only@chip,unstructured,pattern,n:4",
        value_name = "METHOD,.."
    )]
    methods: Vec<String>,
    /// Units that lagrangian, uniform and anneal may prune: filter, filterlet, sub-filterlet, sub-filterlet:8
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "filter,filterlet,sub-filterlet",
        value_name = "UNIT,.."
    )]
    units: Vec<String>,
    /// How much of a cut in flash whole channels make before finer units go, with lagrangian: a share in logarithm (0 none,
    /// 1 all of it), price (channels leave where they are not worth their bytes and cycles), or auto (0.5, or 1 where that
    /// is clearly better after a few steps each, which count as epochs; price where flash has no budget or the run is too
    /// short)
    #[arg(long, value_parser = args::channel_cut, default_value = "auto", value_name = "SHARE")]
    channel_cut: ChannelCut,
    /// Reorder channels first, so that sub-filterlets hold channels that matter to the same filters; outputs stay the same
    #[arg(long)]
    permute: bool,
    /// Importance for methods without their own
    #[arg(long, value_parser = args::importance, default_value = "lamp", value_name = "KIND")]
    importance: ImportanceKind,
    /// Fine-tuning epochs of each run, over trials and all pruning rounds
    #[arg(long, default_value_t = 12, value_name = "N")]
    epochs: usize,
    /// Highest learning rate of fine-tuning; without the flag 0.01 (0.001 where there is no batch norm), or a third of it, and once
    /// more, where that is clearly better in short trials, which count as epochs
    #[arg(long, value_parser = args::rate, allow_hyphen_values = true, value_name = "F")]
    lr: Option<f32>,
    /// Rounds of pruning, each with its part of the epochs; more than one cuts little by little
    #[arg(long, value_parser = args::at_least_one, default_value_t = 1, value_name = "N")]
    rounds: usize,
    /// Samples in one step
    #[arg(long, default_value_t = 128, value_name = "N")]
    batch: usize,
    /// Output folder
    #[arg(short, long, default_value = "out/compare", value_name = "OUT")]
    output: PathBuf,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let base = dtmm::CompressRequest {
            model: self.model.clone(),
            data: self.data.source(common),
            preprocess: self.data.preprocess.choice(),
            budgets: Budgets::default(),
            epochs: self.epochs,
            qat_epochs: Some(0),
            teacher: None,
            lr: self.lr,
            rounds: self.rounds,
            importance: self.importance,
            scheduler: Method::default(),
            units: args::units(&self.units)?,
            channel_cut: self.channel_cut,
            permute: self.permute,
            importance_threshold: None,
            batch: self.batch,
            output: self.output.clone(),
            seed: common.seed,
            threads: common.threads,
        };
        let methods = self.methods.iter().filter_map(|m| MethodSpec::from_name(m, common.seed)).collect();
        let request = dtmm::CompareRequest { base, budgets: self.budgets.clone(), methods };
        output::print(common, &dtmm::compare(&request, progress)?)?;
        output::note(common, &format!("report: {}", self.output.join("compare.html").display()));
        Ok(())
    }
}
