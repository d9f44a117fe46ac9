//! Forward and backward passes, optimisers and masked fine-tuning, directly on the graph.
//!
//! - [`Executor`] runs a float graph on batches, forward and backward.
//! - [`fit`] trains a graph: augmentation, optimiser, masks, distillation, checkpoints.
//! - [`arch`] builds the architectures that can be trained from scratch.
//!
//! Everything is reproducible bit for bit, whatever the number of threads: a batch is cut into a number of groups that
//! depends on the batch size alone, each group is summed in order, and the groups' sums are added in order.
#![deny(unsafe_code)]

pub mod arch;
mod augment;
mod batch;
mod checkpoint;
mod error;
mod exec;
mod fake_quant;
mod fit;
mod gemm;
mod gradients;
mod groups;
mod loss;
mod ops;
mod optimizer;
mod options;
mod schedule;
mod simd;

pub use augment::Augmentation;
pub use error::TrainError;
pub use exec::{ExecOptions, Executor, Mode};
pub use fake_quant::FakeQuant;
pub use fit::{EpochRecord, Evaluation, Fitted, Observer, Progress, evaluate, fit};
pub use gradients::{GradientOptions, TensorValues, each_gradient, mean_gradients, mean_squared_gradients};
pub use options::{Distillation, FitOptions, Keep, Loss, Optimizer, Schedule};
