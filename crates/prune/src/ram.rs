//! Channels that leave because the arena must shrink.
//!
//! Only channel removal makes activations smaller. At each step of the memory plan that is alive with too many bytes, the
//! channels of the tensors alive there are candidates; those go first that save most of what is missing, over all such
//! steps, for the importance they lose. The planner is asked again until the arena fits.

use std::collections::BTreeMap;

use dtmm_graph::Graph;

use crate::channels::ChannelMap;
use crate::filters::Channels;
use crate::limits::Arena;
use crate::reduced::Reduced;
use crate::schedule::{Request, ScheduleError};

/// Rounds of taking channels out and planning again.
const ROUNDS: usize = 40;

/// The model without the channels that RAM does not hold; `None` when it does not fit with the least share of channels.
pub(crate) fn settle_ram(request: &Request, mut state: Reduced) -> Result<Option<Reduced>, ScheduleError> {
    let Some(limit) = request.device.limits.ram else { return Ok(Some(state)) };
    for _ in 0..ROUNDS {
        let arena = request.arena_of(&state.graph)?;
        if arena.bytes <= limit {
            return Ok(Some(state));
        }
        if !request.options.filters {
            return Ok(None);
        }
        let map = ChannelMap::new(&state.graph);
        let problem = request.problem(&state)?;
        let solution = problem.estimate(problem.beside_weights);
        let channels = Channels::new(&problem, &map, &solution, request.options);
        let mut needs = Needs::of(&state.graph, &map, &arena, limit);
        let dead = channels.amply_without(needs.cover(|g| channels.may_go(g), |g| channels.net_loss(g)));
        if !dead.contains(&true) {
            return Ok(None);
        }
        let fits = |dead: Vec<bool>| -> Result<Option<Reduced>, ScheduleError> {
            let next = state.without(&map, &dead)?;
            Ok((request.arena_of(&next.graph)?.bytes <= limit).then_some(next))
        };
        let next = match fits(dead.clone())? {
            Some(next) => channels.give_back(&channels.dearest(&dead), fits)?.unwrap_or(next),
            None => state.without(&map, &dead)?,
        };
        drop(problem);
        state = next;
        state.for_ram = true;
    }
    Ok(None)
}

/// Bytes that must leave at each step that holds too many, and what each channel group saves there.
struct Needs {
    missing: Vec<f64>,
    /// For each group, (index in `missing`, bytes saved).
    saves: BTreeMap<usize, Vec<(usize, f64)>>,
}

impl Needs {
    fn of(graph: &Graph, map: &ChannelMap, arena: &Arena, limit: u64) -> Self {
        let peak = arena.steps.iter().map(|s| s.1).max().unwrap_or(0);
        // Gaps between the buffers can make an arena of what would fit without them: then the fullest steps must shrink.
        let most = if peak > limit { limit } else { peak.saturating_sub(arena.bytes - limit) };
        let steps: Vec<usize> = (0..arena.steps.len()).filter(|&i| arena.steps[i].1 > most).collect();
        let mut needs = Needs {
            missing: steps.iter().map(|&i| (arena.steps[i].1 - most) as f64).collect(),
            saves: BTreeMap::new(),
        };
        for tensor in &arena.tensors {
            let Some(t) = graph.tensors.iter().position(|t| t.name == tensor.name) else { continue };
            let of = &map.activations[t];
            let each = tensor.bytes as f64 / of.len().max(1) as f64;
            for (n, _) in
                steps.iter().enumerate().filter(|(_, s)| tensor.alive.0 <= **s && **s <= tensor.alive.1)
            {
                of.iter().for_each(|&g| needs.add(g as usize, n, each));
            }
        }
        needs
    }

    fn add(&mut self, group: usize, step: usize, bytes: f64) {
        let saves = self.saves.entry(group).or_default();
        match saves.last_mut().filter(|s| s.0 == step) {
            Some(last) => last.1 += bytes,
            None => saves.push((step, bytes)),
        }
    }

    /// Groups that together save what is missing, or all that can go.
    fn cover(&mut self, may_go: impl Fn(usize) -> bool, loss: impl Fn(usize) -> f64) -> Vec<usize> {
        let mut left: Vec<(usize, f64)> =
            self.saves.keys().filter(|&&g| may_go(g)).map(|&g| (g, loss(g))).collect();
        let mut gone = Vec::new();
        while self.missing.iter().any(|&m| m > 0.0) {
            let worth = |&(g, loss): &(usize, f64)| self.useful(g) / loss.max(f64::MIN_POSITIVE);
            let best = (0..left.len())
                .filter(|&i| self.useful(left[i].0) > 0.0)
                .max_by(|&a, &b| worth(&left[a]).total_cmp(&worth(&left[b])).then(b.cmp(&a)));
            let Some(best) = best else { break };
            let (g, _) = left.swap_remove(best);
            for &(step, bytes) in &self.saves[&g] {
                self.missing[step] -= bytes;
            }
            gone.push(g);
        }
        gone
    }

    /// How much of what is missing a group saves.
    fn useful(&self, group: usize) -> f64 {
        self.saves[&group].iter().map(|&(step, bytes)| bytes.min(self.missing[step].max(0.0))).sum()
    }
}
