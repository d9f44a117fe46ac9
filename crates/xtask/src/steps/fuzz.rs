//! Each fuzz target for a bounded time, built without cargo-fuzz: libFuzzer needs only coverage counters, which the pinned
//! toolchain can insert. (`cargo fuzz run TARGET` works as well, and adds the address sanitizer.)

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, End};
use crate::setup;
use crate::step::Outcome;
use crate::workspace::Workspace;

const COVERAGE: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
const BUILD_LIMIT: Duration = Duration::from_secs(900);

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    if !cfg!(any(target_os = "linux", target_os = "macos")) {
        return Ok(Outcome::skipped("libFuzzer runs on Linux and macOS"));
    }
    if let Err(error) = setup::cxx() {
        return Ok(Outcome::skipped(format!("{error:#}")));
    }
    let targets = targets(workspace)?;
    let Some(folder) = build(workspace)? else {
        return Ok(Outcome::failed("the fuzz targets do not build"));
    };
    let mut outcome = Outcome::default();
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    for group in targets.chunks(cores) {
        let ends: Vec<Result<End>> = thread::scope(|scope| {
            let handles: Vec<_> = group.iter().map(|t| scope.spawn(|| fuzz(workspace, &folder, t))).collect();
            handles.into_iter().map(|h| h.join().unwrap_or(Ok(End::Failed))).collect()
        });
        for (target, end) in group.iter().zip(ends) {
            tally(&mut outcome, target, end?);
        }
    }
    if outcome.failed == 0 {
        outcome.note = format!("{} s each", workspace.fuzz_seconds);
    }
    Ok(outcome)
}

fn tally(outcome: &mut Outcome, target: &str, end: End) {
    if end == End::Ok {
        outcome.passed += 1;
        return;
    }
    outcome.failed += 1;
    outcome.note += &format!("{target} found a failing input (fuzz/artifacts/{target}); ");
}

/// Names of the targets: the files of `fuzz/fuzz_targets`.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = entries
        .map(|e| Ok(e?.path().file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// The folder with the built targets; `None` when they do not build.
fn build(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let host = host()?;
    let target = workspace.target.join("fuzz");
    // A target is named so that build scripts and macros are not instrumented.
    let mut command = workspace.cargo(&[
        "build",
        "--release",
        "--bins",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--target",
        &host,
    ]);
    command.env("RUSTFLAGS", COVERAGE.join(" ")).env("CARGO_TARGET_DIR", &target);
    let finished = process::run(command, &workspace.log("fuzz-build"), BUILD_LIMIT)?;
    Ok((finished.end == End::Ok).then(|| target.join(host).join("release")))
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|l| l.strip_prefix("host: ")).map(String::from).context("rustc names no host")
}

/// The grown corpus stays beside the build outputs, and the next run starts from it.
fn fuzz(workspace: &Workspace, folder: &Path, target: &str) -> Result<End> {
    let corpus = workspace.target.join("fuzz-corpus").join(target);
    // The importer's golden models are seeds already.
    let golden = workspace.root.join("crates/pack/tests/golden");
    let seeds = if target == "tflite" { golden } else { workspace.root.join("fuzz/seeds").join(target) };
    let artifacts = workspace.root.join("fuzz/artifacts").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(folder.join(target));
    command.current_dir(&workspace.root).arg(&corpus).arg(seeds);
    command.arg(format!("-max_total_time={}", workspace.fuzz_seconds));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    // No input of at most 64 KiB justifies more memory than this.
    command.args(["-max_len=65536", "-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-seed=1"]);
    command.args(["-print_final_stats=1", "-verbosity=1"]);
    let limit = Duration::from_secs(workspace.fuzz_seconds * 3 + 60);
    Ok(process::run(command, &workspace.log(&format!("fuzz-{target}")), limit)?.end)
}
