//! Results on stdout, errors on stderr, exit codes.

use std::io::Write;
use std::process::ExitCode;

use dtmm_report::Human;
use serde::Serialize;

use crate::args::{Common, Format};

/// Exit code of an interrupted run that the same command continues (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// Prints a result in the format asked for.
pub fn print<R: Human + Serialize>(common: &Common, result: &R) -> anyhow::Result<()> {
    let text = match common.format {
        Format::Human | Format::C | Format::Rust => result.human(),
        Format::Json => serde_json::to_string_pretty(result)? + "\n",
    };
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // A reader that has seen enough (`| head`) is not an error.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A line on stderr. Nobody may be reading it any more (`2>&1 | head`, a closed terminal): that stops no run.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A remark for the person at the terminal; silent in JSON format so that logs stay machine-readable.
pub fn note(common: &Common, text: &str) {
    if common.format == Format::Human {
        say(text);
    }
}

/// Prints the error, its causes and what to do.
pub fn report_error(error: &anyhow::Error) -> ExitCode {
    let mut shown = error.to_string();
    say(&format!("error: {shown}"));
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !shown.contains(&text) {
            say(&format!("  cause: {text}"));
        }
        shown = text;
    }
    let known = error.chain().find_map(|e| e.downcast_ref::<dtmm::Error>());
    if let Some(help) = known.and_then(dtmm::Error::help) {
        say(&format!("help: {help}"));
    }
    match known {
        Some(dtmm::Error::Interrupted { .. }) => ExitCode::from(INTERRUPTED),
        _ => ExitCode::FAILURE,
    }
}
