//! Data sets and preprocessing.
#![forbid(unsafe_code)]

mod dataset;

pub use dataset::{Dataset, Samples};
