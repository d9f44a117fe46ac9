//! Writes a package as C or Rust sources that compile as they stand.
//!
//! [`c`] writes a header, the package as an aligned array, a ten-line `main` and the runtime as a static library for each
//! core; [`rust`] a crate with the package, the runtime's sources and a typed `run`.
#![forbid(unsafe_code)]

mod c;
mod codes;
mod error;
mod files;
mod model;
mod rust;

pub use c::c;
pub use codes::{Code, codes};
pub use dtmm_emulate::Core;
pub use error::ExportError;
pub use rust::rust;
