//! Installing what a step needs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The toolchain for Miri; everything else runs on the pinned one.
pub const NIGHTLY: &str = "nightly";

/// The device target whose release objects are inspected.
pub const DEVICE: &str = "thumbv7em-none-eabihf";

fn rustup(args: &[&str]) -> Result<String> {
    let output = Command::new("rustup").args(args).output().context(
        "rustup was not found: install it from https://rustup.rs, so that targets and toolchains can be added",
    )?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    ensure!(output.status.success(), "rustup {}: {said}", args.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Adds a compilation target to the pinned toolchain.
pub fn target(root: &Path, name: &str) -> Result<()> {
    let mut list = Command::new("rustup");
    let installed = list.args(["target", "list", "--installed"]).current_dir(root).output();
    if installed.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).lines().any(|l| l == name)) {
        return Ok(());
    }
    eprintln!("  installing the target {name}");
    rustup(&["target", "add", name]).map(drop)
}

/// Installs the nightly toolchain with these components.
pub fn nightly(components: &[&str]) -> Result<()> {
    let toolchains = rustup(&["toolchain", "list"])?;
    if !toolchains.lines().any(|l| l.starts_with(NIGHTLY)) {
        eprintln!("  installing the {NIGHTLY} toolchain");
        rustup(&["toolchain", "install", NIGHTLY, "--profile", "minimal"])?;
    }
    let installed = rustup(&["component", "list", "--installed", "--toolchain", NIGHTLY])?;
    for &component in components {
        if !installed.lines().any(|l| l.starts_with(component)) {
            eprintln!("  installing {component} for {NIGHTLY}");
            rustup(&["component", "add", component, "--toolchain", NIGHTLY])?;
        }
    }
    Ok(())
}

/// A C++ compiler, which libFuzzer is built with.
pub fn cxx() -> Result<()> {
    if std::env::var_os("CXX").is_some() || ["c++", "clang++", "g++"].into_iter().any(has) {
        return Ok(());
    }
    ensure!(
        is_root() && has("apt-get"),
        "no C++ compiler was found: install g++ or clang (Debian: `sudo apt-get install g++`)"
    );
    eprintln!("  installing g++");
    apt_get(&["g++"])
}

/// QEMU for Arm.
pub fn emulator() -> Result<()> {
    if std::env::var_os("DTMM_QEMU").is_some() || has("qemu-system-arm") {
        return Ok(());
    }
    ensure!(
        is_root() && has("apt-get"),
        "qemu-system-arm was not found: install QEMU for Arm with plugin support (Debian: `sudo apt-get install qemu-system-arm`)"
    );
    eprintln!("  installing qemu-system-arm");
    apt_get(&["qemu-system-arm"])
}

/// The bare-metal C compiler with a C library.
pub fn arm_gcc() -> Result<()> {
    if has("arm-none-eabi-gcc") {
        return Ok(());
    }
    ensure!(
        is_root() && has("apt-get"),
        "arm-none-eabi-gcc was not found: install it (Debian: `sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi`)"
    );
    eprintln!("  installing gcc-arm-none-eabi");
    apt_get(&["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"])
}

fn has(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
}

fn apt_get(packages: &[&str]) -> Result<()> {
    let run =
        |args: &[&str]| Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").output();
    let args: Vec<&str> =
        ["install", "-y", "--no-install-recommends"].iter().chain(packages).copied().collect();
    let mut output = run(&args)?;
    if !output.status.success() {
        run(&["update"])?;
        output = run(&args)?;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "apt-get install {}: {}", packages.join(" "), said.trim());
    Ok(())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}
