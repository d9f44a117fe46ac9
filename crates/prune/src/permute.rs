//! Puts channels next to each other whose weights leave and stay together.
//!
//! A sub-filterlet is a run of neighbouring input channels. Which channels are neighbours is free: filters of one layer
//! and the columns that read them can be reordered without changing any output (the idea is Pool and Yu's, NeurIPS 2021,
//! for N:M sparsity). With channels that matter to the same filters at the same positions in one run, fewer runs hold more.

use std::collections::BTreeMap;

use dtmm_graph::{Data, Graph, TensorId};

use crate::channels::{ChannelMap, Role};
use crate::compact::{elements, gather, sliced};
use crate::units::prunable_layers;

/// Reorders channels so that runs of `run` of them are alike. The outputs of the graph stay the same, but for the order
/// of float sums. Channels of model inputs and outputs, and those that operators tell apart, stay where they are.
pub fn permute(graph: &mut Graph, run: usize) {
    let map = ChannelMap::new(graph);
    let squares = relative_squares(graph);
    // The channel group that comes to the place of each.
    let mut comes: Vec<u32> = (0..map.groups.len() as u32).collect();
    for class in classes(&map) {
        let columns: Vec<Vec<f32>> = class.iter().map(|&g| column(&squares, &map, g)).collect();
        for (&place, from) in class.iter().zip(alike(&columns, run)) {
            comes[place as usize] = class[from];
        }
    }
    for tensor in sliced(&map) {
        let constant = graph.tensor_mut(tensor);
        let from = elements(&constant.shape, |axis, size| {
            map.constants.get(&(tensor, axis)).map_or_else(|| (0..size).collect(), |of| places(of, &comes))
        });
        if let Some(Data::F32(values)) = &mut constant.data {
            *values = gather(values, &from);
        }
    }
}

/// Channel groups that may change places: the same number of times on the same axes.
fn classes(map: &ChannelMap) -> Vec<Vec<u32>> {
    let mut axes: Vec<BTreeMap<usize, usize>> = vec![BTreeMap::new(); map.groups.len()];
    for (axis, of) in map.activations.iter().chain(map.constants.values()).enumerate() {
        of.iter().for_each(|&g| *axes[g as usize].entry(axis).or_default() += 1);
    }
    let mut classes: BTreeMap<BTreeMap<usize, usize>, Vec<u32>> = BTreeMap::new();
    for (g, axes) in axes.into_iter().enumerate().filter(|(g, _)| !map.groups[*g].pinned) {
        classes.entry(axes).or_default().push(g as u32);
    }
    classes.into_values().collect()
}

/// The squares of the weights of each layer whose input channels form runs, over the layer's sum, and its input channels.
fn relative_squares(graph: &Graph) -> BTreeMap<TensorId, (Vec<f32>, usize)> {
    let layers = prunable_layers(graph).into_iter().filter(|l| !l.layout.depthwise);
    let squares = layers.filter_map(|layer| {
        let weights = graph.tensor(layer.weights).f32_data()?;
        let sum: f64 = weights.iter().map(|w| f64::from(w * w)).sum();
        let relative = |w: &f32| (f64::from(w * w) / sum.max(f64::MIN_POSITIVE)) as f32;
        Some((layer.weights, (weights.iter().map(relative).collect(), layer.layout.channels)))
    });
    squares.collect()
}

/// What all filters that read a channel group have for it.
fn column(squares: &BTreeMap<TensorId, (Vec<f32>, usize)>, map: &ChannelMap, group: u32) -> Vec<f32> {
    let read = map.groups[group as usize].slices_of(Role::Consumer);
    let of =
        read.filter_map(|s| squares.get(&s.tensor).map(|(values, channels)| (s.index, values, *channels)));
    of.flat_map(|(index, values, channels)| values.iter().skip(index).step_by(channels).copied()).collect()
}

/// An order of the columns in which each run starts with the largest one that is left, followed by those most like the
/// run so far.
fn alike(columns: &[Vec<f32>], run: usize) -> Vec<usize> {
    let norms: Vec<f32> = columns.iter().map(|c| dot(c, c).sqrt()).collect();
    let mut left: Vec<usize> = (0..columns.len()).collect();
    left.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]).then(a.cmp(&b)));
    let mut order = Vec::with_capacity(columns.len());
    let mut sum: Vec<f32> = vec![];
    while !left.is_empty() {
        let next = if order.len() % run.max(1) == 0 {
            sum = vec![0.0; columns[left[0]].len()];
            0
        } else {
            // Between large and alike: half of the norm is divided out.
            let score = |&c: &usize| dot(&columns[c], &sum) / norms[c].sqrt().max(f32::MIN_POSITIVE);
            let scores: Vec<f32> = left.iter().map(score).collect();
            (0..left.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a))).unwrap_or(0)
        };
        let chosen = left.remove(next);
        sum.iter_mut().zip(&columns[chosen]).for_each(|(s, v)| *s += v);
        order.push(chosen);
    }
    order
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // In eight parts, which compilers make vectors of.
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (a, b))| *s += a * b);
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// For each place on an axis the place whose channel comes there. A channel that is there several times, as after a
/// flatten, keeps the order of its places.
fn places(of: &[u32], comes: &[u32]) -> Vec<u32> {
    let mut at: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    of.iter().enumerate().for_each(|(i, &g)| at.entry(g).or_default().push(i as u32));
    let mut met: BTreeMap<u32, usize> = BTreeMap::new();
    let place = |&g: &u32| {
        let k = met.entry(g).or_default();
        *k += 1;
        at[&comes[g as usize]][*k - 1]
    };
    of.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_alike_come_together() {
        let columns = [[1.0, 0.0], [0.0, 0.9], [0.8, 0.1], [0.0, 0.7]].map(Vec::from);
        assert_eq!(alike(&columns, 2), [0, 2, 1, 3]);
    }

    #[test]
    fn a_channel_with_several_places_keeps_their_order() {
        // Two pixels of three channels; the first two channels change places.
        assert_eq!(places(&[5, 6, 7, 5, 6, 7], &[0, 1, 2, 3, 4, 6, 5, 7]), [1, 0, 2, 4, 3, 5]);
    }
}
