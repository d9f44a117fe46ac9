//! Kernels for MVE (Helium): Cortex-M52, M55 and M85.
//!
//! Each has the result, bit for bit, of its counterpart in [`crate::reference`], which also runs in its place where a
//! kernel has no fast form or is given less scratch memory than [`geometry`] says.

#![cfg_attr(dtmm_isa = "mve", allow(unsafe_code))]

pub mod geometry;

#[cfg(dtmm_isa = "mve")]
mod conv2d;
#[cfg(dtmm_isa = "mve")]
mod index;
#[cfg(dtmm_isa = "mve")]
mod memory;
#[cfg(dtmm_isa = "mve")]
mod runs;
#[cfg(dtmm_isa = "mve")]
mod table;
#[cfg(dtmm_isa = "mve")]
mod words;

#[cfg(dtmm_isa = "mve")]
pub use crate::portable::fully_connected_s8;
#[cfg(dtmm_isa = "mve")]
pub use conv2d::conv2d_s8;
