//! What is measured around each layer.

use dtmm_runtime::Hook;

use crate::report::Report;
use crate::{mark, ticks};

/// Marks each layer for the plugin and reports it.
pub struct Profile<'r> {
    report: &'r mut Report,
    keep_outputs: bool,
    started: u32,
}

impl<'r> Profile<'r> {
    /// Reports to `report`, with every layer's output when `keep_outputs`.
    pub fn new(report: &'r mut Report, keep_outputs: bool) -> Self {
        Profile { report, keep_outputs, started: 0 }
    }
}

impl Hook for Profile<'_> {
    #[inline(always)]
    fn before(&mut self, _index: u16) {
        self.started = ticks::now();
        mark::start();
    }

    #[inline(always)]
    fn after(&mut self, _index: u16, output: &[i8]) {
        mark::stop();
        self.record(ticks::since(self.started), output);
    }
}

impl Profile<'_> {
    /// In a frame of its own, which is gone while layers run.
    #[inline(never)]
    fn record(&mut self, ticks: u32, output: &[i8]) {
        let kept = if self.keep_outputs { output } else { &[] };
        self.report.layer(ticks, checksum(output), kept);
    }
}

/// FNV-1a.
fn checksum(values: &[i8]) -> u32 {
    values.iter().fold(0x811c_9dc5, |hash, &v| (hash ^ u32::from(v as u8)).wrapping_mul(0x0100_0193))
}
