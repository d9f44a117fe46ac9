//! Memory plan and package writer.
#![forbid(unsafe_code)]
