//! Kernels for MVE (Helium): Cortex-M52, M55 and M85.
//!
//! Each has the result, bit for bit, of its counterpart in [`crate::reference`], which also runs in its place where a
//! kernel has no fast form or is given less scratch memory than [`geometry`] says. Steps of a kernel that follow one
//! another are not inlined, so that their stack frames take the same memory one after the other.

#![cfg_attr(dtmm_isa = "mve", allow(unsafe_code))]

pub mod geometry;

#[cfg(dtmm_isa = "mve")]
mod activation;
#[cfg(dtmm_isa = "mve")]
mod conv2d;
#[cfg(dtmm_isa = "mve")]
mod depthwise;
#[cfg(dtmm_isa = "mve")]
mod elementwise;
#[cfg(dtmm_isa = "mve")]
mod fully_connected;
#[cfg(dtmm_isa = "mve")]
mod memory;
#[cfg(dtmm_isa = "mve")]
mod pool;
#[cfg(dtmm_isa = "mve")]
mod runs;
#[cfg(dtmm_isa = "mve")]
mod single;
#[cfg(dtmm_isa = "mve")]
mod table;
#[cfg(dtmm_isa = "mve")]
mod turn;
#[cfg(dtmm_isa = "mve")]
mod words;

#[cfg(dtmm_isa = "mve")]
pub use activation::lut_s8;
#[cfg(dtmm_isa = "mve")]
pub use conv2d::conv2d_s8;
#[cfg(dtmm_isa = "mve")]
pub use depthwise::depthwise_conv2d_s8;
#[cfg(dtmm_isa = "mve")]
pub use elementwise::{add_s8, mul_s8, requantize_s8, sub_s8};
#[cfg(dtmm_isa = "mve")]
pub use fully_connected::fully_connected_s8;
#[cfg(dtmm_isa = "mve")]
pub use pool::{average_pool_s8, max_pool_s8, mean_s8};
