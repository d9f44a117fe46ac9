//! `cargo test`, with its tests counted.

use std::time::Duration;

use anyhow::Result;

use crate::process::{self, End, Finished};
use crate::step::Outcome;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(1500);
/// What a test prints on a line of its own where it cannot run.
const SKIPPED: &str = "SKIPPED:";

pub fn libraries(workspace: &Workspace) -> Result<Outcome> {
    // What starts the emulator has a step of its own.
    let elsewhere = ["dtmm-calibrate", "dtmm-cli", "dtmm-emulate", "dtmm-export"];
    let excluded = elsewhere.map(|name| ["--exclude", name]).concat();
    let args = ["test", "--workspace", "--lib", "--bins", "--tests", "--examples"];
    run(workspace, "tests", &[&args[..], &excluded[..]].concat())
}

pub fn docs(workspace: &Workspace) -> Result<Outcome> {
    run(workspace, "doc-tests", &["test", "--workspace", "--doc"])
}

pub fn cli(workspace: &Workspace) -> Result<Outcome> {
    // The command trains: without optimisation its tests would take many times as long, and the release build is
    // mostly there already.
    run(workspace, "cli", &["test", "--release", "--package", "dtmm-cli"])
}

fn run(workspace: &Workspace, name: &str, args: &[&str]) -> Result<Outcome> {
    let mut command = workspace.cargo(args);
    command.args(["--no-fail-fast", "--", "--show-output"]).env("RUST_BACKTRACE", "0");
    let finished = process::run(command, &workspace.log(name), LIMIT)?;
    outcome(&finished, LIMIT)
}

/// The counts of a test run that was given so much time.
pub fn outcome(finished: &Finished, limit: Duration) -> Result<Outcome> {
    let mut outcome = count(&finished.text()?);
    match finished.end {
        End::Ok => {}
        End::Failed if outcome.failed == 0 => {
            outcome = Outcome { failed: 1, note: "did not build".into(), ..outcome }
        }
        End::Failed => {}
        End::TimedOut => {
            outcome.failed += 1;
            outcome.note = format!("ended after {} minutes", limit.as_secs() / 60);
        }
    }
    Ok(outcome)
}

/// Tests counted from the harness's own summary lines. A test that says it could not run, or not all of it, is counted as
/// skipped, though the harness lets it pass.
pub fn count(log: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut reasons: Vec<&str> = vec![];
    let (mut skipping, mut said_so) = (0, false);
    for line in log.lines() {
        if let Some(counts) = line.strip_prefix("test result:") {
            outcome.passed += number_before(counts, " passed");
            outcome.failed += number_before(counts, " failed");
            outcome.skipped += number_before(counts, " ignored");
        } else if line.starts_with("---- ") {
            said_so = false;
        } else if let Some(reason) = line.strip_prefix(SKIPPED) {
            if !said_so {
                skipping += 1;
            }
            said_so = true;
            if !reasons.contains(&reason.trim()) {
                reasons.push(reason.trim());
            }
        }
    }
    outcome.skipped += skipping;
    outcome.passed = outcome.passed.saturating_sub(skipping);
    let failed = log.lines().filter_map(|l| l.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let notes = failed.map(|t| format!("{t} failed")).chain(reasons.iter().map(|r| r.to_string()));
    outcome.note = notes.collect::<Vec<_>>().join("; ");
    outcome
}

fn number_before(text: &str, word: &str) -> usize {
    let before = text.split(word).next().unwrap_or_default();
    before.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn harness_lines_are_counted() {
        let log = "\
test a ... ok
test b::c ... FAILED

successes:

---- d stdout ----
SKIPPED: ../shared missing
SKIPPED: $DTMM_DATA missing

---- e stdout ----
SKIPPED: ../shared missing

test result: FAILED. 11 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.10s
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let outcome = count(log);
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped), (13, 1, 4));
        assert_eq!(outcome.note, "b::c failed; ../shared missing; $DTMM_DATA missing");
    }
}
