//! One check: what it is called, what it does, how it ended.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::workspace::Workspace;

/// A row of the step table.
pub struct Step {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&Workspace) -> Result<Outcome>,
}

/// How a step ended. A step that has no tests of its own counts as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// The reason for a failure or a skip, or a figure worth showing.
    pub note: String,
}

impl Outcome {
    pub fn passed(note: impl Into<String>) -> Self {
        Outcome { passed: 1, note: note.into(), ..Outcome::default() }
    }

    pub fn failed(note: impl Into<String>) -> Self {
        Outcome { failed: 1, note: note.into(), ..Outcome::default() }
    }

    pub fn skipped(reason: impl Into<String>) -> Self {
        Outcome { skipped: 1, note: reason.into(), ..Outcome::default() }
    }

    /// Failed with these complaints, or passed with `note` where there is none.
    pub fn from_complaints(complaints: &[String], note: impl Into<String>) -> Self {
        if complaints.is_empty() {
            return Outcome::passed(note);
        }
        complaints.iter().for_each(|c| eprintln!("  {c}"));
        Outcome::failed(format!("{} (see above), first: {}", complaints.len(), complaints[0]))
    }
}

/// A step that was run.
pub struct StepResult {
    pub name: &'static str,
    pub outcome: Outcome,
    pub time: Duration,
}

impl StepResult {
    pub fn failed(&self) -> bool {
        self.outcome.failed > 0
    }

    /// True when nothing of it ran.
    pub fn skipped(&self) -> bool {
        self.outcome.failed + self.outcome.passed == 0 && self.outcome.skipped > 0
    }
}

/// Runs one step; an error of the step itself is a failure with that reason.
pub fn run(step: &Step, workspace: &Workspace) -> StepResult {
    eprintln!("== {}: {}", step.name, step.about);
    let start = Instant::now();
    let outcome = (step.run)(workspace).unwrap_or_else(|error| Outcome::failed(format!("{error:#}")));
    StepResult { name: step.name, outcome, time: start.elapsed() }
}
