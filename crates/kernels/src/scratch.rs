//! Scratch memory of each kernel in bytes, for the memory planner.
//!
//! The reference kernels need none. A planner asks here all the same, so that a package planned for faster kernels
//! has room for theirs.

use crate::{Shape, Window};

/// Bytes for a convolution. `group` is 0 for dense weights.
pub const fn conv2d(_input: &Shape, _output: &Shape, _window: &Window, _group: usize) -> usize {
    0
}

/// Bytes for a depthwise convolution.
pub const fn depthwise_conv2d(_input: &Shape, _output: &Shape, _window: &Window) -> usize {
    0
}

/// Bytes for a fully connected layer. `group` is 0 for dense weights.
pub const fn fully_connected(_input_channels: usize, _output_channels: usize, _group: usize) -> usize {
    0
}

/// Bytes for a pooling layer.
pub const fn pool(_input: &Shape, _output: &Shape, _window: &Window) -> usize {
    0
}

/// Bytes for a softmax or its logarithm.
pub const fn softmax(_channels: usize) -> usize {
    0
}
