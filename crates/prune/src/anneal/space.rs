//! What every α and β of a model keeps, loses and takes.

use std::collections::BTreeMap;

use super::{LEVELS, kept};
use crate::channels::{ChannelMap, Role};
use crate::compact::whole_blocks;
use crate::limits::LayerCycles;
use crate::plan::Index;
use crate::problem::Problem;
use crate::schedule::Options;
use crate::storage::{FILTER_BYTES, unit_index_bytes};
use crate::units::{UnitKind, WeightLayout};

/// Channels of a cluster from which on whole blocks are left: of fewer, blocks would be too coarse a choice.
const WIDE: usize = 64;

/// The shares that go: α of each layer, β of each cluster, in steps of `1 / LEVELS`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub alphas: Vec<usize>,
    pub betas: Vec<usize>,
}

/// One α or one β.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Knob {
    Alpha(usize),
    Beta(usize),
}

/// What a layer, or a model, takes in a state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub bytes: f64,
    pub cycles: f64,
    /// Importance that is gone.
    pub lost: f64,
}

impl Taken {
    /// The sum with `sign` times another.
    pub fn with(&self, other: &Taken, sign: f64) -> Taken {
        Taken {
            bytes: self.bytes + sign * other.bytes,
            cycles: self.cycles + sign * other.cycles,
            lost: self.lost + sign * other.lost,
        }
    }
}

/// Every α and β with what it does.
pub(super) struct Space {
    layers: Vec<Layer>,
    clusters: Vec<Cluster>,
    groups: usize,
    /// Of everything that no layer has.
    rest: Taken,
    /// True when time is measured; bytes stand for it otherwise.
    timed: bool,
}

/// Channel groups that the same layers make, and that go in one order.
struct Cluster {
    /// Least important first.
    groups: Vec<usize>,
    /// Values of β; 1 when the channels are the model's own or exempt.
    levels: usize,
}

struct Layer {
    layout: WeightLayout,
    /// Whose β takes this layer's filters.
    cluster: usize,
    /// Values of α; 1 when only filters go.
    levels: usize,
    total: f64,
    time: LayerCycles,
    /// Indexed by β and α: filterlets that stay, and the importance of the others.
    cells: Vec<Vec<(f64, f64)>>,
    /// Filters that stay, by β.
    filters: Vec<f64>,
    /// Input channels that no cluster takes.
    fixed_columns: f64,
    columns: Vec<Columns>,
}

/// Input channels of a layer that one cluster makes: how many stay, and the importance of the others, by β.
struct Columns {
    cluster: usize,
    left: Vec<f64>,
    lost: Vec<f64>,
}

impl Space {
    pub fn new(problem: &Problem, map: &ChannelMap, options: &Options) -> Self {
        let tied = Tied::new(problem, map, options);
        let layers = (0..problem.layers.len()).map(|i| Layer::new(problem, map, i, &tied));
        let layers: Vec<Layer> = layers.collect();
        let beside: f64 = layers.iter().map(|l| FILTER_BYTES * l.layout.filters as f64).sum();
        let timed = layers.iter().any(|l| l.time.dense > 0.0);
        let bytes = problem.beside_weights - beside;
        let rest = Taken { bytes, cycles: if timed { problem.other_cycles } else { bytes }, lost: 0.0 };
        Space { layers, clusters: tied.clusters, groups: map.groups.len(), rest, timed }
    }

    /// Importance of all layers.
    pub fn total(&self) -> f64 {
        self.layers.iter().map(|l| l.total).sum()
    }

    pub fn nothing_gone(&self) -> State {
        State { alphas: vec![0; self.layers.len()], betas: vec![0; self.clusters.len()] }
    }

    /// Everything that can be turned, with the number of its values.
    pub fn knobs(&self) -> Vec<(Knob, usize)> {
        let alphas = self.layers.iter().enumerate().map(|(i, l)| (Knob::Alpha(i), l.levels));
        let betas = self.clusters.iter().enumerate().map(|(i, c)| (Knob::Beta(i), c.levels));
        alphas.chain(betas).filter(|k| k.1 > 1).collect()
    }

    /// The layers that a knob changes.
    pub fn touched(&self, knob: Knob) -> Vec<usize> {
        match knob {
            Knob::Alpha(i) => vec![i],
            Knob::Beta(b) => {
                let touched = |l: &Layer| l.cluster == b || l.columns.iter().any(|c| c.cluster == b);
                (0..self.layers.len()).filter(|&i| touched(&self.layers[i])).collect()
            }
        }
    }

    /// What one layer takes.
    pub fn layer(&self, state: &State, i: usize) -> Taken {
        let taken = self.layers[i].taken(state.alphas[i], &state.betas);
        if self.timed { taken } else { Taken { cycles: taken.bytes, ..taken } }
    }

    /// What the whole model takes.
    pub fn all(&self, state: &State) -> Taken {
        (0..self.layers.len()).fold(self.rest, |sum, i| sum.with(&self.layer(state, i), 1.0))
    }

    /// The channel groups that a state takes out.
    pub fn dead(&self, state: &State) -> Vec<bool> {
        let mut dead = vec![false; self.groups];
        for (cluster, &beta) in self.clusters.iter().zip(&state.betas) {
            cluster.gone(beta).iter().for_each(|&g| dead[g] = true);
        }
        dead
    }
}

impl Cluster {
    fn gone(&self, beta: usize) -> &[usize] {
        let all = self.groups.len();
        let stay = kept(all, beta);
        let stay = if all < WIDE { stay } else { whole_blocks(stay, all) };
        &self.groups[..all - stay]
    }
}

/// The clusters, and for each channel group its own.
struct Tied {
    clusters: Vec<Cluster>,
    /// `NONE`: no layer makes it.
    of_group: Vec<usize>,
    /// The β at which each group goes; `NONE`: it stays.
    goes: Vec<usize>,
}

const NONE: usize = usize::MAX;

impl Layer {
    fn new(problem: &Problem, map: &ChannelMap, i: usize, tied: &Tied) -> Self {
        let (choices, weights) = (&problem.layers[i], problem.inputs[i].weights);
        let layout = choices.layout;
        let group = |o: usize| map.group_of_filter(weights, o);
        let cluster = group(0).map_or(NONE, |g| tied.of_group[g]);
        let goes: Vec<usize> = (0..layout.filters).map(|o| group(o).map_or(NONE, |g| tied.goes[g])).collect();
        let betas = tied.clusters.get(cluster).map_or(1, |c| c.levels);
        let mut layer = Layer {
            layout,
            cluster,
            levels: if choices.forms.len() > 1 { LEVELS } else { 1 },
            total: choices.total,
            time: problem.layer_cycles[i],
            cells: (0..betas).map(|beta| cells(problem, i, |o| goes[o] > beta)).collect(),
            filters: (0..betas).map(|beta| goes.iter().filter(|&&g| g > beta).count() as f64).collect(),
            fixed_columns: layout.channels as f64,
            columns: vec![],
        };
        let scores = problem.state.importance.scores.get(&weights).map_or(&[][..], Vec::as_slice);
        if let Some(columns) = columns(map, weights).filter(|_| !layout.depthwise) {
            layer.read(columns, tied, &channel_sums(&layout, scores));
        }
        layer
    }

    /// Learns which input channels each cluster takes.
    fn read(&mut self, columns: &[u32], tied: &Tied, sums: &[f64]) {
        let mut by_cluster: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
        for (&g, &sum) in columns.iter().zip(sums) {
            by_cluster.entry(tied.of_group[g as usize]).or_default().push((tied.goes[g as usize], sum));
        }
        for (cluster, own) in by_cluster {
            let Some(of) = tied.clusters.get(cluster).filter(|c| c.levels > 1) else { continue };
            let left = |beta: usize| own.iter().filter(|c| c.0 > beta).count() as f64;
            let lost = |beta: usize| own.iter().filter(|c| c.0 <= beta).map(|c| c.1).sum();
            self.fixed_columns -= own.len() as f64;
            self.columns.push(Columns {
                cluster,
                left: (0..of.levels).map(left).collect(),
                lost: (0..of.levels).map(lost).collect(),
            });
        }
    }

    fn taken(&self, alpha: usize, betas: &[usize]) -> Taken {
        let beta = betas.get(self.cluster).copied().unwrap_or(0);
        let sum = |f: fn(&Columns, usize) -> f64| -> f64 {
            self.columns.iter().map(|c| f(c, betas[c.cluster])).sum()
        };
        let channels = self.fixed_columns + sum(|c, b| c.left[b]);
        let filters = self.filters[beta];
        let dense = filters * self.layout.positions as f64 * channels;
        let index = unit_index_bytes(Index::Pairs) as f64;
        let (filterlets, pruned) = self.cells[beta][alpha];
        let pairs = filterlets * (channels + index) + index * filters;
        let (weights, cycles, own) = if self.levels == 1 || pairs >= dense {
            let share = filters * channels / (self.layout.filters * self.layout.channels) as f64;
            (dense, self.time.dense * share, self.cells[beta][0].1)
        } else {
            let runs = filterlets * (self.time.per_run + self.time.per_weight * channels);
            (pairs, self.time.sparse * filters / self.layout.filters as f64 + runs, pruned)
        };
        // The filters and filterlets that are gone had their part of each column.
        let kept = if self.total > 0.0 { 1.0 - own / self.total } else { 0.0 };
        let lost = own + kept * sum(|c, b| c.lost[b]);
        Taken { bytes: weights + FILTER_BYTES * filters, cycles, lost }
    }
}

/// For each α the filterlets that stay of the filters that do, and the importance of all others.
fn cells(problem: &Problem, i: usize, stays: impl Fn(usize) -> bool) -> Vec<(f64, f64)> {
    let layer = &problem.layers[i];
    let layout = &layer.layout;
    let Some(form) = layer.forms.get(1) else {
        let tensor = problem.inputs[i].weights;
        let sums = problem.state.importance.unit_scores(tensor, layout, UnitKind::Filter);
        let left = (0..layout.filters).filter(|&o| stays(o));
        let (count, kept) = left.fold((0.0, 0.0), |(n, sum), o| (n + 1.0, sum + sums[o]));
        return vec![(count * layout.positions as f64, layer.total - kept)];
    };
    let mut sums = vec![0.0];
    for (at, &unit) in form.order.iter().enumerate() {
        if stays(unit as usize / layout.positions) {
            sums.push(sums[sums.len() - 1] + form.kept[at + 1] - form.kept[at]);
        }
    }
    let cell = |alpha: usize| {
        let count = kept(sums.len() - 1, alpha);
        (count as f64, layer.total - sums[count])
    };
    (0..LEVELS).map(cell).collect()
}

/// The groups of a layer's input columns: axis 3 of OHWI, axis 1 of OI.
fn columns(map: &ChannelMap, weights: dtmm_graph::TensorId) -> Option<&Vec<u32>> {
    [3, 1].into_iter().find_map(|axis| map.constants.get(&(weights, axis)))
}

/// Scores of each input channel.
fn channel_sums(layout: &WeightLayout, scores: &[f32]) -> Vec<f64> {
    let mut sums = vec![0.0; layout.channels];
    for filterlet in scores.chunks(layout.channels.max(1)) {
        sums.iter_mut().zip(filterlet).for_each(|(sum, &s)| *sum += f64::from(s));
    }
    sums
}

impl Tied {
    fn new(problem: &Problem, map: &ChannelMap, options: &Options) -> Self {
        let mut of_group = vec![NONE; map.groups.len()];
        let mut own = vec![0.0f64; map.groups.len()];
        let mut exempt: Vec<bool> = map
            .groups
            .iter()
            .map(|g| !options.filters || g.pinned || g.slices_of(Role::Producer).next().is_none())
            .collect();
        for (i, input) in problem.inputs.iter().enumerate() {
            let layout = &problem.layers[i].layout;
            let protected = problem.protected[i] && !layout.depthwise;
            let sums = problem.state.importance.unit_scores(input.weights, layout, UnitKind::Filter);
            let groups = (0..layout.filters).map(|o| map.group_of_filter(input.weights, o));
            let groups: Vec<(usize, f64)> = groups.zip(sums).filter_map(|(g, s)| Some((g?, s))).collect();
            join(&mut of_group, &groups, i);
            for &(g, sum) in &groups {
                own[g] += sum;
                exempt[g] |= protected;
            }
            let reads = columns(map, input.weights).filter(|_| protected);
            reads.into_iter().flatten().for_each(|&g| exempt[g as usize] = true);
        }
        let mut tied = Tied { clusters: vec![], goes: vec![NONE; of_group.len()], of_group };
        for c in 0..problem.inputs.len() {
            let mut groups: Vec<usize> = (0..own.len()).filter(|&g| tied.of_group[g] == c).collect();
            groups.sort_by(|&a, &b| own[a].total_cmp(&own[b]).then(a.cmp(&b)));
            tied.add(groups, options, &exempt);
        }
        tied
    }

    fn add(&mut self, groups: Vec<usize>, options: &Options, exempt: &[bool]) {
        let least = ((options.min_channels * LEVELS as f64).ceil() as usize).clamp(1, LEVELS);
        let fixed = groups.is_empty() || groups.iter().any(|&g| exempt[g]);
        let cluster = Cluster { groups, levels: if fixed { 1 } else { LEVELS - least + 1 } };
        for beta in (0..cluster.levels).rev() {
            cluster.gone(beta).iter().for_each(|&g| self.goes[g] = beta);
        }
        self.clusters.push(cluster);
    }
}

/// Gives the groups of layer `i` to one cluster, with all groups of the clusters that already have some of them.
fn join(of_group: &mut [usize], groups: &[(usize, f64)], i: usize) {
    let mut joined: Vec<usize> = groups.iter().map(|g| of_group[g.0]).filter(|&c| c != NONE).collect();
    joined.sort_unstable();
    joined.dedup();
    let cluster = joined.first().copied().unwrap_or(i);
    of_group.iter_mut().filter(|c| joined.contains(c)).for_each(|c| *c = cluster);
    groups.iter().for_each(|g| of_group[g.0] = cluster);
}
