//! The model as it is after some channel groups are gone, with the way back to the original weights.

use std::collections::BTreeMap;

use dtmm_graph::{Graph, Masks, TensorId, VerifyError};

use crate::Importance;
use crate::channels::ChannelMap;
use crate::compact::{gather, remove_groups};
use crate::units::prunable_layers;

/// A graph without some of the original's channels, with scores and masks to match.
#[derive(Clone)]
pub(crate) struct Reduced {
    pub graph: Graph,
    pub importance: Importance,
    pub masks: Masks,
    /// For each tensor that shrank, where its elements were in the original.
    pub origin: BTreeMap<TensorId, Vec<u32>>,
    /// Importance of all weights that are gone.
    pub lost: f64,
    /// Some channels left because RAM had to fall.
    pub for_ram: bool,
    /// Original filters that are gone, per weight tensor.
    pub removed: BTreeMap<TensorId, Vec<usize>>,
    /// The original numbers of the filters that are left, for tensors that a removal looked at.
    filters: BTreeMap<TensorId, Vec<usize>>,
}

impl Reduced {
    pub fn new(graph: &Graph, importance: &Importance, masks: &Masks) -> Self {
        Reduced {
            graph: graph.clone(),
            importance: importance.clone().masked(masks),
            masks: masks.clone(),
            origin: BTreeMap::new(),
            lost: 0.0,
            for_ram: false,
            removed: BTreeMap::new(),
            filters: BTreeMap::new(),
        }
    }

    /// Without the groups marked `dead`.
    pub fn without(&self, map: &ChannelMap, dead: &[bool]) -> Result<Self, VerifyError> {
        let mut next = self.clone();
        next.note_removed(map, dead);
        for (tensor, from) in remove_groups(&mut next.graph, map, dead)? {
            if let Some(scores) = next.importance.scores.get_mut(&tensor) {
                *scores = gather(scores, &from);
            }
            if let Some(mask) = next.masks.get_mut(&tensor) {
                *mask = gather(mask, &from);
            }
            let origin = next.origin.get(&tensor).map_or_else(|| from.clone(), |old| gather(old, &from));
            next.origin.insert(tensor, origin);
        }
        next.lost += self.importance.total() - next.importance.total();
        Ok(next)
    }

    fn note_removed(&mut self, map: &ChannelMap, dead: &[bool]) {
        for layer in prunable_layers(&self.graph) {
            let of = self.filters.entry(layer.weights).or_insert_with(|| (0..layer.layout.filters).collect());
            let is_dead = |o: usize| map.group_of_filter(layer.weights, o).is_some_and(|g| dead[g]);
            let (gone, kept): (Vec<_>, Vec<_>) = of.iter().enumerate().partition(|(o, _)| is_dead(*o));
            let gone: Vec<usize> = gone.into_iter().map(|(_, &original)| original).collect();
            *of = kept.into_iter().map(|(_, &original)| original).collect();
            if !gone.is_empty() {
                let all = self.removed.entry(layer.weights).or_default();
                all.extend(gone);
                all.sort_unstable();
            }
        }
    }

    /// Masks in the original's coordinates for masks of this graph; weights that are gone are not kept.
    pub fn original_masks(&self, original: &Graph, mut masks: Masks) -> Masks {
        for (&tensor, origin) in self.origin.iter().filter(|(t, _)| self.filters.contains_key(t)) {
            let mut whole = vec![false; original.tensor(tensor).len()];
            let mask = masks.remove(&tensor);
            for (i, &e) in origin.iter().enumerate() {
                whole[e as usize] = mask.as_ref().is_none_or(|m| m[i]);
            }
            masks.insert(tensor, whole);
        }
        masks
    }
}
