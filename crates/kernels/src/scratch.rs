//! Scratch memory of each kernel in bytes, for the memory planner.
//!
//! Each function returns the most that a kernel of any instruction set needs, so that a package runs on every core.
//! [`crate::needs`] says what one core needs. Scratch memory is aligned to 4.

use crate::cortex_m::{depthwise_scratch_len, dsp::Dsp, pairs::Pairs};
use crate::mve;
use crate::portable::Portable;
use crate::tiled::{Geometry, scratch_len};
use crate::{Shape, Window};

/// Bytes for a convolution. `group` is 0 for dense weights.
pub fn conv2d(input: &Shape, output: &Shape, window: &Window, group: usize) -> usize {
    let g = Geometry::new(input, output, window, false);
    let mve = mve::geometry::conv2d_scratch(input, output, window, group);
    let tiled = scratch_len::<Dsp>(&g, group).max(scratch_len::<Pairs>(&g, group));
    tiled.max(scratch_len::<Portable>(&g, group)).max(mve)
}

/// Bytes for a depthwise convolution.
pub fn depthwise_conv2d(input: &Shape, output: &Shape, window: &Window) -> usize {
    let mve = mve::geometry::depthwise_scratch(output, window);
    if input.c == output.c { mve.max(depthwise_scratch_len(input.c, window)) } else { mve }
}

/// Bytes for a fully connected layer. `group` is 0 for dense weights.
pub fn fully_connected(input: &Shape, group: usize) -> usize {
    let g = Geometry::new(input, input, &Window::POINT, true);
    let cortex_m = scratch_len::<Dsp>(&g, group).max(scratch_len::<Pairs>(&g, group));
    cortex_m.max(scratch_len::<Portable>(&g, group))
}

/// Bytes for a pooling layer.
pub const fn pool(_input: &Shape, _output: &Shape, _window: &Window) -> usize {
    0
}

/// Bytes for a softmax or its logarithm.
pub const fn softmax(_channels: usize) -> usize {
    0
}
