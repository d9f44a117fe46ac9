//! TFLite importer.
#![forbid(unsafe_code)]
