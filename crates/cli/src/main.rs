//! The `dtmm` command: budget in, firmware out.
#![forbid(unsafe_code)]

mod args;
mod budgets;
mod cmd;
mod output;
mod progress;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Prunes neural networks so that they become smaller and faster on microcontrollers.
#[derive(Parser)]
#[command(name = "dtmm", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: args::Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(cmd::inspect::Cmd),
    Train(cmd::train::Cmd),
    Compress(cmd::compress::Cmd),
    Compare(cmd::compare::Cmd),
    Eval(cmd::eval::Cmd),
    Run(cmd::run::Cmd),
    Bench(cmd::bench::Cmd),
    Verify(cmd::verify::Cmd),
    Calibrate(cmd::calibrate::Cmd),
    Export(cmd::export::Cmd),
    Demo(cmd::demo::Cmd),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let common = &cli.common;
    if common.format.is_language() && !matches!(cli.command, Command::Export(_)) {
        let text = "the formats c and rust are for `dtmm export`";
        Cli::command().error(clap::error::ErrorKind::InvalidValue, text).exit();
    }
    let result = progress::Terminal::new().and_then(|progress| match cli.command {
        Command::Inspect(c) => c.run(common),
        Command::Train(c) => c.run(common, &progress),
        Command::Compress(c) => c.run(common, &progress),
        Command::Compare(c) => c.run(common, &progress),
        Command::Eval(c) => c.run(common, &progress),
        Command::Run(c) => c.run(common, &progress),
        Command::Bench(c) => c.run(common, &progress),
        Command::Verify(c) => c.run(common, &progress),
        Command::Calibrate(c) => c.run(common, &progress),
        Command::Export(c) => c.run(common),
        Command::Demo(c) => c.run(common, &progress),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::report_error(&error),
    }
}
