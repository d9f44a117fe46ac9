//! ONNX float32 importer and writer.
//!
//! [`import`] turns an ONNX model (usually NCHW, from PyTorch, Keras or another exporter) into a [`dtmm_graph::Graph`]
//! in NHWC; [`export`] writes a float graph back as standard ONNX. Layout changes of the source (Transpose, Reshape,
//! Flatten and relatives) are tracked symbolically and disappear wherever no data has to move; subgraphs that only
//! compute shapes or constants are folded.
#![forbid(unsafe_code)]

mod attributes;
mod constant;
mod error;
mod export;
mod fold;
mod fuse;
mod import;
mod metadata;
mod order;
#[allow(clippy::all, unused_qualifications)]
mod proto;
#[cfg(test)]
mod tests;
mod view;

pub use error::{ExportError, ImportError, UnsupportedOp};
pub use export::{channels_first, export, export_file};
pub use import::{import, import_file};
pub use metadata::{read_classes, with_classes};

/// Metadata key under which the preprocessing is stored as JSON.
pub const PREPROCESSING_KEY: &str = "dtmm.preprocessing";
/// Metadata key under which the class names are stored as a JSON list of strings.
pub const CLASSES_KEY: &str = "dtmm.classes";
