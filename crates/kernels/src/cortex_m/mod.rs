//! Kernels of the Cortex-M classes without vector unit.
//!
//! - [`dsp`]: Armv7E-M and Armv8-M with the DSP extension (M4, M7, M33).
//! - [`pairs`]: Armv6-M (M0, M0+) and Armv7-M (M3).
//! - [`elementwise`] and [`pool`]: all of them.
//!
//! Row buffers and decoding are the same code on every target. Only the innermost sums are written in assembler; where
//! the processor lacks the instructions, plain Rust does the same arithmetic on the same layout, so that hosts test it.

mod cells;
mod depthwise;
pub mod dsp;
pub mod elementwise;
pub mod pairs;
pub mod pool;

pub(crate) use depthwise::scratch_len as depthwise_scratch_len;
