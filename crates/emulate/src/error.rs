//! Why packages could not run on an emulated core.

use std::path::PathBuf;

use thiserror::Error;

/// Why packages could not run on an emulated core. The texts say what to install or change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmulateError {
    /// The firmware's sources are not where this program was built, and no variable names them.
    #[error(
        "the firmware's sources were not found at {}; set DTMM_SOURCE to a checkout of DTMM (its firmware/ folder is built for the core)",
        tried.display()
    )]
    Sources {
        /// The folder that was tried.
        tried: PathBuf,
    },
    /// There is no cargo.
    #[error("cargo was not found; install Rust from https://rustup.rs to build the firmware")]
    Cargo(#[source] std::io::Error),
    /// The compiler has no library for the core.
    #[error("the Rust target {target} is not installed; run `rustup target add {target}`")]
    Target {
        /// The target triple.
        target: &'static str,
    },
    /// The firmware or the plugin does not build.
    #[error("{what} does not build:\n{output}")]
    Build {
        /// What was built.
        what: String,
        /// The end of what cargo said.
        output: String,
    },
    /// There is no emulator.
    #[error(
        "{program} was not found; install QEMU for Arm (Debian, Ubuntu: `apt-get install qemu-system-arm`; macOS: `brew install qemu`), or set DTMM_QEMU to the program"
    )]
    Qemu {
        /// The program that was tried.
        program: String,
    },
    /// The emulator cannot load plugins.
    #[error(
        "this QEMU has no support for TCG plugins, which count the instructions; install a QEMU built with --enable-plugins (Debian's qemu-system-arm is): {output}"
    )]
    Plugins {
        /// What the emulator said.
        output: String,
    },
    /// The emulator ended by itself.
    #[error("the emulator ended with status {status}: {output}")]
    Emulator {
        /// Exit status.
        status: i32,
        /// What it said.
        output: String,
    },
    /// The firmware crashed.
    #[error("the firmware stopped in case {case} after {layers} layers: {reason}")]
    Crash {
        /// Index of the case that ran.
        case: usize,
        /// Layers of it that had run.
        layers: usize,
        /// What happened.
        reason: &'static str,
    },
    /// The emulator ran past its time.
    #[error("the emulator did not end within {seconds} s (in case {case}, after {layers} layers)")]
    Time {
        /// The limit.
        seconds: u64,
        /// Index of the case that ran.
        case: usize,
        /// Layers of it that had run.
        layers: usize,
    },
    /// No emulated machine with this core has room for the case.
    #[error(
        "case {case} does not fit the emulated {machine}: {needed} bytes of {what} needed, {available} there"
    )]
    Room {
        /// Index of the case.
        case: usize,
        /// The emulator's machine.
        machine: &'static str,
        /// `package and input` or `arena`.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        available: usize,
    },
    /// Report or counts cannot be understood: a mismatch of firmware and host.
    #[error("the firmware's report is damaged: {0}")]
    Report(&'static str),
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
