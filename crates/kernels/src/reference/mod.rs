//! Naive kernels from the TFLite int8 specification: the oracle for all others.

mod activation;
mod concat;
mod conv2d;
mod depthwise;
mod elementwise;
mod fully_connected;
mod mean;
mod movement;
mod pool;
mod softmax;

pub use activation::{lut_s8, requantize_s8, reshape_s8};
pub use concat::concat_s8;
pub use conv2d::conv2d_s8;
pub use depthwise::depthwise_conv2d_s8;
pub use elementwise::{add_s8, mul_s8, sub_s8};
pub use fully_connected::fully_connected_s8;
pub use mean::mean_s8;
pub use movement::{pad_s8, resize_nearest_s8, slice_s8, transpose_s8};
pub use pool::{average_pool_s8, max_pool_s8};
pub(crate) use pool::{covered, rounded_quotient};
pub use softmax::{log_softmax_s8, softmax_s8};

use crate::{KernelError, Shape};

/// An activation has as many elements as its shape says.
#[inline(never)]
fn check_len(x: &[i8], shape: &Shape) -> Result<(), KernelError> {
    if x.len() == shape.elements() && !x.is_empty() { Ok(()) } else { Err(KernelError::ActivationLength) }
}

/// `acc + sum of x * w`, wrapping.
fn dot(x: &[i8], w: &[i8], acc: i32) -> i32 {
    let products = x.iter().zip(w).map(|(x, w)| i32::from(*x) * i32::from(*w));
    products.fold(acc, i32::wrapping_add)
}

/// `acc + x * sum of w`, wrapping: what padded pixels of value `x` add.
fn dot_constant(x: i8, w: &[i8], acc: i32) -> i32 {
    let sum = w.iter().fold(0i32, |sum, w| sum.wrapping_add(i32::from(*w)));
    acc.wrapping_add(i32::from(x).wrapping_mul(sum))
}
