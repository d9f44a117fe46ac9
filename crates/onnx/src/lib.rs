//! ONNX importer and writer.
#![forbid(unsafe_code)]
