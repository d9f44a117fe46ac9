//! The report of `dtmm inspect`, and the layer rows that other reports share.

use serde::{Deserialize, Serialize};

use super::RamPoint;

/// One layer of a model or package.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerRow {
    /// Node name.
    pub name: String,
    /// Operator name.
    pub op: String,
    /// Output shape, NHWC.
    pub output_shape: Vec<usize>,
    /// Multiply-accumulates of the layer as the model came in.
    pub dense_macs: u64,
    /// Multiply-accumulates with non-zero weights.
    pub macs: u64,
    /// Weights of the layer as the model came in.
    pub dense_weights: usize,
    /// Non-zero weights.
    pub weights: usize,
    /// Package bytes of the layer as the model came in.
    pub dense_bytes: usize,
    /// Package bytes of the layer.
    pub bytes: usize,
    /// Storage form: `dense`, `bitmap`, `gaps`, or `-` for a layer without weights.
    pub storage: String,
    /// Channels of one sub-filterlet, where the storage has them.
    pub group: Option<usize>,
    /// The grain at which weights were pruned, in words; empty for layers that pruning does not touch.
    #[serde(default)]
    pub unit: String,
    /// Estimated cycles of the layer as the model came in, on the core that was asked for.
    #[serde(default)]
    pub dense_cycles: Option<f64>,
    /// Estimated cycles of the layer.
    #[serde(default)]
    pub cycles: Option<f64>,
    /// Estimated instructions of the layer.
    #[serde(default)]
    pub instructions: Option<f64>,
    /// Which weights are kept, as a picture.
    #[serde(default)]
    pub kept_map: Option<KeptMap>,
    /// Share of the layer's importance that pruning removed.
    pub importance_removed: Option<f64>,
    /// Why the layer looks as it does.
    pub note: String,
}

/// Kept shares of one layer's weights: a column for each filter that stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptMap {
    /// Filters.
    pub columns: usize,
    /// Kernel positions or groups of input channels.
    pub rows: usize,
    /// What a row is.
    pub row: String,
    /// Row by row a hexadecimal digit for each cell: 0 nothing kept, f everything.
    pub shares: String,
}

impl LayerRow {
    /// Share of the original weights that are gone.
    pub fn sparsity(&self) -> f64 {
        if self.dense_weights == 0 { 0.0 } else { 1.0 - self.weights as f64 / self.dense_weights as f64 }
    }
}

/// What is inside a model or package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InspectReport {
    /// Path.
    pub model: String,
    /// `onnx float32`, `tflite int8`, `dtmm package`, …
    pub kind: String,
    /// Inputs in words: name, type, source shape.
    pub inputs: Vec<String>,
    /// Outputs in words.
    pub outputs: Vec<String>,
    /// Preprocessing in words.
    pub preprocessing: String,
    /// Bytes of the package; for a model those of its dense int8 package.
    pub package_bytes: usize,
    /// Arena bytes of the package.
    pub arena_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Number of weights.
    pub weights: usize,
    /// The layers in execution order.
    pub layers: Vec<LayerRow>,
    /// Live bytes while each layer runs.
    pub ram: Vec<RamPoint>,
    /// Time on a board, where one was given; the layers then have theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

/// Estimated time of one inference on a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// Its clock in hertz.
    pub clock_hz: u32,
    /// Instructions.
    pub instructions: f64,
    /// Cycles.
    pub cycles: f64,
    /// Seconds at the board's clock.
    pub seconds: f64,
    /// Where the numbers come from, and what they leave out.
    pub note: String,
}
