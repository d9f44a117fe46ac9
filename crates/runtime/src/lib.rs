//! Walks a checked package inside the caller's arena.
//!
//! ```
//! # fn run(bytes: &[u8], arena: &mut [i8], sample: &[i8]) -> Result<i8, Box<dyn std::error::Error>> {
//! use dtmm_format::Package;
//! use dtmm_runtime::Runtime;
//!
//! let package = Package::check(bytes)?;
//! let mut runtime = Runtime::new(package, arena)?;
//! runtime.input_mut(0).copy_from_slice(sample);
//! runtime.run()?;
//! let class = (0..).zip(runtime.output(0)).max_by_key(|(_, score)| **score);
//! # Ok(class.map_or(0, |(i, _)| i))
//! # }
//! ```
//!
//! The arena holds activations and scratch; its size is [`Package::arena_bytes`]. An input's memory may be reused
//! while the model runs, so every input is written before every run.
//!
//! [`Package::arena_bytes`]: dtmm_format::Package::arena_bytes
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod convert;
mod error;
mod hook;
mod memory;
mod run;
mod runtime;

pub use error::RunError;
pub use hook::{Hook, NoHook};
pub use runtime::Runtime;
