//! Estimated cycles of each layer on each core.
//!
//! A kernel's instructions are a sum of a few counts times coefficients ([`Coefficients`]); the coefficients of every core
//! are data ([`CostModel::builtin`]) that a run on an emulator or a board can refit. Each carries the largest relative
//! error it was seen with, and whether it was fitted or estimated.
#![forbid(unsafe_code)]

mod layers;
mod model;

pub use layers::{LayerShape, layer_shapes};
pub use model::{Basis, Coefficients, CoreCosts, CostError, CostModel, Kernel, Work};
