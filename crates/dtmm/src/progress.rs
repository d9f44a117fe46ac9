//! How long work tells what it is doing, and learns that it should stop.

/// Receives progress; every method may be left out.
pub trait Progress: Sync {
    /// A stage of `steps` steps starts.
    fn begin(&self, stage: &str, steps: u64) {
        let _ = (stage, steps);
    }
    /// `done` steps of the stage are finished.
    fn advance(&self, done: u64, note: &str) {
        let _ = (done, note);
    }
    /// A line worth keeping.
    fn note(&self, text: &str) {
        let _ = text;
    }
    /// The stage is finished.
    fn end(&self, summary: &str) {
        let _ = summary;
    }
    /// True when the work should stop at the next step; what is finished stays on disk.
    fn interrupted(&self) -> bool {
        false
    }
}

/// No progress, never interrupted.
pub struct Silent;

impl Progress for Silent {}
