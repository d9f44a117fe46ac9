//! Which whole channels to take out at given prices of a byte and a cycle.

use crate::channels::{ChannelMap, Role};
use crate::compact::{keep_some, shed_parts, whole_blocks};
use crate::knapsack::{Choice, Prices};
use crate::problem::{Problem, Solution};
use crate::schedule::Options;
use crate::storage::FILTER_BYTES;
use crate::units::{UnitKind, WeightLayout};

/// Channels that are tried when a budget may hold one block of them more.
const MOST_RETURNS: usize = 100;

/// What one channel group holds under a solution.
#[derive(Clone, Copy, Default)]
struct Stake {
    /// Importance of all weights that make the channel.
    own: f64,
    /// Importance of those of them that the solution keeps.
    own_kept: f64,
    /// Importance of the kept weights that read the channel.
    readers_kept: f64,
    /// Bytes that leave with it.
    bytes: f64,
    /// Cycles that leave with it.
    cycles: f64,
    protected: bool,
}

impl Stake {
    /// Nothing makes the channel any more, or nothing reads it.
    fn is_useless(&self) -> bool {
        self.own_kept == 0.0 || self.readers_kept == 0.0
    }

    /// What the removal loses beyond what the solution loses anyway.
    fn extra_loss(&self, reader_share: f64) -> f64 {
        if self.is_useless() { 0.0 } else { self.own_kept + reader_share * self.readers_kept }
    }
}

/// The channel groups of a problem, valued under a solution.
pub(crate) struct Channels<'p> {
    map: &'p ChannelMap,
    options: &'p Options,
    prices: Prices,
    stakes: Vec<Stake>,
    kept: f64,
}

impl<'p> Channels<'p> {
    pub fn new(problem: &Problem, map: &'p ChannelMap, solution: &Solution, options: &'p Options) -> Self {
        let kept = problem.layers.iter().map(|l| l.total).sum::<f64>() - problem.removed(solution);
        Channels { map, options, prices: solution.prices, stakes: stakes(problem, map, solution), kept }
    }

    /// Importance that the solution keeps, less what only makes or reads useless channels.
    pub fn effective(&self) -> f64 {
        let idle = self.stakes.iter().filter(|s| s.is_useless());
        self.kept - idle.map(|s| s.own_kept + self.options.reader_share * s.readers_kept).sum::<f64>()
    }

    /// The groups whose removal pays at the solution's price: the best `share` of them.
    pub fn worth_removing(&self, share: f64) -> Vec<bool> {
        let gain = |s: &Stake| self.saved(s) - s.extra_loss(self.options.reader_share);
        let mut best: Vec<usize> =
            (0..self.stakes.len()).filter(|&g| self.may_go(g) && gain(&self.stakes[g]) > 0.0).collect();
        best.sort_by(|&a, &b| gain(&self.stakes[b]).total_cmp(&gain(&self.stakes[a])).then(a.cmp(&b)));
        best.truncate((share * best.len() as f64).ceil() as usize);
        self.without(best)
    }

    /// The groups that the solution leaves without any weight that makes them, or any that reads them.
    pub fn useless(&self) -> Vec<bool> {
        self.without((0..self.stakes.len()).filter(|&g| self.may_go(g) && self.stakes[g].is_useless()))
    }

    /// Every group that may leave, but for the least share of each tensor.
    pub fn all(&self) -> Vec<bool> {
        self.exactly_without((0..self.stakes.len()).filter(|&g| self.may_go(g)))
    }

    /// What bytes and cycles of a channel are worth.
    fn saved(&self, stake: &Stake) -> f64 {
        self.prices.byte * stake.bytes + self.prices.cycle * stake.cycles
    }

    /// What the removal of a group loses beyond what it saves in bytes and cycles.
    pub fn net_loss(&self, g: usize) -> f64 {
        let stake = &self.stakes[g];
        (stake.extra_loss(self.options.reader_share) - self.saved(stake)).max(0.0)
    }

    pub fn may_go(&self, g: usize) -> bool {
        let group = &self.map.groups[g];
        !group.pinned && !self.stakes[g].protected && group.slices_of(Role::Producer).next().is_some()
    }

    /// The groups that may leave, least importance per byte or per cycle first.
    pub fn ranking(&self, by_cycles: bool) -> Vec<usize> {
        let amount = |g: usize| if by_cycles { self.stakes[g].cycles } else { self.stakes[g].bytes };
        let density = |g: usize| self.stakes[g].own / amount(g).max(1.0);
        let mut groups: Vec<usize> = (0..self.stakes.len()).filter(|&g| self.may_go(g)).collect();
        groups.sort_by(|&a, &b| density(a).total_cmp(&density(b)).then(a.cmp(&b)));
        groups
    }

    /// These groups marked, but for the least share of each tensor and those that make whole blocks of what is left.
    pub fn without(&self, groups: impl IntoIterator<Item = usize>) -> Vec<bool> {
        self.but_for(groups, |left, all| whole_blocks(left.max(self.least(all)), all))
    }

    /// These groups marked, but for the least share of each tensor.
    pub fn exactly_without(&self, groups: impl IntoIterator<Item = usize>) -> Vec<bool> {
        self.but_for(groups, |_, all| self.least(all))
    }

    /// These groups marked and those of least loss that make whole blocks of what is left, but for the least share of each
    /// tensor.
    pub fn amply_without(&self, groups: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut dead = self.exactly_without(groups);
        let loss = |g: usize| self.may_go(g).then(|| self.net_loss(g));
        shed_parts(self.map, &mut dead, loss);
        self.exactly_without((0..dead.len()).filter(|&g| dead[g]))
    }

    /// The marked groups, the largest loss first.
    pub fn dearest(&self, dead: &[bool]) -> Vec<usize> {
        let mut groups: Vec<usize> = (0..dead.len()).filter(|&g| dead[g]).collect();
        groups.sort_by(|&a, &b| self.net_loss(b).total_cmp(&self.net_loss(a)).then(a.cmp(&b)));
        groups
    }

    /// Of the `gone` the first ones come back one by one, each with its block, where `fits` finds a result for the rest;
    /// the last result. Channels leave in blocks, and those of a large layer can leave room for a block of a small one.
    pub fn give_back<T, E>(
        &self,
        gone: &[usize],
        fits: impl Fn(Vec<bool>) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut dead = vec![false; self.stakes.len()];
        gone.iter().for_each(|&g| dead[g] = true);
        let mut best = None;
        for &back in gone.iter().take(MOST_RETURNS) {
            let fewer = self.without((0..dead.len()).filter(|&g| dead[g] && g != back));
            if let Some(found) = fits(fewer.clone())? {
                (best, dead) = (Some(found), fewer);
            }
        }
        Ok(best)
    }

    fn least(&self, all: usize) -> usize {
        (self.options.min_channels * all as f64).ceil() as usize
    }

    fn but_for(
        &self,
        groups: impl IntoIterator<Item = usize>,
        least: impl Fn(usize, usize) -> usize,
    ) -> Vec<bool> {
        let mut dead = vec![false; self.stakes.len()];
        groups.into_iter().for_each(|g| dead[g] = true);
        keep_some(self.map, &mut dead, least, |g| self.stakes[g].extra_loss(self.options.reader_share));
        dead
    }
}

fn stakes(problem: &Problem, map: &ChannelMap, solution: &Solution) -> Vec<Stake> {
    let mut stakes = vec![Stake::default(); map.groups.len()];
    for (i, input) in problem.inputs.iter().enumerate() {
        let layout = &problem.layers[i].layout;
        let group = |o: usize| map.group_of_filter(input.weights, o);
        let view = LayerView::new(problem, i, solution.choices[i]);
        // A share of the layer's cycles for each kept weight, whose number its bytes tell closely enough.
        let (layer, choice) = (&problem.layers[i], solution.choices[i]);
        let cycles = layer.cycles_of(choice) / layer.forms[choice.form].bytes[choice.count].max(1.0);
        for o in 0..layout.filters {
            let Some(stake) = group(o).map(|g| &mut stakes[g]) else { continue };
            stake.bytes += FILTER_BYTES + view.index_bytes_per_filter;
            stake.protected |= problem.protected[i] && !layout.depthwise;
        }
        let columns = (!layout.depthwise).then(|| columns(map, input)).flatten();
        for e in 0..layout.len() {
            let (o, c) = view.filter_and_channel(e);
            let (score, kept) = (f64::from(view.scores[e]), view.kept(e));
            if let Some(stake) = group(o).map(|g| &mut stakes[g]) {
                stake.own += score;
                stake.own_kept += if kept { score } else { 0.0 };
                stake.bytes += if kept { 1.0 } else { 0.0 };
                stake.cycles += if kept { cycles } else { 0.0 };
            }
            if let Some(stake) = columns.map(|of| &mut stakes[of[c] as usize]) {
                stake.protected |= problem.protected[i];
                stake.readers_kept += if kept { score } else { 0.0 };
                stake.bytes += view.index_bytes_per_weight + if kept { 1.0 } else { 0.0 };
                stake.cycles += if kept { cycles } else { 0.0 };
            }
        }
    }
    stakes
}

/// The groups of a layer's input columns.
fn columns<'m>(map: &'m ChannelMap, input: &crate::PrunableLayer) -> Option<&'m Vec<u32>> {
    // Axis 3 of OHWI, axis 1 of OI.
    [3, 1].into_iter().find_map(|axis| map.constants.get(&(input.weights, axis)))
}

/// The weights of one layer under one choice.
struct LayerView<'a> {
    layout: WeightLayout,
    scores: &'a [f32],
    kept_units: Option<Vec<bool>>,
    kind: UnitKind,
    index_bytes_per_filter: f64,
    index_bytes_per_weight: f64,
}

impl<'a> LayerView<'a> {
    fn new(problem: &'a Problem, i: usize, choice: Choice) -> Self {
        let layer = &problem.layers[i];
        let (layout, form) = (layer.layout, &layer.forms[choice.form]);
        let kept_units = (form.kind != UnitKind::Dense).then(|| {
            let mut kept = vec![false; layout.unit_count(form.kind)];
            form.order[..choice.count].iter().for_each(|&u| kept[u as usize] = true);
            kept
        });
        LayerView {
            layout,
            scores: problem
                .state
                .importance
                .scores
                .get(&problem.inputs[i].weights)
                .map_or(&[], Vec::as_slice),
            kept_units,
            kind: form.kind,
            index_bytes_per_filter: form.index_bytes / layout.filters as f64,
            index_bytes_per_weight: form.index_bytes / layout.len() as f64,
        }
    }

    fn kept(&self, e: usize) -> bool {
        self.kept_units.as_ref().is_none_or(|kept| kept[self.layout.unit_of(self.kind, e)])
    }

    fn filter_and_channel(&self, e: usize) -> (usize, usize) {
        let layout = &self.layout;
        if layout.depthwise {
            (e % layout.filters, 0)
        } else {
            (e / layout.channels / layout.positions, e % layout.channels)
        }
    }
}
