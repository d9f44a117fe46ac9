//! TFLite importer: float32 and int8 models become a [`Graph`].
//!
//! The file is read through bounds-checked accessors, so a truncated, oversized, cyclic or inconsistent file is an error,
//! never a panic, and never takes more memory than a small multiple of its size. Constant subgraphs that compute shapes
//! are folded; batch size becomes 1; SAME and VALID become explicit padding. int8 models keep their quantisation
//! parameters, so that they can be packed with outputs equal to the TFLite reference kernels.
//!
//! Facts about the file format: the TFLite schema, version 3 (field numbers, enum values).
#![forbid(unsafe_code)]

mod constant;
mod dims;
mod error;
mod flat;
mod fold;
mod import;
mod importer;
mod names;
mod ops;
mod ports;
mod quantization;
mod schema;

pub use dtmm_graph::Graph;
pub use error::{ImportError, UnsupportedNode};
pub use flat::FlatError;
pub use import::{import, import_file};
pub use ops::supported_operators;
