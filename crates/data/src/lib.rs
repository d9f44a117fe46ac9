//! Data sets and preprocessing.
//!
//! [`load`] finds out what a path holds and reads it into a [`Dataset`]; the `parse_*` functions read the bytes of one file
//! of each format and never allocate more than the bytes justify. [`demo`] draws a data set, so that nothing has to be
//! downloaded to try the tool.
#![forbid(unsafe_code)]

mod arrays;
mod cifar;
mod dataset;
pub mod demo;
mod error;
mod idx;
mod images;
mod load;
mod npy;
mod npy_header;
mod resize;
mod select;

pub use cifar::{CifarKind, parse_cifar};
pub use dataset::{Dataset, Samples};
pub use error::{DataError, ParseError};
pub use idx::{IdxArray, parse_idx};
pub use images::parse_image;
pub use load::{Layout, LoadOptions, Split, Splits, load, load_split};
pub use npy::{NpyArray, NpyData, parse_npy, parse_npz, read_npy, read_npz, write_npy};
