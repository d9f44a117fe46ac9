//! Why a package could not be exported.

use std::path::PathBuf;

use thiserror::Error;

/// Why a package could not be exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The package is damaged.
    #[error("the package is damaged: {0}")]
    Package(dtmm_format::FormatError),
    /// The folder is not empty.
    #[error("{} is not empty; choose another folder or delete it", .0.display())]
    Taken(PathBuf),
    /// The runtime could not be built.
    #[error("the runtime could not be built")]
    Build(#[from] dtmm_emulate::EmulateError),
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
