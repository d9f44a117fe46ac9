//! From importance and budgets to a [`PrunePlan`].

use dtmm_graph::{Graph, Masks, VerifyError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Importance;
use crate::anneal::anneal;
use crate::channels::ChannelMap;
use crate::filter_only::{filter_only, narrow};
use crate::filters::Channels;
use crate::knapsack::{Form, LayerChoices, Prices};
use crate::limits::{Arena, Cycles, Device, Feasibility, Limits, Resource};
use crate::method::Method;
use crate::plan::{LayerPlan, PrunePlan, Reason};
use crate::problem::{Problem, Solution};
use crate::ram::settle_ram;
use crate::reduced::Reduced;
use crate::uniform::uniform;
use crate::units::{PrunableLayer, UnitKind, prunable_layers};

/// Exact bytes of one graph's package under masks; weight tensors without a mask are dense.
pub type PackageSize = Box<dyn Fn(&Masks) -> u64>;

/// Prepares [`PackageSize`] for a graph: called for each set of channels that is tried, where the result is called for
/// each set of masks. The error is the reason why the graph has no package.
pub type Sizer<'a> = dyn Fn(&Graph) -> Result<PackageSize, String> + 'a;

/// What the scheduler may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// How masks are chosen. Groups are for [`Method::Lagrangian`] and [`Method::Uniform`], filterlets for these and
    /// [`Method::Anneal`], filters for these and [`Method::FilterOnly`].
    pub method: Method,
    /// Sizes of sub-filterlets to choose from, in input channels; those below a layer's input channels apply.
    pub groups: Vec<usize>,
    /// Whole filterlets may be chosen, too.
    pub filterlets: bool,
    /// Whole filters may be removed, with the channels tied to them.
    pub filters: bool,
    /// Share of each layer's units that is always kept (at least one unit), 0..=1.
    pub min_kept: f64,
    /// Share of each tensor's channels that one call keeps at least (at least one channel), 0..=1.
    pub min_channels: f64,
    /// How much of the importance of the weights that read a channel counts as lost when the channel is removed, on
    /// top of that of the weights that make it, 0..=1. Both measure the same signal: 1 is cautious.
    pub reader_share: f64,
    /// For [`Method::Lagrangian`]: before any unit is chosen, the least important channels per byte leave until the rest,
    /// unpruned, takes this many package bytes; `None`: channels leave where they are not worth their price.
    pub dense_rest: Option<u64>,
    /// For [`Method::Lagrangian`]: cycles to keep to where no limit is tighter. Needs [`Device::timer`].
    pub pace: Option<Pace>,
    /// For [`Method::Anneal`]: the largest share of the importance that may go, 0..=1; `None`: the least with which the
    /// budgets can be kept.
    pub importance_threshold: Option<f64>,
    /// Names of layers that stay as they are.
    pub protect: Vec<String>,
    /// The first layer stays as it is.
    pub protect_first: bool,
    /// The last layer stays as it is.
    pub protect_last: bool,
}

/// Cycles that a plan keeps to as long as that is cheap. Layers that keep most of their weights then stay dense: their
/// runs would save few bytes and take long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Cycles of one inference.
    pub cycles: f64,
    /// The most that the time of the layers with all weights may be worth for it, in parts of what their bytes are worth.
    pub worth: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            method: Method::default(),
            groups: vec![4, 8, 16],
            filterlets: true,
            filters: true,
            min_kept: 0.02,
            min_channels: 0.1,
            reader_share: 1.0,
            dense_rest: None,
            pace: None,
            importance_threshold: None,
            protect: vec![],
            protect_first: false,
            protect_last: false,
        }
    }
}

impl Options {
    fn only_filters(&self) -> bool {
        self.filters && !self.filterlets && self.groups.is_empty()
    }
}

/// What to schedule.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The float model.
    pub graph: &'a Graph,
    /// Scores of its weights.
    pub importance: &'a Importance,
    /// Masks of an earlier round: what they prune stays pruned. Empty at the start.
    pub current: &'a Masks,
    /// Package bytes to fit into; `u64::MAX`: any.
    pub budget: u64,
    /// What is allowed.
    pub options: &'a Options,
    /// Exact bytes of the package.
    pub sizer: &'a Sizer<'a>,
    /// Limits besides flash; the default has none.
    pub device: Device<'a>,
}

/// Why there is no plan.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ScheduleError {
    /// Even the smallest plan takes too much.
    #[error(
        "{}; raise what binds",
        budgets.iter().map(Feasibility::to_string).collect::<Vec<_>>().join("; ")
    )]
    Infeasible {
        /// Every budget asked for, against what the smallest plan takes.
        budgets: Vec<Feasibility>,
    },
    /// The budgets ask for more than the importance threshold allows.
    #[error(
        "no plan that loses at most {:.1} % of the importance keeps the budgets; raise the threshold or the budgets, or \
         give no threshold",
        share * 100.0
    )]
    Threshold {
        /// The threshold, a share of the importance.
        share: f64,
    },
    /// RAM or time has a limit and nothing measures it, or the method knows no such limit.
    #[error("{resource} cannot be limited: {reason}")]
    Limit {
        /// What was limited.
        resource: Resource,
        /// Why it cannot be.
        reason: String,
    },
    /// Scores or masks do not fit the weights.
    #[error("layer '{layer}': {expected} weights, but {found} {what}; compute them on this graph")]
    Length {
        /// Layer name.
        layer: String,
        /// Number of weights.
        expected: usize,
        /// Number of values.
        found: usize,
        /// Scores or mask values.
        what: &'static str,
    },
    /// The model has nothing to prune.
    #[error(
        "model '{graph}' has no Conv2D, DepthwiseConv2D or FullyConnected layer with constant float weights"
    )]
    NothingToPrune {
        /// Model name.
        graph: String,
    },
    /// The caller's package size is not defined for the model.
    #[error("the package of model '{graph}' has no size: {reason}")]
    Size {
        /// Model name.
        graph: String,
        /// The caller's reason.
        reason: String,
    },
    /// The graph breaks a rule once channels are removed; it was not valid before, either.
    #[error("the model without its unimportant channels: {0}")]
    Verify(#[from] VerifyError),
}

/// Chooses the masks, and the channels to remove, that lose the least importance within the budget.
///
/// Channels leave first where RAM binds, and to [`Options::dense_rest`]. Layers choose their grain and units compete
/// across layers by importance per byte and cycle (a multiple-choice knapsack solved through its Lagrangian). Without a
/// dense rest, channels that are not worth what they occupy at the resulting prices (filter,
/// bias, index, and the columns that read them) are taken out, and the rest is chosen anew on the smaller grid, until
/// nothing improves. The length of the final ranking is bisected on the exact package size. The result depends on the
/// request only, and never keeps what `current` prunes.
///
/// # Errors
/// [`ScheduleError`].
pub fn schedule(request: &Request) -> Result<PrunePlan, ScheduleError> {
    request.check_limits()?;
    if request.options.method == Method::Lagrangian && !request.options.only_filters() {
        return lagrangian(request);
    }
    let whole = Reduced::new(request.graph, request.importance, request.current);
    let planned = match settle_ram(request, whole)? {
        Some(in_ram) => by_method(request, &in_ram)?,
        None => None,
    };
    if let Some(plan) = planned {
        return Ok(plan);
    }
    let Some(share) = request.options.importance_threshold else {
        return Err(infeasible(request, &tightest(request)?)?);
    };
    Err(ScheduleError::Threshold { share })
}

/// The plan of a method that takes the model as RAM leaves it; `None` when it cannot keep the budgets.
fn by_method(request: &Request, state: &Reduced) -> Result<Option<PrunePlan>, ScheduleError> {
    match request.options.method {
        Method::Anneal { seed } => {
            let Some(found) = anneal(request, state, seed)? else { return Ok(None) };
            let problem = request.problem(&found.state)?;
            plan(request, &problem, &found.solution(&problem)).map(Some)
        }
        // The scheduler with no other units.
        Method::FilterOnly | Method::Lagrangian => {
            let Some(state) = filter_only(request, state)? else { return Ok(None) };
            let problem = request.problem(&state)?;
            plan(request, &problem, &problem.dense()).map(Some)
        }
        method => {
            let problem = request.problem(state)?;
            let solution =
                if method == Method::Uniform { uniform(&problem) } else { problem.solve_exactly() };
            solution.map(|solution| plan(request, &problem, &solution)).transpose()
        }
    }
}

fn lagrangian(request: &Request) -> Result<PrunePlan, ScheduleError> {
    let whole = Reduced::new(request.graph, request.importance, request.current);
    let Some(in_ram) = settle_ram(request, whole)? else {
        return Err(infeasible(request, &tightest(request)?)?);
    };
    let others = [narrower(request, &in_ram)?, annealed(request, &in_ram)?];
    let settled = refine(request, settle_channels(request, &in_ram)?)?;
    let lost = |p: &PrunePlan| p.importance_removed;
    if let Some(plan) =
        settled.into_iter().chain(others.into_iter().flatten()).min_by(|a, b| lost(a).total_cmp(&lost(b)))
    {
        return Ok(plan);
    }
    // Too many channels stayed for the least share of their units. With limited time that was tried above.
    if request.device.limits.cycles.is_none()
        && let Some(plan) = only_channels(request, &in_ram)?
    {
        return Ok(plan);
    }
    let tightest = tightest(request)?;
    let error = infeasible(request, &tightest)?;
    refine(request, tightest)?.ok_or(error)
}

/// Channels removed until the dense rest fits; units go only where that is cheaper still.
fn only_channels(request: &Request, state: &Reduced) -> Result<Option<PrunePlan>, ScheduleError> {
    if !request.options.filters {
        return Ok(None);
    }
    filter_only(request, state)?.map_or(Ok(None), |state| refine(request, state))
}

/// Channel removal alone, where time is limited: a layer whose sparse kernel is slow saves no time until most of it is
/// gone, so the way over its units can miss what fewer channels reach.
fn narrower(request: &Request, state: &Reduced) -> Result<Option<PrunePlan>, ScheduleError> {
    if request.device.limits.cycles.is_none() { Ok(None) } else { only_channels(request, state) }
}

/// The annealer's channels, where time is limited: which layer should be how narrow for time is not convex, so that no
/// price finds it.
fn annealed(request: &Request, state: &Reduced) -> Result<Option<PrunePlan>, ScheduleError> {
    if request.device.limits.cycles.is_none() || !request.options.filters {
        return Ok(None);
    }
    let method = Method::Anneal { seed: 0 };
    let options = Options { method, importance_threshold: None, ..request.options.clone() };
    let found = anneal(&Request { options: &options, ..*request }, state, 0)?;
    found.map_or(Ok(None), |found| refine(request, found.state))
}

/// Solves for the state's channels, and again without those that the solution makes useless; `None` when even the
/// smallest solution is too large.
fn refine(request: &Request, mut state: Reduced) -> Result<Option<PrunePlan>, ScheduleError> {
    for round in 0.. {
        let problem = request.problem(&state)?;
        let Some(solution) = problem.solve_exactly() else { break };
        let map = ChannelMap::new(&state.graph);
        let dead = Channels::new(&problem, &map, &solution, request.options).useless();
        if !request.options.filters || !dead.contains(&true) || round == CHANNEL_ROUNDS {
            return Ok(Some(plan(request, &problem, &solution)?));
        }
        let next = state.without(&map, &dead)?;
        drop(problem);
        state = next;
    }
    Ok(None)
}

/// The model with as few channels as the options allow.
fn tightest(request: &Request) -> Result<Reduced, ScheduleError> {
    let state = Reduced::new(request.graph, request.importance, request.current);
    let options = request.options;
    let may_leave = options.method.removes_channels() || request.device.limits.ram.is_some();
    if !options.filters || !may_leave {
        return Ok(state);
    }
    let map = ChannelMap::new(&state.graph);
    let problem = request.problem(&state)?;
    let dead = Channels::new(&problem, &map, &problem.dense(), request.options).all();
    Ok(state.without(&map, &dead)?)
}

/// Every budget against what the smallest plan of `state` takes.
fn infeasible(request: &Request, state: &Reduced) -> Result<ScheduleError, ScheduleError> {
    let problem = request.problem(state)?;
    let mut budgets = Vec::new();
    if request.budget < u64::MAX {
        let smallest = problem.smallest();
        let (place, held) = problem.binding(&smallest, LayerChoices::bytes_of);
        let (asked, nearest) = (request.budget as f64, smallest.bytes as f64);
        budgets.push(Feasibility { resource: Resource::Flash, asked, nearest, place, held });
    }
    if let Some(ram) = request.device.limits.ram {
        let arena = request.arena_of(&state.graph)?;
        let (place, held) = arena.peak().map_or_else(Default::default, |(step, tensor)| {
            (format!("tensor '{}' at layer '{step}'", tensor.name), tensor.bytes)
        });
        let (asked, nearest, held) = (ram as f64, arena.bytes as f64, held as f64);
        budgets.push(Feasibility { resource: Resource::Ram, asked, nearest, place, held });
    }
    if let Some(asked) = request.device.limits.cycles {
        let fastest = problem.fastest();
        let (place, held) = problem.binding(&fastest, LayerChoices::cycles_of);
        budgets.push(Feasibility { resource: Resource::Cycles, asked, nearest: fastest.cycles, place, held });
    }
    Ok(ScheduleError::Infeasible { budgets })
}

/// Rounds of taking channels out.
const CHANNEL_ROUNDS: usize = 12;
/// Share of the candidates that leave in one round, the price having to follow; smaller batches are a quarter each of the
/// one before.
const FIRST_BATCH: f64 = 0.25;

impl Request<'_> {
    /// Cycles of the unpruned model; 0 when nothing measures them.
    fn cycles_before(&self) -> Result<f64, ScheduleError> {
        let cycles = self.cycles_of(self.graph)?;
        Ok(cycles.other + cycles.layers.values().map(|l| l.dense).sum::<f64>())
    }

    pub(crate) fn size_of(&self, graph: &Graph) -> Result<PackageSize, ScheduleError> {
        (self.sizer)(graph).map_err(|reason| ScheduleError::Size { graph: graph.name.clone(), reason })
    }

    pub(crate) fn cycles_of(&self, graph: &Graph) -> Result<Cycles, ScheduleError> {
        let fail = |reason| ScheduleError::Limit { resource: Resource::Cycles, reason };
        self.device.timer.map_or_else(|| Ok(Cycles::default()), |timer| timer(graph).map_err(fail))
    }

    pub(crate) fn arena_of(&self, graph: &Graph) -> Result<Arena, ScheduleError> {
        let fail = |reason| ScheduleError::Limit { resource: Resource::Ram, reason };
        self.device.planner.map_or_else(|| Ok(Arena::default()), |planner| planner(graph).map_err(fail))
    }

    pub(crate) fn problem<'s>(&self, state: &'s Reduced) -> Result<Problem<'s>, ScheduleError> {
        Problem::new(state, self)
    }

    /// Whether a state keeps the limits with every layer dense but for masks of earlier rounds.
    pub(crate) fn dense_fits(&self, state: &Reduced) -> Result<bool, ScheduleError> {
        let bytes = self.size_of(&state.graph)?(&state.masks);
        let cycles = self.cycles_of(&state.graph)?;
        let time = cycles.other + cycles.layers.values().map(|l| l.dense).sum::<f64>();
        Ok(bytes <= self.budget && self.device.limits.cycles.is_none_or(|limit| time <= limit))
    }

    fn check_limits(&self) -> Result<(), ScheduleError> {
        let Limits { ram, cycles } = self.device.limits;
        let asked = [
            (Resource::Ram, ram.is_some(), self.device.planner.is_some()),
            (Resource::Cycles, cycles.is_some(), self.device.timer.is_some()),
        ];
        for (resource, _, measured) in asked.into_iter().filter(|a| a.1) {
            let method = self.options.method;
            let reason = if !method.knows_device() {
                let name = method.name();
                format!(
                    "the method {name} knows flash only: it removes no channels, and no kernel here runs its storage"
                )
            } else if !measured {
                "nothing measures it".to_owned()
            } else {
                continue;
            };
            return Err(ScheduleError::Limit { resource, reason });
        }
        Ok(())
    }
}

/// The model with the channels that units are chosen for: as [`Options::dense_rest`] says, and by their price where time is
/// limited or nothing is said.
fn settle_channels(request: &Request, state: &Reduced) -> Result<Reduced, ScheduleError> {
    if !request.options.filters {
        return Ok(state.clone());
    }
    let Some(bytes) = request.options.dense_rest else { return by_price(request, state.clone()) };
    let narrow = match narrow(request, state, bytes)? {
        Some(narrow) => narrow,
        None => tightest(request)?,
    };
    if request.device.limits.cycles.is_some() { by_price(request, narrow) } else { Ok(narrow) }
}

/// The model without the channels that are not worth their bytes: the best batch of them leaves as long as what is
/// kept gains by it, smaller batches when it does not.
fn by_price(request: &Request, mut state: Reduced) -> Result<Reduced, ScheduleError> {
    let mut best = Valued::new(request, &state)?;
    for _ in 0..CHANNEL_ROUNDS {
        let Some(dead) = best.batches.pop() else { break };
        let next = state.without(&ChannelMap::new(&state.graph), &dead)?;
        let valued = Valued::new(request, &next)?;
        // A batch after which a byte costs nothing has taken too much; the next one is smaller.
        if valued.value > best.value && valued.prices != Prices::default() {
            let smaller = best.batches.len() + 1;
            (state, best) = (next, valued);
            best.batches.truncate(smaller);
        }
    }
    Ok(state)
}

/// What a state is worth at its prices.
struct Valued {
    /// Importance kept in effect.
    value: f64,
    prices: Prices,
    /// Channels to take out next, the largest batch last; none without channels.
    batches: Vec<Vec<bool>>,
}

impl Valued {
    fn new(request: &Request, state: &Reduced) -> Result<Self, ScheduleError> {
        let problem = request.problem(state)?;
        let solution = problem.estimate(problem.beside_weights);
        let map = ChannelMap::new(&state.graph);
        let channels = Channels::new(&problem, &map, &solution, request.options);
        let share = |k: usize| FIRST_BATCH / 4f64.powi(k as i32);
        let batches = (0..CHANNEL_ROUNDS / 2).rev().map(|k| channels.worth_removing(share(k)));
        Ok(Valued {
            value: channels.effective(),
            prices: solution.prices,
            batches: batches.filter(|dead| dead.contains(&true)).collect(),
        })
    }
}

pub(crate) fn plan(
    request: &Request,
    problem: &Problem,
    solution: &Solution,
) -> Result<PrunePlan, ScheduleError> {
    let state = problem.state;
    let masks = state.original_masks(request.graph, problem.masks(&solution.choices));
    let rows = prunable_layers(request.graph);
    let layers = rows.iter().enumerate().map(|(i, row)| layer_plan(request, problem, solution, (i, row)));
    let mut layers: Vec<LayerPlan> = layers.collect();
    for row in &mut layers {
        let mask = masks.get(&row.weights);
        row.kept_weights = mask.map_or(row.total_weights, |m| m.iter().filter(|k| **k).count());
    }
    Ok(PrunePlan {
        layers,
        masks,
        removed: state.removed.clone(),
        budget: request.budget,
        bytes_before: request.size_of(request.graph)?(request.current),
        predicted_bytes: solution.bytes,
        importance_removed: state.lost + problem.removed(solution),
        importance_total: request.importance.clone().masked(request.current).total(),
        bound: state.lost + solution.bound,
        price: finite(solution.prices.byte),
        cycle_price: finite(solution.prices.cycle),
        cycles_before: request.cycles_before()?,
        predicted_cycles: solution.cycles,
    })
}

/// A price without a number (the extreme solution) is none.
fn finite(price: f64) -> f64 {
    if price.is_finite() { price } else { 0.0 }
}

fn layer_plan(
    request: &Request,
    problem: &Problem,
    solution: &Solution,
    (i, row): (usize, &PrunableLayer),
) -> LayerPlan {
    let choice = solution.choices[i];
    let layer = &problem.layers[i];
    let form = &layer.forms[choice.form];
    let scores = request.importance.scores.get(&row.weights).map_or(&[][..], Vec::as_slice);
    let before: f64 = scores.iter().map(|&s| f64::from(s)).sum();
    let share = if before > 0.0 { 1.0 - form.kept[choice.count] / before } else { 0.0 };
    let total_weights = row.layout.len();
    LayerPlan {
        name: row.name.clone(),
        weights: row.weights,
        unit: form.kind,
        group: form.kind.group(layer.layout.channels),
        index: form.index,
        kept_filters: layer.layout.filters,
        total_filters: row.layout.filters,
        kept_units: choice.count,
        total_units: total_units(form, layer),
        kept_weights: total_weights,
        total_weights,
        bytes_before: total_weights as u64,
        bytes_after: layer.bytes_of(choice) as u64,
        cycles_after: layer.cycles_of(choice),
        importance_removed_share: share.clamp(0.0, 1.0),
        reason: reason(problem, solution, i, row),
    }
}

/// Units of the layer; a form with its own units has no others.
fn total_units(form: &Form, layer: &LayerChoices) -> usize {
    if form.elements.is_some() { form.order.len() } else { layer.layout.unit_count(form.kind) }
}

fn reason(problem: &Problem, solution: &Solution, i: usize, row: &PrunableLayer) -> Reason {
    let choice = solution.choices[i];
    let layer = &problem.layers[i];
    let form = &layer.forms[choice.form];
    let Prices { byte, cycle } = solution.prices;
    let (bytes, cycles) = (finite(byte), finite(cycle) * form.time.per_byte);
    match form.kind {
        UnitKind::Dense if layer.layout == row.layout && problem.protected[i] => Reason::Protected,
        UnitKind::Dense if layer.layout == row.layout => Reason::DenseIsCheapest,
        UnitKind::Dense if problem.state.for_ram => Reason::ChannelsRemovedForRam,
        UnitKind::Dense => Reason::ChannelsRemoved,
        _ if choice.count == form.least => Reason::LeastShare,
        _ if problem.cycle_limit.is_finite() && cycles > bytes => Reason::PricedOutByLatency,
        _ => Reason::PricedOut,
    }
}
