//! What happens between layers.

/// Called around every layer; for counters, checksums and comparisons. [`NoHook`] compiles to nothing.
pub trait Hook {
    /// Before layer `index` runs.
    fn before(&mut self, index: u16) {
        let _ = index;
    }

    /// After layer `index` ran; `output` is its whole output, NHWC.
    fn after(&mut self, index: u16, output: &[i8]) {
        let _ = (index, output);
    }
}

/// Does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHook;

impl Hook for NoHook {}

/// A function is called after every layer with its index and output.
impl<F: FnMut(u16, &[i8])> Hook for F {
    fn after(&mut self, index: u16, output: &[i8]) {
        self(index, output);
    }
}
