//! Reading and writing files: errors name the file, outputs appear whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Error;

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Writes beside the target, then renames: a reader sees the old file or the whole new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let fail = |source| Error::Write { path: path.to_owned(), source };
    let folder = make_folder_of(path)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    make_readable(file.path()).map_err(fail)?;
    file.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
}

/// The folder that `path` lies in, made where it is missing.
pub(crate) fn make_folder_of(path: &Path) -> Result<PathBuf, Error> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    };
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(source) => Err(Error::Write { path: path.to_owned(), source }),
    }
}

/// Temporary files are private to their owner; results are not.
fn make_readable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
