//! Byte layout of the DTMM package and checked views of it.
//!
//! A package is one contiguous little-endian blob that runs in place from flash: nothing is copied or decoded before
//! inference. [`Package::check`] validates it once; after that no accessor can fail or read outside the blob.
//! Writing needs no heap either ([`Params::emit`], [`Tensor::emit`], [`Layer::emit`]); the feature `alloc` adds
//! `Writer`, which assembles a whole package.
//!
//! # Conventions
//! - All numbers are little-endian. *Offset* means bytes from the start of the blob, unless it says *arena*.
//! - Activations are int8 NHWC with N = 1 left out, so a shape is (h, w, c). Filters are OHWI, depthwise filters 1HWO,
//!   fully connected weights OI.
//! - The blob starts at an address that is a multiple of 16; its length is a multiple of 16. Every record and every
//!   array of 32-bit numbers, and the weights of every layer, start at a multiple of 4 from there.
//! - Reserved bytes and padding are 0.
//!
//! # Blob
//! | part | length | specified in |
//! |---|---|---|
//! | header | 64 | [`header`] |
//! | tensor table | 20 each | [`tensor`] |
//! | layer table | 20 each | [`layer`] |
//! | port table: the inputs' tensor indexes, then the outputs' (u16 each) | 2 each, to a multiple of 4 | here |
//! | parameter records, one per layer that has one | varies | [`params`], [`window`], [`linear`], [`fwcs`] |
//! | data of constant tensors | one byte per element, each to a multiple of 4 | [`tensor`] |
//! | optional: preprocessing, port descriptions, names | varies | [`preprocessing`], [`ports`], [`names`] |
//! | padding to a multiple of 16 | 0..=15 | |
//!
//! Readers find every part by its offset and do not depend on this order. The last three are for host tools; the
//! device never reads them at inference.
//!
//! # Arithmetic
//! The numbers mean what the TFLite int8 reference kernels compute, rounding included: double rounding,
//! `RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(x << max(shift, 0), multiplier), max(-shift, 0))`.
//! FullyConnected alone rounds its sums once, to nearest, ties away from zero.
//! A bias has the input's zero point folded in, `bias' = bias - zero_point * sum(weights)` in wrapping i32, so that a
//! kernel sums `x * w` over raw int8 values and treats a padded pixel as `x = zero_point`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod bytes;
mod check;
mod error;
pub mod fwcs;
pub mod header;
pub mod layer;
pub mod linear;
pub mod names;
mod package;
pub mod params;
pub mod ports;
pub mod preprocessing;
mod scaling;
pub mod size;
pub mod tensor;
pub mod window;
#[cfg(feature = "alloc")]
mod writer;

pub use error::{BufferTooSmall, FormatError, Rule};
pub use header::Header;
pub use layer::{Layer, Opcode, Record, Scratch, Storage};
pub use linear::{Linear, Weights};
pub use package::Package;
pub use params::Params;
pub use ports::{PortElement, PortInfo};
pub use preprocessing::Preprocessing;
pub use scaling::{Clamp, Elementwise, Rescale};
pub use tensor::{Place, Shape, Tensor};
pub use window::Window;
#[cfg(feature = "alloc")]
pub use writer::{WriteError, Writer, le16, le32};

/// The format version that this crate reads and writes.
pub const VERSION: u16 = 1;
/// Alignment of the blob in memory and of its length, in bytes.
pub const ALIGNMENT: usize = 16;
/// The tensor index that means "no tensor".
pub const NO_TENSOR: u16 = u16::MAX;
/// Blob and arena stay below this many bytes, so that sizes fit a 32-bit target.
pub const MAX_BYTES: usize = i32::MAX as usize;
