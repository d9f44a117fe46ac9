//! The fastest kernels of the core that the crate is compiled for; on hosts the portable ones.
//!
//! `build.rs` sets the cfg `dtmm_isa`. A kernel that needs scratch memory takes it as a slice of any length and returns
//! [`KernelError::Scratch`] when the slice is shorter than [`crate::needs`] says, or not aligned
//! to 4. Only on hosts, where code size does not matter, does the reference kernel, which needs none, run instead. The
//! results are the same, bit for bit.
//!
//! Each instruction set's module has functions of the names and signatures below.

use crate::{Conv2d, KernelError, reference};

#[cfg(any(dtmm_isa = "dsp", dtmm_isa = "v7m", dtmm_isa = "v6m"))]
pub use crate::cortex_m::{
    elementwise::{add_s8, mul_s8, requantize_s8, sub_s8},
    pool::{average_pool_s8, max_pool_s8},
};
#[cfg(dtmm_isa = "mve")]
pub use crate::mve::{add_s8, average_pool_s8, lut_s8, max_pool_s8, mean_s8, mul_s8, requantize_s8, sub_s8};
#[cfg(dtmm_isa = "portable")]
pub use crate::reference::{add_s8, average_pool_s8, max_pool_s8, mul_s8, requantize_s8, sub_s8};
pub use crate::reference::{
    concat_s8, log_softmax_s8, pad_s8, reshape_s8, resize_nearest_s8, slice_s8, softmax_s8, transpose_s8,
};
#[cfg(not(dtmm_isa = "mve"))]
pub use crate::reference::{lut_s8, mean_s8};

#[cfg(dtmm_isa = "dsp")]
use crate::cortex_m::dsp as fast;
#[cfg(any(dtmm_isa = "v6m", dtmm_isa = "v7m"))]
use crate::cortex_m::pairs as fast;
#[cfg(dtmm_isa = "mve")]
use crate::mve as fast;
#[cfg(dtmm_isa = "portable")]
use crate::portable as fast;

/// Whether the reference kernels run where scratch memory is missing.
const FALLS_BACK: bool = cfg!(dtmm_isa = "portable");

/// As [`crate::reference::conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, or the scratch memory is too short or not aligned.
#[cfg_attr(dtmm_isa = "mve", inline(never))]
pub fn conv2d_s8(p: &Conv2d<'_>, scratch: &mut [i8], x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    match fast::conv2d_s8(p, scratch, x, y) {
        Err(KernelError::Scratch) if FALLS_BACK => reference::conv2d_s8(p, x, y),
        done => done,
    }
}

/// As [`crate::reference::depthwise_conv2d_s8`].
///
/// # Errors
/// When lengths and shapes disagree, the weights are not dense, or the scratch memory is too short or not aligned.
#[cfg_attr(dtmm_isa = "mve", inline(never))]
pub fn depthwise_conv2d_s8(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    match fast::depthwise_conv2d_s8(p, scratch, x, y) {
        // No core's kernel takes all numbers of filters for each channel.
        Err(KernelError::Scratch) if FALLS_BACK || crate::needs::depthwise_conv2d(p) == 0 => {
            reference::depthwise_conv2d_s8(p, x, y)
        }
        done => done,
    }
}

/// As [`crate::reference::fully_connected_s8`].
///
/// # Errors
/// When lengths and shapes disagree, or the scratch memory is too short or not aligned.
#[cfg_attr(dtmm_isa = "mve", inline(never))]
pub fn fully_connected_s8(
    p: &Conv2d<'_>,
    scratch: &mut [i8],
    x: &[i8],
    y: &mut [i8],
) -> Result<(), KernelError> {
    match fast::fully_connected_s8(p, scratch, x, y) {
        Err(KernelError::Scratch) if FALLS_BACK => reference::fully_connected_s8(p, x, y),
        done => done,
    }
}
