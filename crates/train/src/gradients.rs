//! Gradients of the loss with respect to the weights, for importance.

use std::collections::BTreeMap;

use dtmm_data::Dataset;
use dtmm_graph::{Graph, Masks, TensorId};

use crate::{
    ExecOptions, Executor, Mode, TrainError,
    batch::{Batches, shuffled},
    loss,
};

/// For each trained tensor one value per element, in the tensor's order.
pub type TensorValues = BTreeMap<TensorId, Vec<f32>>;

/// Which samples gradients are taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientOptions {
    /// Number of batches; fewer where the data set ends.
    pub batches: usize,
    /// Samples per batch; 1 gives each sample's own gradient.
    pub batch: usize,
    /// Seed of the choice of samples.
    pub seed: u64,
    /// Threads; 0 takes all cores. The result does not depend on it.
    pub threads: usize,
    /// Weights that are false here count as zero, and so do their gradients. Empty: the graph as it is.
    pub masks: Masks,
}

impl Default for GradientOptions {
    fn default() -> Self {
        GradientOptions { batches: 16, batch: 64, seed: 1, threads: 0, masks: Masks::new() }
    }
}

/// The mean over batches of the gradient of the cross-entropy, with batch normalisation as in inference.
///
/// # Errors
/// The graph cannot be run, or data or masks do not fit it.
pub fn mean_gradients(
    graph: &Graph,
    data: &Dataset,
    options: &GradientOptions,
) -> Result<TensorValues, TrainError> {
    average(graph, data, options, |g| g)
}

/// The mean over batches of the squared gradient: with a batch of 1 the diagonal of the empirical Fisher information.
///
/// # Errors
/// As [`mean_gradients`].
pub fn mean_squared_gradients(
    graph: &Graph,
    data: &Dataset,
    options: &GradientOptions,
) -> Result<TensorValues, TrainError> {
    average(graph, data, options, |g| g * g)
}

fn average(
    graph: &Graph,
    data: &Dataset,
    options: &GradientOptions,
    f: impl Fn(f32) -> f32,
) -> Result<TensorValues, TrainError> {
    let mut sums: BTreeMap<TensorId, Vec<f64>> = BTreeMap::new();
    let count = each_gradient(graph, data, options, |gradients| {
        for (&t, gradient) in gradients {
            let sum = sums.entry(t).or_insert_with(|| vec![0.0; gradient.len()]);
            sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += f64::from(f(*g)));
        }
    })?;
    let mean = |sum: Vec<f64>| sum.into_iter().map(|s| (s / count as f64) as f32).collect();
    Ok(sums.into_iter().map(|(t, sum)| (t, mean(sum))).collect())
}

/// Calls `visit` with the gradients of each batch, in a fixed order; returns the number of batches. For importance
/// that is not linear in the gradient, such as the square of a unit's sum.
///
/// # Errors
/// As [`mean_gradients`].
pub fn each_gradient(
    graph: &Graph,
    data: &Dataset,
    options: &GradientOptions,
    mut visit: impl FnMut(&TensorValues),
) -> Result<usize, TrainError> {
    let graph = &masked(graph, &options.masks)?;
    let mut executor = Executor::new(graph, ExecOptions { threads: options.threads, keep_all: false })?;
    let batches = Batches::new(graph, data, executor.classes())?;
    let (pool, target) = (executor.pool(), executor.logits_tensor());
    let parameters = executor.parameters();
    let order = shuffled(batches.len(), options.seed, 0);
    let (mut x, mut count) = (vec![], 0);
    for indices in order.chunks(options.batch.max(1)).take(options.batches) {
        if count > 0 && indices.len() < options.batch {
            break;
        }
        pool.install(|| batches.fill(indices, None, &mut x));
        executor.forward(indices.len(), &[&x], Mode::Inference)?;
        let mut gradient = vec![0.0; executor.logits().len()];
        loss::cross_entropy(executor.logits(), &batches.labels(indices), 0.0, 1.0, &mut gradient);
        executor.backward(target, &gradient)?;
        let of = |&t: &TensorId| executor.gradient(t).map(|g| (t, zeroed(g, options.masks.get(&t))));
        visit(&parameters.iter().filter_map(of).collect());
        count += 1;
    }
    Ok(count)
}

fn zeroed(mut values: Vec<f32>, mask: Option<&Vec<bool>>) -> Vec<f32> {
    if let Some(mask) = mask {
        values.iter_mut().zip(mask).filter(|(_, keep)| !**keep).for_each(|(v, _)| *v = 0.0);
    }
    values
}

/// The graph with masked weights set to zero.
fn masked(graph: &Graph, masks: &Masks) -> Result<Graph, TrainError> {
    let mut graph = graph.clone();
    for (&t, mask) in masks {
        let data = graph.tensors.get_mut(t.index()).and_then(|t| t.f32_data_mut());
        match data {
            Some(data) if data.len() == mask.len() => {
                *data = zeroed(std::mem::take(data), Some(mask));
            }
            found => {
                return Err(TrainError::Size {
                    what: format!("mask of tensor {}", t.0),
                    expected: found
                        .map_or("no mask, it is no float constant".into(), |d| d.len().to_string()),
                    found: mask.len().to_string(),
                });
            }
        }
    }
    Ok(graph)
}
