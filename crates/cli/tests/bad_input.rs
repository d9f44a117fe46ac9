//! What a user sees after a mistake: one screen with the cause and what to do, and nothing overwritten.

mod common;

use std::fs;

use common::{error, json, small_model};

fn compress(folder: &std::path::Path, model: &str, extra: &[&str]) -> String {
    let base = ["compress", model, "--data", "builtin:glyphs", "--samples", "200", "--epochs", "0"];
    error(folder, &[&base[..], extra].concat())
}

#[test]
fn a_missing_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = compress(folder.path(), "nothing.onnx", &["--flash", "0.5x"]);
    insta::assert_snapshot!(text, @r"
    error: cannot read nothing.onnx
      cause: No such file or directory (os error 2)
    help: check the path
    ");
}

#[test]
fn garbled_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.onnx"), b"\xff\xff\xff\xffgarbage").unwrap();
    fs::write(folder.path().join("a.tflite"), b"\x10\0\0\0TFL3garbage").unwrap();
    fs::write(folder.path().join("a.dtmm"), b"DTMMgarbage").unwrap();
    fs::write(folder.path().join("a.txt"), b"hello").unwrap();
    for name in ["a.onnx", "a.tflite", "a.dtmm", "a.txt"] {
        let text = error(folder.path(), &["inspect", name]);
        assert!(text.contains(name) && text.starts_with("error: "), "{text}");
    }
}

#[test]
fn an_impossible_budget_names_the_smallest_size() {
    let folder = tempfile::tempdir().unwrap();
    let text = compress(folder.path(), small_model().to_str().unwrap(), &["--flash", "100"]);
    assert!(text.contains("smallest feasible"), "{text}");
    assert!(!folder.path().join("out/model/model.dtmm").exists());
}

#[test]
fn a_size_that_is_none_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let text = compress(folder.path(), "m.onnx", &["--flash", "lots"]);
    assert!(text.contains("'lots' is no size"), "{text}");
}

#[test]
fn the_output_of_another_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model().to_str().unwrap();
    let args =
        ["compress", model, "--data", "builtin:glyphs", "--samples", "200", "--epochs", "0", "-o", "o"];
    json(folder.path(), &[&args[..], &["--flash", "0.6x"]].concat());
    let before = fs::read(folder.path().join("o/model.dtmm")).unwrap();
    let text = error(folder.path(), &[&args[..], &["--flash", "0.5x"]].concat());
    assert!(text.contains("flash: \"0.6x\"") && text.contains("another run"), "{text}");
    assert_eq!(fs::read(folder.path().join("o/model.dtmm")).unwrap(), before);
}

#[test]
fn data_sets_that_do_not_fit_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model().to_str().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let text = error(folder.path(), &["eval", model, "--data", "empty"]);
    assert!(text.contains("empty") && text.contains("expected"), "{text}");
    fs::write(folder.path().join("x.npz"), b"not a zip").unwrap();
    let text = error(folder.path(), &["eval", model, "--data", "x.npz"]);
    assert!(text.contains("x.npz"), "{text}");
}
