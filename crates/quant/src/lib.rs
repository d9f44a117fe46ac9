//! Calibration and post-training int8 quantisation with TFLite's semantics, and the way back to float.
//!
//! An [`Observer`] collects activation histograms from whatever executor runs the float graph; [`Observer::ranges`]
//! turns them into [`Ranges`]; [`quantize`] gives the int8 graph. [`dequantize`] turns an int8 graph into float.
#![forbid(unsafe_code)]

mod dequantize;
mod edges;
mod error;
mod groups;
mod histogram;
mod observer;
mod params;
mod quantize;
mod ranges;
mod weights;

pub use dequantize::dequantize;
pub use edges::absorb_float_edges;
pub use error::QuantError;
pub use observer::Observer;
pub use params::{activation_params, fixed_output_params, quantize_multiplier, quantize_value};
pub use quantize::{QuantOptions, quantize};
pub use ranges::{Clipping, Range, Ranges};
pub use weights::weight_scales;
