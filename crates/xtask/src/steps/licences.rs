//! Licences of all dependencies, also those of other platforms.

use anyhow::{Context, Result};

use super::spdx::is_allowed;
use crate::step::Outcome;
use crate::workspace::Workspace;

/// Licences that ask for no more than a notice.
const ALLOWED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// libFuzzer's own licence, for the fuzz workspace, which is never shipped.
const ALLOWED_FUZZ: [&str; 1] = ["NCSA"];

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    let (mut complaints, count) = check(workspace, "Cargo.toml", &ALLOWED)?;
    let fuzz = [&ALLOWED[..], &ALLOWED_FUZZ].concat();
    complaints.extend(check(workspace, "fuzz/Cargo.toml", &fuzz)?.0);
    Ok(Outcome::from_complaints(&complaints, format!("{count} packages")))
}

fn check(workspace: &Workspace, manifest: &str, allowed: &[&str]) -> Result<(Vec<String>, usize)> {
    let metadata = workspace.metadata(manifest)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let refused = packages.iter().filter_map(|package| {
        let licence = package["license"].as_str().unwrap_or("none");
        let own = package["source"].is_null();
        (!own && !is_allowed(licence, allowed))
            .then(|| format!("{} has licence {licence:?}, which is not on the list", package["id"]))
    });
    Ok((refused.collect(), packages.len()))
}
