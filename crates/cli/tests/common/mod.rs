//! Runs the built command.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The command with its working directory in `folder`.
pub fn dtmm(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dtmm"));
    command.current_dir(folder).args(args);
    command
}

/// Runs to the end.
pub fn output(folder: &Path, args: &[&str]) -> Output {
    dtmm(folder, args).output().expect("the command starts")
}

/// Runs to the end, which must be a success; the JSON on stdout.
pub fn json(folder: &Path, args: &[&str]) -> serde_json::Value {
    let out = output(folder, &[args, &["--format", "json"]].concat());
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?} failed:\n{stderr}");
    serde_json::from_slice(&out.stdout).expect("stdout is JSON")
}

/// Runs to the end, which must be an error; what the user sees.
pub fn error(folder: &Path, args: &[&str]) -> String {
    let out = output(folder, args);
    let stderr = String::from_utf8(out.stderr).expect("UTF-8");
    assert!(!out.status.success(), "{args:?} should have failed");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stderr.lines().count() <= 24, "more than one screen:\n{stderr}");
    stderr
}

/// A small CNN, trained once for all tests of a file.
pub fn small_model() -> &'static PathBuf {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("dtmm-test").tempdir().expect("temp folder").keep();
        let args = ["train", "--arch", "demo-cnn", "--data", "builtin:glyphs", "--samples", "800"];
        json(&folder, &[&args[..], &["--epochs", "2", "-o", "model.onnx"]].concat());
        folder.join("model.onnx")
    })
}
