//! Int8 kernels.
//!
//! [`mod@reference`] holds one naive kernel per operator, written from the TFLite int8 specification: the oracle for every
//! faster kernel. Kernels of one instruction set go into a module of its name beside it; [`active`] is the set for the
//! core that the crate is compiled for. Names follow `<op>_<activations>_<weights>[_<variant>]`.
//!
//! Activations are int8 NHWC with N = 1, so a shape is (h, w, c). Arrays of numbers that come from a package are
//! little-endian byte arrays (`[u8; 4]`), so that a kernel can read them in place.
//!
//! Kernels use no float, no heap and no recursion. They check every length up front or as they go and return
//! [`KernelError`] instead of panicking.
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod active;
pub mod cortex_m;
pub mod fixed_point;
pub mod fwcs;
pub mod mve;
pub mod needs;
mod params;
pub mod portable;
pub mod reference;
pub mod requantize;
pub mod scratch;
pub mod table;
mod tiled;

pub use params::{
    Axes, Clamp, Conv2d, Elementwise, KernelError, Linear, LogSoftmax, Mean, Operand, Pool, Rescale, Shape,
    Softmax, Weights, Window,
};
