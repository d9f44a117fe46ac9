//! `dtmm compress`

use std::path::PathBuf;

use clap::Args;
use dtmm::{ChannelCut, ImportanceKind, Method};

use crate::args::{self, Common, DataArgs};
use crate::budgets::BudgetArgs;
use crate::output;
use crate::progress::Terminal;

/// Prune, fine-tune, quantize and pack a model so that it fits its budgets
///
/// Any mix of --flash, --ram, --latency, --max-drop and --board; with only --max-drop, the smallest package is sought.
///
/// Writes OUT/model.dtmm (the package), OUT/model.onnx (the pruned float model), OUT/report.json and OUT/report.html.
/// An interrupted run goes on when the same command is started again.
#[derive(Args)]
pub struct Cmd {
    /// Model (.onnx, .tflite float32 or int8)
    model: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    budgets: BudgetArgs,
    /// Fine-tuning epochs, over trials and all pruning rounds
    #[arg(long, default_value_t = 12, value_name = "N")]
    epochs: usize,
    /// Quantisation-aware epochs after the last round; without the flag a quarter of --epochs, and only where int8 loses
    /// more than 0.5 points of accuracy on held-out samples
    #[arg(long, value_name = "N")]
    qat_epochs: Option<usize>,
    /// Highest learning rate of fine-tuning; without the flag 0.01 (0.001 where there is no batch norm), or a third of it, and once
    /// more, where that is clearly better in short trials, which count as epochs
    #[arg(long, value_parser = args::rate, allow_hyphen_values = true, value_name = "F")]
    lr: Option<f32>,
    /// Rounds of pruning, each with its part of the epochs; more than one cuts little by little
    #[arg(long, value_parser = args::at_least_one, default_value_t = 1, value_name = "N")]
    rounds: usize,
    /// What decides which weights go: lamp (layer-adaptive magnitude of the units), l1 (magnitude over the layer's mean), taylor
    /// (|w g|, mean gradient), fisher (w^2 g^2), factored-fisher, chip (independence of feature maps, for filter-only)
    #[arg(long, value_parser = args::importance, default_value = "lamp", value_name = "KIND")]
    importance: ImportanceKind,
    /// How masks are chosen: lagrangian, or one of the methods it is compared with: uniform, anneal (the paper's),
    /// filter-only, unstructured, pattern, 1:4, 2:4, n:4. The last five of these keep every channel and have no kernel of
    /// their own: they take --flash only
    #[arg(long, value_parser = args::scheduler, default_value = "lagrangian", value_name = "METHOD")]
    scheduler: String,
    /// Units that lagrangian, uniform and anneal may prune: filter, filterlet, sub-filterlet (4, 8 or 16 channels, by
    /// layer), sub-filterlet:8
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
    /// Largest share of the importance that anneal may prune, such as 0.3; without it, the least with which the budgets
    /// can be kept
    #[arg(long, value_parser = args::share, value_name = "SHARE")]
    importance_threshold: Option<f64>,
    /// Float model whose answers fine-tuning follows besides the labels: a larger one, or the one that was pruned before;
    /// without it, MODEL itself as it came in
    #[arg(long, value_name = "MODEL")]
    teacher: Option<PathBuf>,
    /// Samples in one step
    #[arg(long, default_value_t = 128, value_name = "N")]
    batch: usize,
    /// Instead of one package, N packages between the loosest and the given budgets, each fine-tuned from the one before
    /// for --epochs epochs
    #[arg(long, value_name = "N", value_parser = args::points_of_sweep)]
    pareto: Option<usize>,
    /// Output folder
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

impl Cmd {
    pub fn run(&self, common: &Common, progress: &Terminal) -> anyhow::Result<()> {
        let output = self.output.clone().unwrap_or_else(|| {
            let stem = self.model.file_stem().unwrap_or_default().to_string_lossy();
            PathBuf::from("out").join(stem.as_ref())
        });
        let request = dtmm::CompressRequest {
            model: self.model.clone(),
            data: self.data.source(common),
            preprocess: self.data.preprocess.choice(),
            budgets: self.budgets.budgets(),
            epochs: self.epochs,
            qat_epochs: self.qat_epochs,
            lr: self.lr,
            rounds: self.rounds,
            importance: self.importance,
            scheduler: Method::from_name(&self.scheduler, common.seed).unwrap_or_default(),
            units: args::units(&self.units)?,
            channel_cut: self.channel_cut,
            permute: self.permute,
            importance_threshold: self.importance_threshold,
            teacher: self.teacher.clone(),
            batch: self.batch,
            output: output.clone(),
            seed: common.seed,
            threads: common.threads,
        };
        if let Some(points) = self.pareto {
            output::print(common, &dtmm::sweep(&request, points, progress)?)?;
            output::note(common, &format!("report: {}", output.join("pareto.html").display()));
            return Ok(());
        }
        let report = dtmm::compress(&request, progress)?;
        output::print(common, &report)?;
        output::note(common, &format!("report: {}", output.join("report.html").display()));
        let missed: Vec<&str> =
            report.budgets.iter().filter(|b| !b.kept).map(|b| b.resource.as_str()).collect();
        anyhow::ensure!(missed.is_empty(), "missed after the last measurement: {}", missed.join(", "));
        Ok(())
    }
}
