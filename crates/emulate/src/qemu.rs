//! Starts the emulator and waits for it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Core, EmulateError, Machine};

pub(crate) const CASES: &str = "cases.bin";
pub(crate) const REPORT: &str = "report.bin";
pub(crate) const COUNTS: &str = "counts.txt";
const LOG: &str = "qemu.log";

/// What one start of the emulator runs.
pub(crate) struct Start<'a> {
    pub machine: &'a Machine,
    pub image: &'a Path,
    pub plugin: &'a Path,
    /// Count each instruction by itself.
    pub opcodes: bool,
    /// One instruction takes one nanosecond of the machine's time.
    pub virtual_time: bool,
    pub limit: Duration,
}

/// The firmware's status after a fault.
pub(crate) const FAULT: i32 = 102;

/// How the emulator ended.
pub(crate) enum End {
    Status(i32),
    TimeOver,
}

fn program() -> String {
    std::env::var("DTMM_QEMU").unwrap_or_else(|_| "qemu-system-arm".into())
}

/// The plugin interface of the installed emulator.
pub(crate) fn plugin_api() -> Result<u32, EmulateError> {
    let program = program();
    let Ok(output) = Command::new(&program).arg("--version").output() else {
        return Err(EmulateError::Qemu { program });
    };
    Ok(api_of(&String::from_utf8_lossy(&output.stdout)))
}

/// 1 before QEMU 9.0, 2 for 9.0, then 3.
fn api_of(version: &str) -> u32 {
    let number = version.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    let mut parts = number.unwrap_or_default().split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    match (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) {
        (0..=8, _) => 1,
        (9, 0) => 2,
        _ => 3,
    }
}

/// Runs the image in `folder`, where the cases are and the results go.
pub(crate) fn start(start: &Start<'_>, folder: &Path) -> Result<End, EmulateError> {
    let (log_path, status) = wait(command(start), folder, start.limit)?;
    let said = std::fs::read_to_string(&log_path).unwrap_or_default();
    status.map_or(Ok(End::TimeOver), |status| ended(status, &said))
}

/// The log file, and the status; `None` after the limit.
fn wait(
    mut command: Command,
    folder: &Path,
    limit: Duration,
) -> Result<(PathBuf, Option<ExitStatus>), EmulateError> {
    let log_path = folder.join(LOG);
    let fail = |source| EmulateError::File { path: log_path.clone(), source };
    let log = File::create(&log_path).map_err(fail)?;
    command.current_dir(folder).stdin(Stdio::null()).stderr(log.try_clone().map_err(fail)?).stdout(log);
    let mut child = command.spawn().map_err(|_| EmulateError::Qemu { program: program() })?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(fail)? {
            return Ok((log_path, Some(status)));
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Ok((log_path, None));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a bare-metal program of one's own on the core's largest machine, without counting, and gives its exit status. It
/// ends by semihosting; `folder` is where its files are.
///
/// # Errors
/// A missing emulator, or one that does not end in time.
pub fn run_image(core: Core, image: &Path, folder: &Path, limit: Duration) -> Result<i32, EmulateError> {
    let machine = core.machines().last().ok_or(EmulateError::Report("no machine"))?;
    let mut command = Command::new(program());
    command.args(["-M", machine.qemu, "-display", "none", "-serial", "none", "-monitor", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image);
    let (log_path, status) = wait(command, folder, limit)?;
    match status.map(|s| s.code()) {
        Some(Some(status)) => Ok(status),
        Some(None) => {
            let output = std::fs::read_to_string(&log_path).unwrap_or_default();
            Err(EmulateError::Emulator { status: -1, output })
        }
        None => Err(EmulateError::Time { seconds: limit.as_secs(), case: 0, layers: 0 }),
    }
}

fn command(start: &Start<'_>) -> Command {
    let detail = if start.opcodes { ",detail=on" } else { "" };
    let mut command = Command::new(program());
    command.args(["-M", start.machine.qemu, "-display", "none", "-serial", "none", "-monitor", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(start.image);
    command
        .arg("-device")
        .arg(format!("loader,file={CASES},addr={:#x},force-raw=on", start.machine.cases_at));
    command.arg("-plugin").arg(format!("{},out={COUNTS}{detail}", start.plugin.display()));
    if start.virtual_time {
        command.args(["-icount", "shift=0"]);
    }
    command
}

/// The firmware's statuses pass; what the emulator says of itself is an error.
fn ended(status: ExitStatus, said: &str) -> Result<End, EmulateError> {
    let output = said.trim().to_owned();
    if output.contains("-plugin") && output.contains("invalid option") {
        return Err(EmulateError::Plugins { output });
    }
    // A fault that finds no stack left for its handler.
    if output.contains("Lockup") {
        return Ok(End::Status(FAULT));
    }
    match status.code() {
        Some(status @ (0 | 101..=104)) => Ok(End::Status(status)),
        other => Err(EmulateError::Emulator { status: other.unwrap_or(-1), output }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tell_the_plugin_interface() {
        assert_eq!(api_of("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"), 1);
        assert_eq!(api_of("QEMU emulator version 8.2.2"), 1);
        assert_eq!(api_of("QEMU emulator version 9.0.1"), 2);
        assert_eq!(api_of("QEMU emulator version 10.0.0"), 3);
    }
}
