//! Lints.

use std::time::Duration;

use anyhow::Result;

use crate::process::{self, End};
use crate::step::Outcome;
use crate::workspace::Workspace;

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    let command = workspace.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    match process::run(command, &workspace.log("clippy"), Duration::from_secs(1200))?.end {
        End::Ok => Ok(Outcome::passed("")),
        End::Failed => Ok(Outcome::failed("clippy warns")),
        End::TimedOut => Ok(Outcome::failed("took more than 20 minutes")),
    }
}
