//! `export`: a package as sources that compile as they stand.

use std::path::PathBuf;

use dtmm_emulate::Core;
use dtmm_report::ExportReport;

use crate::Error;
use crate::device::Loaded;

/// The language of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportLanguage {
    /// A header, the package as an array, and a static library for each core.
    C,
    /// A crate with the runtime's sources.
    Rust,
}

/// An export.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRequest {
    /// Package or int8 model.
    pub model: PathBuf,
    /// The new folder.
    pub folder: PathBuf,
    /// The language.
    pub language: ExportLanguage,
    /// Cores that C gets a library for.
    pub cores: Vec<Core>,
}

/// Writes the folder.
///
/// # Errors
/// A model that cannot be packed, a folder that is not empty, what is missing to build the library.
pub fn export(request: &ExportRequest) -> Result<ExportReport, Error> {
    let loaded = Loaded::new(&request.model, None)?;
    let written = match request.language {
        ExportLanguage::C => dtmm_export::c(&loaded.package, &request.cores, &request.folder),
        ExportLanguage::Rust => dtmm_export::rust(&loaded.package, &request.folder),
    };
    let written = written.map_err(|source| Error::Export { path: request.model.clone(), source })?;
    let arena = loaded.host.arena_bytes();
    Ok(ExportReport {
        model: request.model.display().to_string(),
        folder: request.folder.display().to_string(),
        package_bytes: loaded.host.package_bytes(),
        arena_bytes: arena.map_err(|source| Error::Package { path: request.model.clone(), source })?,
        files: written.iter().map(|p| p.display().to_string()).collect(),
    })
}
