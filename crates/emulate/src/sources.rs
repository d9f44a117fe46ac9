//! Where the firmware's sources and build outputs are.

use std::path::{Path, PathBuf};

use crate::EmulateError;

/// The root of DTMM's sources: the checkout that `DTMM_SOURCE` names, else the one that this program was built from.
///
/// # Errors
/// [`EmulateError::Sources`] when it is not there.
pub fn root() -> Result<PathBuf, EmulateError> {
    let folder = firmware()?;
    let tried = || EmulateError::Sources { tried: folder.clone() };
    folder.parent().map(Path::to_path_buf).ok_or_else(tried)
}

/// The `firmware` folder: of the checkout that `DTMM_SOURCE` names, else of the one that this program was built from.
pub(crate) fn firmware() -> Result<PathBuf, EmulateError> {
    let built_from = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = std::env::var_os("DTMM_SOURCE").map_or_else(built_from, PathBuf::from);
    let folder = root.join("firmware");
    match folder.canonicalize() {
        Ok(folder) if folder.join("Cargo.toml").is_file() => Ok(folder),
        _ => Err(EmulateError::Sources { tried: folder }),
    }
}

/// Build outputs: `firmware` in cargo's target folder, which may be set as for any build.
pub(crate) fn outputs(firmware: &Path) -> PathBuf {
    let default = || firmware.join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from).join("firmware")
}
