//! The device crates' unit tests under Miri.

use std::time::Duration;

use anyhow::Result;

use super::tests::count;
use crate::process::{self, End};
use crate::setup::{self, NIGHTLY};
use crate::step::Outcome;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(420);

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Err(error) = setup::nightly(&["miri", "rust-src"]) {
        return Ok(Outcome::skipped(format!("{error:#}")));
    }
    let args = [
        "miri",
        "test",
        "--lib",
        "--package",
        "dtmm-format",
        "--package",
        "dtmm-kernels",
        "--package",
        "dtmm-runtime",
    ];
    let mut command = workspace.cargo(&[]);
    command.arg(format!("+{NIGHTLY}")).args(args).args(["--no-fail-fast"]);
    command.env_remove("RUSTUP_TOOLCHAIN").env("CARGO_TARGET_DIR", workspace.target.join("miri"));
    // Random cases are for the fast tests; Miri needs one pass over each path.
    command.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "2");
    let finished = process::run(command, &workspace.log("miri"), LIMIT)?;
    let mut outcome = count(&finished.text()?);
    match finished.end {
        End::Ok => {}
        End::TimedOut => {
            outcome.skipped += 1;
            outcome.note =
                format!("stopped after {} minutes; what had run by then passed", LIMIT.as_secs() / 60);
        }
        End::Failed => outcome.failed = outcome.failed.max(1),
    }
    Ok(outcome)
}
