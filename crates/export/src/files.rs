//! Files of an exported folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::ExportError;

/// The folder that is written, and what lies in it.
pub(crate) struct Folder {
    root: PathBuf,
    /// Paths in the folder, in the order of writing.
    pub written: Vec<PathBuf>,
}

impl Folder {
    /// Makes the folder; one with anything in it is refused.
    pub fn create(root: &Path) -> Result<Self, ExportError> {
        fs::create_dir_all(root).map_err(failed(root))?;
        let mut entries = fs::read_dir(root).map_err(failed(root))?;
        if entries.next().is_some() {
            return Err(ExportError::Taken(root.to_owned()));
        }
        Ok(Folder { root: root.to_owned(), written: vec![] })
    }

    pub fn write(&mut self, path: &str, content: impl AsRef<[u8]>) -> Result<(), ExportError> {
        let full = self.make_parent(path)?;
        fs::write(&full, content).map_err(failed(&full))?;
        self.written.push(path.into());
        Ok(())
    }

    pub fn copy(&mut self, from: &Path, path: &str) -> Result<(), ExportError> {
        let full = self.make_parent(path)?;
        fs::copy(from, &full).map_err(failed(from))?;
        self.written.push(path.into());
        Ok(())
    }

    fn make_parent(&self, path: &str) -> Result<PathBuf, ExportError> {
        let full = self.root.join(path);
        let parent = full.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        Ok(full)
    }
}

/// The error of a file.
pub(crate) fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::File { path, source }
}
