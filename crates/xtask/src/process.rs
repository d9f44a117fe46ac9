//! Running a command into a log file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const TAIL_LINES: usize = 60;
const MAX_LINES: usize = 200;
const MAX_WIDTH: usize = 240;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Ok,
    Failed,
    /// It ran past its limit and was ended.
    TimedOut,
}

/// What a command left.
pub struct Finished {
    pub end: End,
    /// Standard output and error together.
    pub log: PathBuf,
}

impl Finished {
    pub fn text(&self) -> Result<String> {
        let bytes = fs::read(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Prints what the log says of the failure.
    pub fn print_failure(&self) {
        for line in telling(&self.text().unwrap_or_default()).iter().take(MAX_LINES) {
            eprintln!("    {}", line.chars().take(MAX_WIDTH).collect::<String>());
        }
        eprintln!("    (all of it: {})", self.log.display());
    }
}

/// The test harness's reports of failed tests; the last lines where there are none.
fn telling(log: &str) -> Vec<&str> {
    let mut reporting = false;
    let is_report = |line: &&str| {
        reporting = (reporting || *line == "failures:") && !line.starts_with("test result:");
        reporting
    };
    let lines: Vec<_> = log.lines().collect();
    let reports: Vec<_> = lines.iter().copied().filter(is_report).collect();
    if reports.is_empty() { lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec() } else { reports }
}

/// Runs `command` with its output in `log`, for at most `limit`. Where the terminal would stay silent, a dot is printed
/// twice a minute.
pub fn run(mut command: Command, log: &Path, limit: Duration) -> Result<Finished> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
    let shown = format!("{command:?}");
    let mut child = in_own_group(&mut command).spawn().with_context(|| format!("cannot start {shown}"))?;
    let end = wait(&mut child, limit)?;
    let finished = Finished { end, log: log.to_path_buf() };
    if end != End::Ok {
        finished.print_failure();
    }
    Ok(finished)
}

fn wait(child: &mut Child, limit: Duration) -> Result<End> {
    let start = Instant::now();
    let mut dots = 0;
    let end = loop {
        if let Some(status) = child.try_wait()? {
            break if status.success() { End::Ok } else { End::Failed };
        }
        if start.elapsed() > limit {
            end_group(child);
            break End::TimedOut;
        }
        if start.elapsed().as_secs() / 30 > dots {
            dots += 1;
            eprint!(".");
        }
        thread::sleep(Duration::from_millis(50));
    };
    if dots > 0 {
        eprintln!();
    }
    Ok(end)
}

/// A group of its own, so that a command past its limit is ended with all that it started.
#[cfg(unix)]
fn in_own_group(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}

#[cfg(not(unix))]
fn in_own_group(command: &mut Command) -> &mut Command {
    command
}

fn end_group(child: &mut Child) {
    if cfg!(unix) {
        // A group that is gone already is fine.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tests_are_told_before_the_last_lines() {
        let log =
            "test a ... ok\nfailures:\n---- b stdout ----\npanicked\ntest result: FAILED. 1\nrunning 0 tests";
        assert_eq!(telling(log), ["failures:", "---- b stdout ----", "panicked"]);
        assert_eq!(telling("error: no such file"), ["error: no such file"]);
    }
}
