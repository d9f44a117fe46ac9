//! `demo`: the whole line on the built-in data set.

use std::path::PathBuf;

use dtmm_report::CompressReport;

use crate::{
    Budgets, ChannelCut, CompressRequest, DataSource, Error, ImportanceKind, Method, PreprocessChoice,
    Progress, SizeBudget, Start, TrainRequest, Units, compress, train,
};

/// A demonstration.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoRequest {
    /// Output folder.
    pub output: PathBuf,
    /// Random seed.
    pub seed: u64,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

/// Share of the dense package that the demo compresses to.
const BUDGET: f64 = 0.2;

/// Trains `demo-cnn` on the built-in glyphs (once: the model is kept) and compresses it to a fifth.
///
/// # Errors
/// Files that cannot be written, interruption.
pub fn demo(request: &DemoRequest, progress: &dyn Progress) -> Result<CompressReport, Error> {
    let model = request.output.with_extension("model.onnx");
    let data = DataSource::builtin_glyphs(request.seed);
    if !model.exists() {
        train(
            &TrainRequest {
                start: Start::Architecture("demo-cnn".into()),
                data: data.clone(),
                preprocess: PreprocessChoice::Auto,
                epochs: 12,
                lr: 0.2,
                batch: 64,
                weight_decay: 5e-4,
                output: model.clone(),
                seed: request.seed,
                threads: request.threads,
            },
            progress,
        )?;
    }
    compress(
        &CompressRequest {
            model,
            data,
            preprocess: PreprocessChoice::Auto,
            budgets: Budgets::flash(SizeBudget::Share(BUDGET)),
            epochs: 8,
            qat_epochs: None,
            teacher: None,
            lr: None,
            rounds: 1,
            importance: ImportanceKind::Lamp,
            scheduler: Method::default(),
            units: Units::default(),
            channel_cut: ChannelCut::Auto,
            permute: false,
            importance_threshold: None,
            batch: 64,
            output: request.output.clone(),
            seed: request.seed,
            threads: request.threads,
        },
        progress,
    )
}
