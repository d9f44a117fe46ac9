//! Estimated instructions and cycles of each layer on each core.
//!
//! A kernel's instructions are a sum of counts of what its loops do ([`Work`]) times numbers ([`Coefficients`]). The
//! counts follow from a layer's shape and from which weights are stored ([`Layer::work`]); the numbers of every core are
//! data ([`CostModel::builtin`]) that a run on an emulator or a board can fit again ([`fit()`]). Each kernel's numbers carry
//! the error that they were seen with on layers of other shapes, and whether they were fitted or estimated.
#![forbid(unsafe_code)]

mod depthwise;
mod division;
mod fit;
mod layer;
mod layers;
mod model;
mod package;
mod plain;
mod scalar;
mod scratch;
mod stored;
mod turn;
mod vector;
mod work;

pub use fit::{Fit, Sample, fit};
pub use layer::{Layer, Window};
pub use layers::{LayerShape, layer_shapes};
pub use model::{Basis, Coefficients, CoreCosts, CostError, CostModel, FitRecord, Kernel};
pub use package::{package_layer, package_work};
pub use stored::{Form, Stored, Stretches};
pub use work::{Feature, View, Work};
