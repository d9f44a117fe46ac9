//! The README's first command, as it is typed in a folder where nothing has run before.

mod common;

use std::process::Stdio;

use common::{dtmm, json, small_model};

#[test]
fn the_demo_needs_nothing_and_gives_a_small_package() {
    let folder = tempfile::tempdir().unwrap();
    let report = json(folder.path(), &["demo"]);
    let flash = |field: &str| report["flash"][field].as_u64().unwrap();
    assert!(flash("package_bytes") * 5 <= flash("dense_int8_bytes"), "{report}");
    let accuracy = |field: &str| report["accuracy"][field].as_f64().unwrap();
    assert!(accuracy("float") > 0.98, "{report}");
    assert!(accuracy("int8") > 0.95, "{report}");
    let bytes = std::fs::read(folder.path().join("out/demo/model.dtmm")).unwrap();
    assert_eq!(bytes.len() as u64, flash("package_bytes"));
    assert!(folder.path().join("out/demo/report.html").is_file());
}

#[test]
fn a_run_goes_on_when_nobody_reads_its_progress() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model().to_str().unwrap();
    let args = ["compress", model, "--data", "builtin:glyphs", "--samples", "200", "--epochs", "0"];
    let mut run = dtmm(folder.path(), &[&args[..], &["--flash", "0.7x", "-o", "o"]].concat());
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert!(folder.path().join("o/model.dtmm").is_file());
}
