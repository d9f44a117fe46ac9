//! Report types and renderers.
#![forbid(unsafe_code)]
