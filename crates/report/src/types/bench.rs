//! The reports of `dtmm bench` and `dtmm verify`.

use serde::{Deserialize, Serialize};

/// A package on emulated cores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// Model or package path.
    pub model: String,
    /// Bytes of the package.
    pub package_bytes: usize,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Where the input came from.
    pub input: String,
    /// One for each core.
    pub cores: Vec<CoreBench>,
}

/// One inference on one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreBench {
    /// Core: `m0`, `m3`, `m4`, `m7` or `m55`.
    pub core: String,
    /// Instructions executed in all layers.
    pub instructions: u64,
    /// Estimated cycles; `None` for a core without a public timing table.
    pub cycles: Option<u64>,
    /// The board whose clock `milliseconds` are for.
    pub board: Option<String>,
    /// The board's clock in hertz.
    pub clock_hz: Option<u32>,
    /// Estimated time of one inference at that clock.
    pub milliseconds: Option<f64>,
    /// What the estimate of cycles leaves out, or why there is none.
    pub cycle_note: String,
    /// Deepest stack of the runtime in bytes.
    pub stack_bytes: usize,
    /// FNV-1a checksum of the first output.
    pub output_checksum: u32,
    /// The layers in execution order.
    pub layers: Vec<BenchLayer>,
}

/// One layer of an inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchLayer {
    /// Layer name.
    pub name: String,
    /// Operator name.
    pub op: String,
    /// Storage form: `dense`, `bitmap`, `gaps`, or `-` for a layer without weights.
    pub storage: String,
    /// Instructions executed.
    pub instructions: u64,
    /// Share of all instructions.
    pub share: f64,
    /// Multiply-accumulates with stored weights; 0 for a layer without weights.
    pub macs: u64,
    /// Multiply-accumulates if all weights were stored.
    pub dense_macs: u64,
    /// Estimated cycles.
    pub cycles: Option<u64>,
    /// FNV-1a checksum of the output.
    pub checksum: u32,
}

impl BenchLayer {
    /// Instructions for each multiply-accumulate that is done; `None` without any.
    pub fn instructions_per_mac(&self) -> Option<f64> {
        (self.macs > 0).then(|| self.instructions as f64 / self.macs as f64)
    }
}

/// Device and host, layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Model or package path.
    pub model: String,
    /// Where the input came from.
    pub input: String,
    /// One for each core.
    pub cores: Vec<CoreVerify>,
}

impl VerifyReport {
    /// True when every core gave the host's bytes.
    pub fn is_equal(&self) -> bool {
        self.cores.iter().all(|c| c.difference.is_none())
    }
}

/// One core against the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreVerify {
    /// Core: `m0`, `m3`, `m4`, `m7` or `m55`.
    pub core: String,
    /// Layers that gave the host's bytes, up to the first that did not.
    pub equal_layers: usize,
    /// All layers.
    pub layers: usize,
    /// The first layer that differs.
    pub difference: Option<Difference>,
}

/// A layer whose output differs from the host's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Its number in execution order, from 0.
    pub layer: usize,
    /// Its name.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// Values that differ.
    pub wrong: usize,
    /// All values.
    pub values: usize,
    /// `[h, w, c]` of the first value that differs.
    pub at: [usize; 3],
    /// The device's value there.
    pub device: i8,
    /// The host's value there.
    pub host: i8,
}
