//! Takes channel groups out of a graph.

use std::collections::BTreeMap;

use dtmm_graph::{Data, Graph, Op, TensorId, VerifyError, infer_shape};

use crate::channels::ChannelMap;

/// For each constant that shrinks: its shape before and, for each element that stays, the old element index.
pub(crate) type Moves = BTreeMap<TensorId, Vec<u32>>;

/// Removes every group with `dead[group]` from the graph: slices of constants, attributes and shapes.
///
/// Returns where the remaining elements of each changed constant came from. The caller makes sure that no tensor loses
/// all its channels; see [`keep_some`].
pub(crate) fn remove_groups(
    graph: &mut Graph,
    map: &ChannelMap,
    dead: &[bool],
) -> Result<Moves, VerifyError> {
    let moves = moves(graph, map, dead);
    for (&tensor, from) in &moves {
        let shape = shrunk_shape(graph, map, dead, tensor);
        let t = graph.tensor_mut(tensor);
        if let Some(Data::F32(values)) = &mut t.data {
            *values = gather(values, from);
        }
        t.shape = shape;
    }
    for i in 0..graph.nodes.len() {
        adjust_attributes(graph, map, dead, i);
    }
    infer_shapes(graph)?;
    Ok(moves)
}

/// `from` picks the values that stay.
pub(crate) fn gather<T: Copy>(values: &[T], from: &[u32]) -> Vec<T> {
    from.iter().filter_map(|&i| values.get(i as usize).copied()).collect()
}

/// Channels that the kernels take at once: fewer at the end of a pixel take a slow way, which can cost many times what the
/// missing ones save.
const BLOCK: usize = 4;

/// `left` of `all` channels, or a few more that make whole blocks.
pub(crate) fn whole_blocks(left: usize, all: usize) -> usize {
    left.next_multiple_of(BLOCK).min(all)
}

/// Revives groups, those of the highest `worth` first, until every activation of which `left` of `all` channels are
/// alive has `least(left, all)` of them, and one at the very least.
pub(crate) fn keep_some(
    map: &ChannelMap,
    dead: &mut [bool],
    least: impl Fn(usize, usize) -> usize,
    worth: impl Fn(usize) -> f64,
) {
    loop {
        let mut revived = false;
        for of in &map.activations {
            let alive = of.iter().filter(|g| !dead[**g as usize]).count();
            let missing = least(alive, of.len()).max(1).min(of.len()).saturating_sub(alive);
            if missing == 0 {
                continue;
            }
            let mut candidates: Vec<usize> = of.iter().map(|&g| g as usize).filter(|&g| dead[g]).collect();
            candidates.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)).then(a.cmp(&b)));
            candidates.into_iter().take(missing).for_each(|g| dead[g] = false);
            revived = true;
        }
        if !revived {
            return;
        }
    }
}

/// Takes the groups of least `loss` out of activations that have lost some channels, until what is left is whole blocks.
/// Groups without a loss stay.
pub(crate) fn shed_parts(map: &ChannelMap, dead: &mut [bool], loss: impl Fn(usize) -> Option<f64>) {
    for of in &map.activations {
        let alive: Vec<usize> = of.iter().map(|&g| g as usize).filter(|&g| !dead[g]).collect();
        if alive.len() == of.len() || alive.len() < BLOCK {
            continue;
        }
        let mut losses: Vec<(f64, usize)> = alive.iter().filter_map(|&g| Some((loss(g)?, g))).collect();
        losses.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        losses.iter().take(alive.len() % BLOCK).for_each(|&(_, g)| dead[g] = true);
    }
}

fn axes(map: &ChannelMap, tensor: TensorId) -> impl Iterator<Item = (usize, &Vec<u32>)> {
    map.constants.range((tensor, 0)..=(tensor, usize::MAX)).map(|(key, of)| (key.1, of))
}

fn shrunk_shape(graph: &Graph, map: &ChannelMap, dead: &[bool], tensor: TensorId) -> Vec<usize> {
    let mut shape = graph.tensor(tensor).shape.clone();
    for (axis, of) in axes(map, tensor) {
        shape[axis] = of.iter().filter(|g| !dead[**g as usize]).count();
    }
    shape
}

/// The constants that have sliced axes.
pub(crate) fn sliced(map: &ChannelMap) -> Vec<TensorId> {
    let mut tensors: Vec<TensorId> = map.constants.keys().map(|k| k.0).collect();
    tensors.dedup();
    tensors
}

/// The elements of a constant of this shape at the `places` of each axis, which are given its number and size.
pub(crate) fn elements(shape: &[usize], places: impl Fn(usize, u32) -> Vec<u32>) -> Vec<u32> {
    let mut from: Vec<u32> = vec![0];
    for (axis, &size) in shape.iter().enumerate() {
        let (size, places) = (size as u32, places(axis, size as u32));
        from = from.iter().flat_map(|&f| places.iter().map(move |&i| f * size + i)).collect();
    }
    from
}

fn moves(graph: &Graph, map: &ChannelMap, dead: &[bool]) -> Moves {
    let mut moves = Moves::new();
    for tensor in sliced(map) {
        let shape = &graph.tensor(tensor).shape;
        let from = elements(shape, |axis, size| {
            let of = map.constants.get(&(tensor, axis));
            let stays = |i: &u32| of.is_none_or(|of| !dead[of[*i as usize] as usize]);
            (0..size).filter(stays).collect()
        });
        if from.len() != graph.tensor(tensor).len() {
            moves.insert(tensor, from);
        }
    }
    moves
}

fn adjust_attributes(graph: &mut Graph, map: &ChannelMap, dead: &[bool], node: usize) {
    let node = &mut graph.nodes[node];
    let alive = |of: &[u32]| of.iter().filter(|g| !dead[**g as usize]).count();
    let output = &map.activations[node.output.index()];
    match &mut node.op {
        Op::Slice { begin, end, stride } => {
            let input = &map.activations[node.inputs[0].index()];
            // Channels that are skipped with a stride are pinned: nothing moves.
            if stride[3] == 1 && !input.is_empty() {
                let (head, picked) = (alive(&input[..begin[3]]), alive(&input[begin[3]..end[3]]));
                (begin[3], end[3]) = (head, head + picked);
            }
        }
        Op::Pad { before, after, .. } => {
            (before[3], after[3]) = (alive(&output[..before[3]]), alive(&output[output.len() - after[3]..]));
        }
        Op::Reshape { shape } => shape[3] = alive(output),
        _ => {}
    }
}

/// Recomputes the shape of every activation.
fn infer_shapes(graph: &mut Graph) -> Result<(), VerifyError> {
    for i in 0..graph.nodes.len() {
        let node = &graph.nodes[i];
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|&t| graph.tensor(t).shape.as_slice()).collect();
        let shape = infer_shape(&node.op, &shapes)
            .map_err(|source| VerifyError::Shape { node: node.name.clone(), source })?;
        let output = node.output;
        graph.tensor_mut(output).shape = shape;
    }
    Ok(())
}
