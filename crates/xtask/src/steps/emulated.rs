//! Kernels and models on emulated cores.

use std::time::Duration;

use anyhow::Result;

use super::tests::outcome;
use crate::process;
use crate::setup;
use crate::step::Outcome;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(900);

/// Targets of the emulated cores: Armv6-M, Armv7-M, Armv7E-M, Armv8.1-M.
const TARGETS: [&str; 4] =
    ["thumbv6m-none-eabi", "thumbv7m-none-eabi", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"];

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    let targets = || TARGETS.iter().try_for_each(|t| setup::target(&workspace.root, t));
    let ready = targets().and_then(|()| setup::emulator()).and_then(|()| setup::arm_gcc());
    if let Err(error) = ready {
        return Ok(Outcome::skipped(format!("{error:#}")));
    }
    let mut command =
        workspace.cargo(&["test", "--release", "--package", "dtmm-calibrate", "--package", "dtmm-emulate"]);
    command
        .args(["--package", "dtmm-export", "--no-fail-fast", "--", "--show-output"])
        .env("RUST_BACKTRACE", "0");
    outcome(&process::run(command, &workspace.log("emulated"), LIMIT)?, LIMIT)
}
