//! What a training run is asked to do.

use std::path::PathBuf;

use dtmm_graph::{Graph, Masks};
use serde::{Deserialize, Serialize};

use crate::{Augmentation, FakeQuant};

/// How weights follow their gradients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum; weight decay is added to the gradient.
    Sgd {
        /// Part of the last step that is kept, for instance 0.9.
        momentum: f32,
        /// Looks one step ahead.
        nesterov: bool,
    },
    /// Adam with decoupled weight decay.
    AdamW {
        /// Decay of the mean gradient, for instance 0.9.
        beta1: f32,
        /// Decay of the mean squared gradient, for instance 0.999.
        beta2: f32,
        /// Added to the root of the mean square.
        epsilon: f32,
    },
}

/// How the learning rate moves from the first step to the last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// The same rate throughout.
    Constant,
    /// Rises linearly over the first part, then falls along a half cosine to `final_fraction`.
    Cosine {
        /// Part of all steps, 0..1, spent rising.
        warmup: f32,
        /// The last rate relative to the highest.
        final_fraction: f32,
    },
    /// Rises along a half cosine from 1/25, then falls along one to 1/10000 of the highest rate.
    OneCycle {
        /// Part of all steps, 0..1, spent rising.
        warmup: f32,
    },
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Loss {
    /// Cross-entropy of the softmax of the logits. When the graph ends with a softmax, its input is trained.
    CrossEntropy {
        /// Part of the target, 0..1, that is spread over all classes.
        label_smoothing: f32,
    },
    /// Mean squared error between the output and the one-hot class.
    MeanSquared,
}

/// Learning from another model's answers on the same augmented batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distillation {
    /// The teacher; its input and its output must have the student's shapes.
    pub teacher: Graph,
    /// Both logits are divided by it before the softmax; 2 to 4 are usual.
    pub temperature: f32,
    /// Weight of the teacher's part, 0..=1; the labels get the rest.
    pub alpha: f32,
}

/// Everything that [`crate::fit`] needs to know besides graph and data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Passes over the training set.
    pub epochs: usize,
    /// Samples per step.
    pub batch: usize,
    /// Highest learning rate.
    pub lr: f32,
    /// Course of the learning rate.
    pub schedule: Schedule,
    /// Update rule.
    pub optimizer: Optimizer,
    /// Decay of weights (not of biases and batch-norm parameters).
    pub weight_decay: f32,
    /// What is minimised.
    pub loss: Loss,
    /// Learning from a teacher.
    pub distillation: Option<Distillation>,
    /// Changes to the training samples.
    pub augmentation: Augmentation,
    /// Weights that are false here are zero before the first step and after every step.
    pub masks: Masks,
    /// Rounds as int8 does, for the last epochs before quantisation.
    pub fake_quant: Option<FakeQuant>,
    /// Seed of sample order and augmentation.
    pub seed: u64,
    /// Threads; 0 takes all cores. The result does not depend on it.
    pub threads: usize,
    /// Written after each epoch; when it exists and belongs to the same run, training goes on from there.
    pub checkpoint: Option<PathBuf>,
    /// Stops after so many epochs without a better validation accuracy.
    pub early_stop: Option<usize>,
    /// The epoch whose graph is returned.
    pub keep: Keep,
}

/// Which of the epochs' graphs a training returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// The one with the best validation accuracy; the last without validation.
    #[default]
    Best,
    /// The last: where the rate runs down to nothing, differences in validation accuracy are mostly chance.
    Last,
}

impl Default for FitOptions {
    /// A run from scratch on small images, as measured on CIFAR-10.
    fn default() -> Self {
        FitOptions {
            epochs: 20,
            batch: 128,
            lr: 0.2,
            schedule: Schedule::OneCycle { warmup: 0.25 },
            optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true },
            weight_decay: 5e-4,
            loss: Loss::CrossEntropy { label_smoothing: 0.05 },
            distillation: None,
            augmentation: Augmentation::images(),
            masks: Masks::new(),
            fake_quant: None,
            seed: 1,
            threads: 0,
            checkpoint: None,
            early_stop: None,
            keep: Keep::default(),
        }
    }
}
