//! The facade: the whole pipeline as one public API.
#![forbid(unsafe_code)]
