//! Removal of nodes whose results nobody uses.

use crate::Graph;

/// Removes every node that no model output depends on.
pub fn remove_dead_nodes(graph: &mut Graph) {
    let mut live = vec![false; graph.tensors.len()];
    graph.outputs.iter().for_each(|p| live[p.tensor.index()] = true);
    let mut keep = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        keep[i] = live[node.output.index()];
        if keep[i] {
            node.inputs.iter().for_each(|t| live[t.index()] = true);
        }
    }
    let mut keep = keep.into_iter();
    graph.nodes.retain(|_| keep.next().unwrap_or(true));
}
