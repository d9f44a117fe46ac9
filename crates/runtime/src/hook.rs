//! What happens between layers.

use dtmm_format::Layer;

/// Called around every layer; for counters, checksums and comparisons. [`NoHook`] compiles to nothing.
pub trait Hook {
    /// Before layer `index` runs.
    fn before(&mut self, index: u16, layer: &Layer<'_>) {
        let _ = (index, layer);
    }

    /// After layer `index` ran; `output` is its whole output, NHWC.
    fn after(&mut self, index: u16, layer: &Layer<'_>, output: &[i8]) {
        let _ = (index, layer, output);
    }
}

/// Does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHook;

impl Hook for NoHook {}

/// A function is called after every layer with its index and output.
impl<F: FnMut(u16, &[i8])> Hook for F {
    fn after(&mut self, index: u16, _layer: &Layer<'_>, output: &[i8]) {
        self(index, output);
    }
}
