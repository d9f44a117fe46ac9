//! FullyConnected.

use super::conv2d::convolve;
use crate::{Conv2d, KernelError, Linear};

/// Weights OI in any storage form times the channels of each pixel of `x`.
///
/// A fully connected layer is a convolution with a window of one pixel, [`crate::Window::POINT`], but its sums are
/// rounded once: so do the TFLite reference kernels in this operator alone.
///
/// # Errors
/// When lengths and shapes disagree.
#[inline(never)]
pub fn fully_connected_s8(p: &Conv2d<'_>, x: &[i8], y: &mut [i8]) -> Result<(), KernelError> {
    let finish = |l: &Linear<'_>, o: usize, sum: i32| l.finish_once(o, sum);
    convolve(p, finish, x, y)
}
