//! `dtmm compress`, killed at several points and started again, ends with the same package.

mod common;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{dtmm, json, small_model};

fn compress<'a>(model: &'a str, rounds: &'a str, out: &'a str, threads: &'a str) -> Vec<&'a str> {
    vec![
        "compress",
        model,
        "--data",
        "builtin:glyphs",
        "--samples",
        "600",
        "--flash",
        "0.4x",
        "--epochs",
        "4",
        "--rounds",
        rounds,
        "--batch",
        "4",
        "-o",
        out,
        "--threads",
        threads,
    ]
}

#[test]
fn a_killed_run_ends_with_the_same_package_for_any_thread_count() {
    // One round goes on from where its trial ended, several do not.
    ["1", "2"].iter().for_each(|rounds| a_killed_run_ends_with_the_same_package(rounds));
}

fn a_killed_run_ends_with_the_same_package(rounds: &str) {
    let model = small_model().to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let report = json(folder.path(), &compress(model, rounds, "whole", "1"));
    let whole = start.elapsed();
    assert_eq!(report["trials"].as_array().unwrap().len(), 3, "{}", report["trials"]);
    let reference = package(folder.path(), "whole");

    let mut kills = 0;
    for share in [0.1, 0.35, 0.6, 0.85] {
        let mut child = dtmm(folder.path(), &compress(model, rounds, "killed", "2")).spawn().unwrap();
        sleep(whole.mul_f64(share * 0.5));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills >= 2, "the run was too fast to be killed at several points");
    json(folder.path(), &compress(model, rounds, "killed", "2"));
    assert!(package(folder.path(), "killed") == reference, "the packages differ");
}

#[test]
fn a_run_killed_in_its_quantisation_aware_epochs_ends_with_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let args = |out: &'static str, threads: &'static str| {
        let model = small_model().to_str().unwrap();
        let data = ["compress", model, "--data", "builtin:glyphs", "--samples", "600", "--flash", "0.3x"];
        [&data[..], &["--epochs", "1", "--rounds", "1", "--qat-epochs", "4", "-o", out, "--threads", threads]]
            .concat()
    };
    let whole = json(folder, &args("whole", "1"));
    // Killed after the first epoch and again after a later one.
    for kill in 0..2 {
        let mut child = dtmm(folder, &args("killed", "2")).spawn().unwrap();
        let checkpoint = folder.join("killed/run/qat.checkpoint");
        let before = modified(&checkpoint);
        while modified(&checkpoint) == before {
            assert!(
                child.try_wait().unwrap().is_none(),
                "kill {kill}: the run ended before it could be killed"
            );
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(checkpoint.exists(), "kill {kill}: no checkpoint is left to go on from");
    }
    let resumed = json(folder, &args("killed", "2"));
    assert_eq!(resumed["quantization"], whole["quantization"]);
    assert_eq!(resumed["quantization"]["qat_epochs"], 4);
    // The trained model, whether it was taken or not; the seconds before it differ.
    let trained = |out: &str| std::fs::read(folder.join(out).join("run/qat.stage")).unwrap()[8..].to_vec();
    assert!(trained("killed") == trained("whole"), "the trained models differ");
    assert!(package(folder, "killed") == package(folder, "whole"), "the packages differ");
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

fn package(folder: &Path, out: &str) -> Vec<u8> {
    std::fs::read(folder.join(out).join("model.dtmm")).unwrap()
}
