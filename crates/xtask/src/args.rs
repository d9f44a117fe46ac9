//! The command line.

pub const USAGE: &str = "\
Usage: cargo xtask test [--list] [--fuzz-seconds N] [STEP ...]
       cargo xtask ci   [--list] [--fuzz-seconds N] [STEP ...]

test  installs what the tests need and runs all of them, cheapest first
ci    the same after formatting, clippy and rustdoc; a step that could not run at all is a failure

  --list            print the steps and stop
  --fuzz-seconds N  time for each fuzz target (default 15)
  STEP              run these steps only";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Test,
    Ci,
    Help,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    pub command: Command,
    pub list: bool,
    pub fuzz_seconds: u64,
    /// Names of the steps to run; all when empty.
    pub only: Vec<String>,
}

impl Args {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
        let command = match args.next().as_deref() {
            Some("test") => Command::Test,
            Some("ci") => Command::Ci,
            Some("help" | "--help" | "-h") => Command::Help,
            Some(other) => return Err(format!("no command {other:?}")),
            None => return Err("no command given".into()),
        };
        let mut parsed = Args { command, list: false, fuzz_seconds: 15, only: vec![] };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => parsed.list = true,
                "--help" | "-h" => parsed.command = Command::Help,
                "--fuzz-seconds" => {
                    let value = args.next().ok_or("--fuzz-seconds needs a number")?;
                    parsed.fuzz_seconds =
                        value.parse().map_err(|_| format!("{value:?} is no number of seconds"))?;
                }
                option if option.starts_with('-') => return Err(format!("no option {option:?}")),
                step => parsed.only.push(step.into()),
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn commands_and_options() {
        let args = parse("ci --fuzz-seconds 3 edges miri").expect("parsed");
        assert_eq!((args.command, args.fuzz_seconds), (Command::Ci, 3));
        assert_eq!(args.only, ["edges", "miri"]);
        for wrong in ["", "tset", "test --fast", "test --fuzz-seconds", "test --fuzz-seconds x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
