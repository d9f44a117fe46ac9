//! Development commands, for `cargo xtask`.
#![forbid(unsafe_code)]

mod args;
mod process;
mod setup;
mod step;
mod steps;
mod summary;
mod workspace;

use std::process::ExitCode;

use args::{Args, Command};
use step::Step;
use workspace::Workspace;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("error: {message}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// True when nothing failed.
fn run(args: &Args) -> anyhow::Result<bool> {
    let steps = match args.command {
        Command::Help => {
            println!("{}", args::USAGE);
            return Ok(true);
        }
        Command::Test => steps::test(),
        Command::Ci => steps::ci(),
    };
    if args.list {
        steps.iter().for_each(|s| println!("{:<12} {}", s.name, s.about));
        return Ok(true);
    }
    let workspace = Workspace::open(args.fuzz_seconds)?;
    let results: Vec<_> = chosen(&steps, &args.only)?.into_iter().map(|s| step::run(s, &workspace)).collect();
    summary::print(&results);
    // On the machine that decides about a merge, a step that could not run proves nothing.
    let strict = args.command == Command::Ci;
    Ok(!results.iter().any(|r| r.failed() || strict && r.skipped()))
}

fn chosen<'a>(steps: &'a [Step], only: &[String]) -> anyhow::Result<Vec<&'a Step>> {
    if only.is_empty() {
        return Ok(steps.iter().collect());
    }
    let find = |name: &String| {
        let known = || steps.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
        steps
            .iter()
            .find(|s| s.name == name)
            .ok_or_else(|| anyhow::anyhow!("no step {name:?}; there are {}", known()))
    };
    only.iter().map(find).collect()
}
