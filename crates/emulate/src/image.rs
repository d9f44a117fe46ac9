//! Builds the firmware and the plugin. Cargo keeps what is built, so a second call costs a fraction of a second.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Core, EmulateError, Machine, sources};

/// Lines of cargo's output that an error shows.
const SHOWN_LINES: usize = 40;

/// The firmware image for a core on a machine.
pub(crate) fn firmware(core: Core, machine: &Machine) -> Result<PathBuf, EmulateError> {
    let folder = sources::firmware()?;
    let target_dir = absolute(&sources::outputs(&folder))?.join(format!("{core}-{}", machine.map));
    let mut command = cargo(&folder, &target_dir);
    command.args(["--package", "dtmm-firmware", "--target", core.target()]);
    command.env("DTMM_MACHINE", machine.map);
    command.env("RUSTFLAGS", format!("-Ctarget-cpu={}", core.target_cpu()));
    build(command, &format!("the firmware for {core}"), Some(core.target()))?;
    Ok(target_dir.join(core.target()).join("release/dtmm-firmware"))
}

/// The bytes of the image that [`crate::run`] starts on the core's largest machine. What was counted stays true as long as
/// they do.
///
/// # Errors
/// What is missing to build it.
pub fn image(core: Core) -> Result<Vec<u8>, EmulateError> {
    let machine = core.machines().last().ok_or(EmulateError::Report("no machine"))?;
    let path = firmware(core, machine)?;
    std::fs::read(&path).map_err(|source| EmulateError::File { path, source })
}

/// The runtime as a static library for C, with these operator families (features of `dtmm-runtime`).
///
/// # Errors
/// What is missing to build it.
pub fn static_library(core: Core, families: &[&str]) -> Result<PathBuf, EmulateError> {
    let folder = sources::firmware()?;
    let target_dir = absolute(&sources::outputs(&folder))?.join(format!("capi-{core}"));
    let mut command = cargo(&folder, &target_dir);
    command.args(["--package", "dtmm-capi", "--target", core.target(), "--no-default-features"]);
    let features: Vec<String> = families.iter().map(|f| format!("dtmm-runtime/{f}")).collect();
    command.args(["--features", &features.join(",")]);
    command.env("RUSTFLAGS", format!("-Ctarget-cpu={}", core.target_cpu()));
    command.env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    build(command, &format!("the C library for {core}"), Some(core.target()))?;
    Ok(target_dir.join(core.target()).join("release/libdtmm.a"))
}

/// The plugin for a version of its interface.
pub(crate) fn plugin(api: u32) -> Result<PathBuf, EmulateError> {
    let folder = sources::firmware()?;
    let target_dir = absolute(&sources::outputs(&folder))?.join(format!("plugin-{api}"));
    let mut command = cargo(&folder, &target_dir);
    command.args(["--package", "dtmm-counter"]);
    if api > 1 {
        command.args(["--features", &format!("api{api}")]);
    }
    build(command, "the counting plugin", None)?;
    let name = format!("{}dtmm_counter{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    Ok(target_dir.join("release").join(name))
}

fn absolute(path: &Path) -> Result<PathBuf, EmulateError> {
    std::path::absolute(path).map_err(|source| EmulateError::File { path: path.into(), source })
}

fn cargo(folder: &Path, target_dir: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--quiet"]).current_dir(folder);
    command.env("CARGO_TARGET_DIR", target_dir);
    // An outer cargo's settings are not for the device.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER"] {
        command.env_remove(name);
    }
    command
}

fn build(mut command: Command, what: &str, target: Option<&'static str>) -> Result<(), EmulateError> {
    let output = command.output().map_err(EmulateError::Cargo)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if let Some(target) = target.filter(|_| said.contains("can't find crate for `core`")) {
        return Err(EmulateError::Target { target });
    }
    let lines: Vec<&str> = said.lines().collect();
    let end = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    Err(EmulateError::Build { what: what.into(), output: end })
}
