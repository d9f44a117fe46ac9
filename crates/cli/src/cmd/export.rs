//! `dtmm export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{Common, CoreArg, Format};
use crate::output;

/// Write a package as C or Rust sources that compile as they stand
///
/// C: header, package as an array, a ten-line main, a Makefile, and the runtime as a static library for each core. Rust: a
/// no_std crate with the package, a typed `run` and the runtime's sources.
#[derive(Args)]
pub struct Cmd {
    /// Package (.dtmm) or int8 model (.tflite)
    package: PathBuf,
    /// Language of the sources; `--format c` and `--format rust` say the same
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    language: Option<Language>,
    /// The new folder
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Core that C gets a library for: m0, m3, m4, m7, m55 or all
    #[arg(long, default_value = "all", value_name = "CORE")]
    core: CoreArg,
}

/// A language.
#[derive(Clone, Copy, ValueEnum)]
enum Language {
    /// C
    C,
    /// Rust
    Rust,
}

impl Cmd {
    pub fn run(&self, common: &Common) -> anyhow::Result<()> {
        let language = match (self.language, common.format) {
            (Some(Language::C), _) | (None, Format::C) => dtmm::ExportLanguage::C,
            (Some(Language::Rust), _) | (None, Format::Rust) => dtmm::ExportLanguage::Rust,
            (None, _) => anyhow::bail!("the language is missing: add --format c or --format rust"),
        };
        let request = dtmm::ExportRequest {
            model: self.package.clone(),
            folder: self.output.clone(),
            language,
            cores: self.core.cores(),
        };
        output::print(common, &dtmm::export(&request)?)
    }
}
