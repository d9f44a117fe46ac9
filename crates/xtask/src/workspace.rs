//! Where the workspace is and what `cargo metadata` says of it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The workspace under test.
pub struct Workspace {
    /// The repository's root.
    pub root: PathBuf,
    /// Build outputs; logs go to `xtask` in it.
    pub target: PathBuf,
    /// Seconds for each fuzz target.
    pub fuzz_seconds: u64,
}

impl Workspace {
    pub fn open(fuzz_seconds: u64) -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root = PathBuf::from(manifest).join("../..").canonicalize()?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), |t| root.join(t));
        std::fs::create_dir_all(target.join("xtask"))?;
        Ok(Workspace { root, target, fuzz_seconds })
    }

    /// `cargo ARGS` of the pinned toolchain, in the root.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(args).current_dir(&self.root);
        // Set by the `cargo run` that started this; they would hold inner calls to its toolchain and package.
        for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME"] {
            command.env_remove(name);
        }
        command
    }

    /// `cargo metadata` of the workspace at `manifest` (relative to the root), dependencies included.
    pub fn metadata(&self, manifest: &str) -> Result<Value> {
        let args = ["metadata", "--format-version", "1", "--manifest-path", manifest];
        let output = self.cargo(&args).output().context("cannot start cargo")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("cargo metadata is no JSON")
    }

    /// The log file of a step or a part of one.
    pub fn log(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(format!("{name}.log"))
    }
}
