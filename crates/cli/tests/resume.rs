//! `dtmm compress`, killed at several points and started again, ends with the same package.

mod common;

use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use common::{dtmm, json, small_model};

fn compress<'a>(model: &'a str, out: &'a str, threads: &'a str) -> Vec<&'a str> {
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
        "2",
        "-o",
        out,
        "--threads",
        threads,
    ]
}

#[test]
fn a_killed_run_ends_with_the_same_package_for_any_thread_count() {
    let model = small_model().to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    json(folder.path(), &compress(model, "whole", "1"));
    let whole = start.elapsed();
    let reference = package(folder.path(), "whole");

    let mut kills = 0;
    for share in [0.1, 0.35, 0.6, 0.85] {
        let mut child = dtmm(folder.path(), &compress(model, "killed", "2")).spawn().unwrap();
        sleep(whole.mul_f64(share * 0.5));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills >= 2, "the run was too fast to be killed at several points");
    json(folder.path(), &compress(model, "killed", "2"));
    assert!(package(folder.path(), "killed") == reference, "the packages differ");
}

fn package(folder: &Path, out: &str) -> Vec<u8> {
    std::fs::read(folder.join(out).join("model.dtmm")).unwrap()
}
