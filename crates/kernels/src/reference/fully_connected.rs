//! FullyConnected.

use super::conv2d::convolve;
use crate::{FullyConnected, KernelError, Linear};

/// Weights OI in any storage form times every row of `x`, `rows` × `input_channels`; `y` is `rows` × O.
///
/// A fully connected layer is a 1 × 1 convolution over its rows, but its sums are rounded once: so do the TFLite
/// reference kernels in this operator alone.
///
/// # Errors
/// When lengths and shapes disagree.
#[inline(never)]
pub fn fully_connected_s8(p: &FullyConnected<'_>, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let finish = |l: &Linear<'_>, o: usize, sum: i32| l.finish_once(o, sum);
    convolve(&p.as_conv2d(), finish, x, y)
}
