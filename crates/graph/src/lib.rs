//! The intermediate representation that every stage shares.
//!
//! One IR serves float and int8: a tensor has an element type and optional quantisation parameters, as in TFLite.
//!
//! Layout conventions, the same for every stage:
//! - Activations are **always rank 4, NHWC**, with N = 1 standing for the batch. `[N, F]` features are `[1, 1, 1, F]`,
//!   `[N, L, C]` sequences are `[1, 1, L, C]`. What the source model called its input and output is kept in [`Port`].
//! - Conv filters are OHWI, depthwise filters 1HWO (output channel `o` reads input channel `o / multiplier`), fully
//!   connected weights OI, biases `[O]`, batch-norm parameters `[C]`.
//! - A constant operand of Add, Sub or Mul is rank 4 and broadcasts to the other operand.
#![forbid(unsafe_code)]

mod builder;
mod graph;
mod op;
pub mod reference;
mod shape;
mod tensor;
pub mod transform;
mod verify;

pub use builder::GraphBuilder;
pub use graph::{Graph, Masks, Node, NodeId, Port, Preprocessing};
pub use op::{Activation, Op, Padding, Window};
pub use shape::{ShapeError, infer_shape};
pub use tensor::{Data, ElementType, QuantParams, Tensor, TensorId};
pub use verify::VerifyError;
