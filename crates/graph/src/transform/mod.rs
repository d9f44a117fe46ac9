//! Rewrites that keep what a graph computes: batch-norm folding, activation fusion, removal of identities and dead nodes.
//!
//! All of them keep tensor ids, so masks and calibration ranges keyed by [`crate::TensorId`] stay valid; call
//! [`Graph::drop_unused_tensors`] afterwards where the leftovers matter.

mod batch_norm;
mod dead;
mod fuse;
mod identity;
mod padding;
#[cfg(test)]
mod tests;
mod unfold;

pub use batch_norm::fold_batch_norm;
pub use dead::remove_dead_nodes;
pub use fuse::fuse_activations;
pub use identity::eliminate_identities;
pub use padding::fuse_padding;
pub use unfold::{set_batch_norm, unfold_batch_norm};

use crate::{ElementType, Graph, NodeId, TensorId};

/// The float graph as inference wants it: identities and dead nodes removed, batch norms folded, activations fused.
pub fn for_inference(graph: &mut Graph) {
    eliminate_identities(graph);
    fold_batch_norm(graph);
    fuse_activations(graph);
    remove_dead_nodes(graph);
}

fn is_float(graph: &Graph, id: TensorId) -> bool {
    graph.tensor(id).element_type == ElementType::F32
}

/// The node that computes `id` when `id` has no other reader than one node and is no model output.
fn sole_producer(graph: &Graph, id: TensorId) -> Option<NodeId> {
    let readers = graph.nodes.iter().flat_map(|n| &n.inputs).filter(|&&t| t == id).count();
    let is_output = graph.outputs.iter().any(|p| p.tensor == id);
    if readers != 1 || is_output {
        return None;
    }
    graph.nodes.iter().position(|n| n.output == id)
}

/// Lets every reader of `from`, nodes and model outputs, read `to`.
fn redirect(graph: &mut Graph, from: TensorId, to: TensorId) {
    let inputs = graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut());
    let outputs = graph.outputs.iter_mut().map(|p| &mut p.tensor);
    inputs.chain(outputs).filter(|t| **t == from).for_each(|t| *t = to);
}
