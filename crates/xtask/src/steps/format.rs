//! Formatting of both workspaces.

use std::time::Duration;

use anyhow::Result;

use crate::process::{self, End};
use crate::step::Outcome;
use crate::workspace::Workspace;

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    for (name, manifest) in [("format", "Cargo.toml"), ("format-fuzz", "fuzz/Cargo.toml")] {
        let command = workspace.cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]);
        if process::run(command, &workspace.log(name), Duration::from_secs(120))?.end != End::Ok {
            return Ok(Outcome::failed("run `cargo fmt --all`, also in fuzz/"));
        }
    }
    Ok(Outcome::passed(""))
}
