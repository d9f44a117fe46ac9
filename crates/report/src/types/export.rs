//! The report of `dtmm export`.

use serde::{Deserialize, Serialize};

/// What `dtmm export` wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportReport {
    /// Model or package path.
    pub model: String,
    /// The new folder.
    pub folder: String,
    /// Bytes of the package.
    pub package_bytes: usize,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Files in the folder, in the order of writing.
    pub files: Vec<String>,
}
