//! Carrying a plan out on the graph: weights become zeros, dead channels leave.
//!
//! A channel can leave without changing any output when every column that reads it is zero, or when its value is a
//! constant that moves into the readers' biases exactly. Padding breaks the second: the border of a padded convolution
//! sees zeros instead of the constant. Such a channel stays, unless the plan itself asked for its removal.

use dtmm_graph::{Graph, Masks, NodeId, Op, Padding, TensorId, VerifyError};
use thiserror::Error;

use crate::PrunePlan;
use crate::channels::ChannelMap;
use crate::compact::{gather, keep_some, remove_groups, whole_blocks};
use crate::constants::constant_channels;
use crate::storage::weight_bytes;

/// Why a plan does not fit a graph.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ApplyError {
    /// A mask belongs to a tensor that is not there, is not a float constant, or has another size.
    #[error(
        "mask of tensor {tensor}: {found} values, but the graph has {expected} float weights there; the plan belongs \
         to another graph"
    )]
    Mask {
        /// Tensor index.
        tensor: u32,
        /// Weights in the graph (0: no float constant).
        expected: usize,
        /// Mask values.
        found: usize,
    },
    /// A filter to remove is not there or tied to a model input or output.
    #[error("filter {filter} of tensor {tensor} cannot be removed; the plan belongs to another graph")]
    Filter {
        /// Tensor index.
        tensor: u32,
        /// Filter index.
        filter: usize,
    },
    /// The smaller graph breaks a rule.
    #[error("after the removal of dead channels: {0}")]
    Verify(#[from] VerifyError),
}

/// Zeroes the pruned weights, removes the plan's filters and all channels that no output depends on, and returns the
/// smaller graph with the masks that fine-tuning has to hold. Tensor ids stay; new biases are appended. Channels that
/// the plan does not name stay as zeros where their removal would misalign the groups of the rest and cost more bytes
/// than it saves.
///
/// The outputs equal those of the masked graph, except where the plan removes a filter whose constant cannot be folded
/// exactly: then the constant is folded as the interior of the image sees it.
///
/// # Errors
/// [`ApplyError`] when the plan was made for another graph.
pub fn apply(mut graph: Graph, plan: &PrunePlan) -> Result<(Graph, Masks), ApplyError> {
    check(&graph, &plan.masks)?;
    let mut masks = plan.masks.clone();
    for (&tensor, mask) in &masks {
        if let Some(weights) = graph.tensor_mut(tensor).f32_data_mut() {
            weights.iter_mut().zip(mask).filter(|(_, kept)| !**kept).for_each(|(w, _)| *w = 0.0);
        }
    }
    if !plan.removed.is_empty() {
        let map = ChannelMap::new(&graph);
        let dead = planned(&map, plan)?;
        take_out(&mut graph, &mut masks, &map, &dead)?;
    }
    let mut bytes = weight_bytes(&graph, &masks);
    loop {
        let map = ChannelMap::new(&graph);
        let dead = removable(&graph, &map);
        if !dead.contains(&true) {
            break;
        }
        let (mut smaller, mut smaller_masks) = (graph.clone(), masks.clone());
        take_out(&mut smaller, &mut smaller_masks, &map, &dead)?;
        // Without a channel the next ones move into other groups, which can split runs that were stored as one.
        let after = weight_bytes(&smaller, &smaller_masks);
        if after > bytes {
            break;
        }
        (graph, masks, bytes) = (smaller, smaller_masks, after);
    }
    masks.retain(|_, mask| mask.contains(&false));
    Ok((graph, masks))
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

fn planned(map: &ChannelMap, plan: &PrunePlan) -> Result<Vec<bool>, ApplyError> {
    let mut dead = vec![false; map.groups.len()];
    for (&tensor, filters) in &plan.removed {
        for &filter in filters {
            let group = map.group_of_filter(tensor, filter).filter(|&g| !map.groups[g].pinned);
            dead[group.ok_or(ApplyError::Filter { tensor: tensor.0, filter })?] = true;
        }
    }
    keep_some(map, &mut dead, |_, _| 1, |_| 0.0);
    Ok(dead)
}

fn take_out(graph: &mut Graph, masks: &mut Masks, map: &ChannelMap, dead: &[bool]) -> Result<(), ApplyError> {
    fold_constants(graph, map, dead);
    // Folding may have added biases, which shrink as well; groups are numbered by activations and stay the same.
    let map = ChannelMap::new(graph);
    for (tensor, from) in remove_groups(graph, &map, dead)? {
        if let Some(mask) = masks.get_mut(&tensor) {
            *mask = gather(mask, &from);
        }
    }
    Ok(())
}

/// Conv2D and FullyConnected nodes with constant weights: node, weights, and whether padding can be seen.
fn readers(graph: &Graph) -> impl Iterator<Item = (NodeId, TensorId, bool)> {
    graph.nodes.iter().enumerate().filter_map(|(i, node)| {
        let padded = match &node.op {
            Op::Conv2d { window, .. } => window.padding != Padding::default(),
            Op::FullyConnected { .. } => false,
            _ => return None,
        };
        graph.tensor(node.inputs[1]).f32_data().map(|_| (i, node.inputs[1], padded))
    })
}

/// The groups whose removal changes no output.
fn removable(graph: &Graph, map: &ChannelMap) -> Vec<bool> {
    let mut dead: Vec<bool> = map.groups.iter().map(|g| !g.pinned).collect();
    let constants = constant_channels(graph);
    for (node, weights, padded) in readers(graph) {
        let input = graph.nodes[node].inputs[0].index();
        let shared = is_shared(graph, node);
        let used = used_columns(graph, weights, map.activations[input].len());
        for ((&group, value), used) in map.activations[input].iter().zip(&constants[input]).zip(used) {
            let folds = value.is_some_and(|v| v == 0.0 || !padded && !shared);
            dead[group as usize] &= !used || folds;
        }
    }
    keep_some(map, &mut dead, whole_blocks, |_| 0.0);
    dead
}

/// True when the node's weights or bias serve another node as well: a constant must not be folded into them.
fn is_shared(graph: &Graph, node: NodeId) -> bool {
    let uses = |t: &TensorId| graph.nodes.iter().flat_map(|n| &n.inputs).filter(|i| *i == t).count();
    graph.nodes[node].inputs[1..].iter().any(|t| uses(t) > 1)
}

fn used_columns(graph: &Graph, weights: TensorId, columns: usize) -> Vec<bool> {
    let mut used = vec![false; columns];
    for row in graph.tensor(weights).f32_data().unwrap_or_default().chunks(columns.max(1)) {
        used.iter_mut().zip(row).for_each(|(u, w)| *u |= *w != 0.0);
    }
    used
}

/// Moves what dead channels contribute into the biases of their readers, as pixels away from the border see it.
fn fold_constants(graph: &mut Graph, map: &ChannelMap, dead: &[bool]) {
    let constants = constant_channels(graph);
    for (node, weights, _) in readers(graph).collect::<Vec<_>>() {
        let input = graph.nodes[node].inputs[0].index();
        let groups = map.activations[input].iter().zip(&constants[input]);
        let values: Vec<f32> =
            groups.map(|(&g, v)| v.filter(|v| dead[g as usize] && v.is_finite()).unwrap_or(0.0)).collect();
        if values.iter().any(|v| *v != 0.0) && !is_shared(graph, node) {
            add_to_bias(graph, node, &contributions(graph, weights, &values));
        }
    }
}

/// For each filter the sum of its weights times the value of their column.
fn contributions(graph: &Graph, weights: TensorId, values: &[f32]) -> Vec<f32> {
    let tensor = graph.tensor(weights);
    let data = tensor.f32_data().unwrap_or_default();
    let filter = |weights: &[f32]| {
        let terms = weights.iter().zip(values.iter().cycle()).filter(|(_, v)| **v != 0.0);
        terms.map(|(w, v)| f64::from(*w) * f64::from(*v)).sum::<f64>() as f32
    };
    data.chunks(data.len().checked_div(tensor.shape[0]).unwrap_or(1).max(1)).map(filter).collect()
}

fn add_to_bias(graph: &mut Graph, node: NodeId, values: &[f32]) {
    if let Some(&bias) = graph.nodes[node].inputs.get(2) {
        let own = graph.tensor_mut(bias).f32_data_mut();
        own.into_iter().for_each(|own| own.iter_mut().zip(values).for_each(|(b, v)| *b += v));
        return;
    }
    let name = format!("{}/bias", graph.nodes[node].name);
    let bias = graph.add_f32(name, vec![values.len()], values.to_vec());
    graph.nodes[node].inputs.push(bias);
}
