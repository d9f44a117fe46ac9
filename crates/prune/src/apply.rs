//! Carrying a plan out on the graph.

use dtmm_graph::{Graph, Masks};
use thiserror::Error;

use crate::PrunePlan;

/// Why a plan does not fit a graph.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ApplyError {
    /// A mask belongs to a tensor that is not there, is not a float constant, or has another size.
    #[error(
        "mask of tensor {tensor}: {found} values, but the graph has {expected} float weights there; the plan belongs to another graph"
    )]
    Mask {
        /// Tensor index.
        tensor: u32,
        /// Weights in the graph (0: no float constant).
        expected: usize,
        /// Mask values.
        found: usize,
    },
}

/// Zeroes the pruned weights and returns the graph with the masks that fine-tuning has to hold.
///
/// # Errors
/// [`ApplyError`] when the plan was made for another graph.
pub fn apply(mut graph: Graph, plan: &PrunePlan) -> Result<(Graph, Masks), ApplyError> {
    check(&graph, &plan.masks)?;
    for (&tensor, mask) in &plan.masks {
        if let Some(weights) = graph.tensor_mut(tensor).f32_data_mut() {
            weights.iter_mut().zip(mask).filter(|(_, kept)| !**kept).for_each(|(w, _)| *w = 0.0);
        }
    }
    Ok((graph, plan.masks.clone()))
}

fn check(graph: &Graph, masks: &Masks) -> Result<(), ApplyError> {
    for (tensor, mask) in masks {
        let weights = graph.tensors.get(tensor.index()).and_then(|t| t.f32_data());
        let expected = weights.map_or(0, <[f32]>::len);
        if expected != mask.len() {
            return Err(ApplyError::Mask { tensor: tensor.0, expected, found: mask.len() });
        }
    }
    Ok(())
}
