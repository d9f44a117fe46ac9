//! The report of `dtmm compress`.

use serde::{Deserialize, Serialize};

use super::{DatasetInfo, EpochRow, LayerRow, Versions};

/// Test accuracy at each stage, fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The float model as it came in.
    pub float: f64,
    /// The pruned and fine-tuned float model.
    pub pruned: f64,
    /// The package, run by the device runtime.
    pub int8: f64,
}

/// How the int8 numbers were chosen; accuracies on held-out samples, fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantization {
    /// Training samples that calibrated the activations.
    pub calibration_samples: usize,
    /// Accuracy of the pruned float model.
    pub float_validation: f64,
    /// Accuracy of its int8 package without further training.
    pub rounded_validation: f64,
    /// Quantisation-aware epochs that were run.
    pub qat_epochs: usize,
    /// Accuracy of the int8 package after them; the better of the two packages was taken.
    pub qat_validation: Option<f64>,
}

/// Flash in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flash {
    /// The whole package of the unpruned model.
    pub dense_int8_bytes: usize,
    /// What the user allowed, if anything.
    pub budget_bytes: Option<usize>,
    /// The package that was written.
    pub package_bytes: usize,
    /// The package with weights and index as the method would store them; the package itself where its format can.
    pub stored_bytes: usize,
    /// Bytes of it that say where the kept weights are.
    pub index_bytes: usize,
    /// How the method stores its weights; `package` where the package format does.
    pub storage: String,
}

/// RAM in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ram {
    /// Arena of the unpruned model.
    pub dense_arena_bytes: usize,
    /// Arena of the package, scratch included.
    pub arena_bytes: usize,
    /// What the user allowed, if anything.
    pub budget_bytes: Option<usize>,
    /// The layer at which most bytes are alive.
    pub peak_layer: String,
    /// What is alive there, largest first.
    pub binding: Vec<TensorBytes>,
    /// Live bytes while each layer runs.
    pub timeline: Vec<RamPoint>,
}

/// A tensor (or scratch) in the arena.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorBytes {
    /// Name.
    pub name: String,
    /// Bytes.
    pub bytes: usize,
}

/// Estimated time of one inference on one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreLatency {
    /// Core name.
    pub core: String,
    /// Cycles of the unpruned model.
    pub dense_cycles: f64,
    /// Cycles of the result.
    pub cycles: f64,
    /// Seconds, on the core that was asked for when its clock is known.
    pub seconds: Option<f64>,
    /// Instructions of the result.
    #[serde(default)]
    pub instructions: f64,
    /// Relative error that the cost model states for these layers, a fraction of 1.
    pub error: f64,
}

/// One budget and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// What is limited.
    pub resource: String,
    /// Unit of both numbers.
    pub unit: String,
    /// What the user (or the board) allows.
    pub budget: f64,
    /// What the result takes.
    pub taken: f64,
    /// Whether it is enough.
    pub kept: bool,
}

/// How good the last plan is, in shares of the importance that the model had before its round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// What the plan removes.
    pub importance_removed: f64,
    /// What every plan of the same units and channels removes at least (Lagrangian dual).
    pub least_possible: f64,
    /// The difference.
    pub gap: f64,
    /// Importance below which a byte was not worth keeping.
    pub byte_price: f64,
    /// Importance below which a cycle was not worth spending; 0 when latency did not bind.
    pub cycle_price: f64,
}

/// Memory in use while one layer runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RamPoint {
    /// Layer name.
    pub layer: String,
    /// Bytes of the tensors that are alive, scratch included.
    pub live_bytes: usize,
}

/// One round of gradual pruning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundRow {
    /// 1-based round.
    pub round: usize,
    /// Package bytes aimed at.
    pub target_bytes: Option<usize>,
    /// Arena bytes aimed at.
    pub target_ram: Option<usize>,
    /// Cycles aimed at.
    pub target_cycles: Option<f64>,
    /// Package bytes of the masks found.
    pub predicted_bytes: usize,
    /// Arena bytes of the masks found.
    pub predicted_ram: usize,
    /// Cycles of the masks found.
    pub predicted_cycles: f64,
    /// Share of the total importance that the masks remove.
    pub importance_removed: f64,
    /// Upper bound on the kept importance (relaxation), as a share of the total.
    pub kept_importance_bound: Option<f64>,
    /// Distance from the bound, as a share of the total importance.
    pub gap: f64,
    /// Fine-tuning epochs after the round.
    pub epochs: usize,
    /// Accuracy on the held-out validation samples after the round.
    pub validation_accuracy: f64,
}

/// One way to cut and train, tried before the first round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRow {
    /// How much of the cut whole channels make: a share in logarithm, or `price`; `None` for methods that do not choose.
    pub channel_cut: Option<String>,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Fine-tuning steps.
    pub steps: usize,
    /// Accuracy on the held-out validation samples after them.
    pub validation_accuracy: f64,
}

/// Everything `dtmm compress` found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompressReport {
    /// Versions of what made the result.
    pub versions: Versions,
    /// The model's path as the user gave it.
    pub model: String,
    /// Data used.
    pub dataset: DatasetInfo,
    /// Random seed.
    pub seed: u64,
    /// The method that chose the masks.
    pub scheduler: String,
    /// What decided which weights went.
    pub importance: String,
    /// Preprocessing in words.
    pub preprocessing: String,
    /// Test accuracy.
    pub accuracy: Accuracy,
    /// How the int8 numbers were chosen.
    #[serde(default)]
    pub quantization: Option<Quantization>,
    /// Flash.
    pub flash: Flash,
    /// RAM.
    pub ram: Ram,
    /// Estimated time on every core.
    pub latency: Vec<CoreLatency>,
    /// Every budget asked for.
    pub budgets: Vec<BudgetRow>,
    /// How good the last round's plan is.
    pub bound: Bound,
    /// Weights that are not zero, and all weights of the incoming model.
    pub kept_weights: usize,
    /// Weights of the incoming model.
    pub total_weights: usize,
    /// One row for each layer of the package.
    pub layers: Vec<LayerRow>,
    /// Learning rates and cuts that were tried before the first round.
    #[serde(default)]
    pub trials: Vec<TrialRow>,
    /// Pruning rounds.
    pub rounds: Vec<RoundRow>,
    /// Fine-tuning epochs over all rounds.
    pub epochs: Vec<EpochRow>,
    /// Seconds of work, over all interrupted runs.
    pub seconds: f64,
}
