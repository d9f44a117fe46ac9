//! From importance and a byte budget to a [`PrunePlan`].

use dtmm_graph::{Graph, Masks, VerifyError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Importance;
use crate::anneal::anneal;
use crate::channels::ChannelMap;
use crate::filter_only::filter_only;
use crate::filters::Channels;
use crate::knapsack::{Choice, Form, LayerChoices};
use crate::method::Method;
use crate::plan::{LayerPlan, PrunePlan, Reason};
use crate::problem::{Problem, Solution};
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
    /// How masks are chosen. Groups, filterlets and filters below are for [`Method::Lagrangian`].
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
    /// Names of layers that stay as they are.
    pub protect: Vec<String>,
    /// The first layer stays as it is.
    pub protect_first: bool,
    /// The last layer stays as it is.
    pub protect_last: bool,
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
            protect: vec![],
            protect_first: false,
            protect_last: false,
        }
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
    /// Package bytes to fit into.
    pub budget: u64,
    /// What is allowed.
    pub options: &'a Options,
    /// Exact bytes of the package.
    pub sizer: &'a Sizer<'a>,
}

/// Why there is no plan.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ScheduleError {
    /// Even the smallest plan is too large.
    #[error(
        "a package of {budget} bytes is out of reach: the smallest feasible one has {smallest} bytes, and layer \
         '{layer}' binds with {layer_bytes} of them; raise the budget to at least {smallest}, lower the least kept \
         share, or protect fewer layers"
    )]
    Infeasible {
        /// Bytes asked for.
        budget: u64,
        /// Bytes of the smallest plan.
        smallest: u64,
        /// The largest layer of the smallest plan.
        layer: String,
        /// Its weight and index bytes there.
        layer_bytes: u64,
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
/// Layers choose their grain and units compete across layers by importance per byte (a multiple-choice knapsack solved
/// through its Lagrangian). At the resulting price of a byte, channels that are not worth what they occupy (filter,
/// bias, index, and the columns that read them) are taken out, and the rest is chosen anew on the smaller grid, until
/// nothing improves. The length of the final ranking is bisected on the exact package size. The result depends on the
/// request only, and never keeps what `current` prunes.
///
/// # Errors
/// [`ScheduleError`].
pub fn schedule(request: &Request) -> Result<PrunePlan, ScheduleError> {
    match request.options.method {
        Method::Lagrangian => lagrangian(request),
        Method::FilterOnly => {
            let Some(state) = filter_only(request)? else {
                return Err(infeasible(request, &request.problem(&tightest(request)?)?));
            };
            let problem = request.problem(&state)?;
            plan(request, &problem, &problem.dense())
        }
        method => {
            let state = Reduced::new(request.graph, request.importance, request.current);
            let mut problem = request.problem(&state)?;
            let solution = match method {
                Method::Uniform => uniform(&problem),
                Method::Anneal { seed } => anneal(&mut problem, seed),
                _ => problem.solve_exactly(),
            };
            let solution = solution.ok_or_else(|| infeasible(request, &problem))?;
            plan(request, &problem, &solution)
        }
    }
}

fn lagrangian(request: &Request) -> Result<PrunePlan, ScheduleError> {
    if let Some(plan) = refine(request, settle_channels(request)?)? {
        return Ok(plan);
    }
    let tightest = tightest(request)?;
    let error = infeasible(request, &request.problem(&tightest)?);
    refine(request, tightest)?.ok_or(error)
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
    if !request.options.filters {
        return Ok(state);
    }
    let map = ChannelMap::new(&state.graph);
    let problem = request.problem(&state)?;
    let dead = Channels::new(&problem, &map, &problem.dense(), request.options).all();
    Ok(state.without(&map, &dead)?)
}

fn infeasible(request: &Request, problem: &Problem) -> ScheduleError {
    let smallest = problem.smallest();
    let (layer, layer_bytes) = problem.binding(&smallest);
    ScheduleError::Infeasible { budget: request.budget, smallest: smallest.bytes, layer, layer_bytes }
}

/// Rounds of taking channels out.
const CHANNEL_ROUNDS: usize = 12;
/// Share of the candidates that leave in one round: the price has to follow.
const FIRST_BATCH: f64 = 0.25;

impl<'a> Request<'a> {
    fn size_of(&self, graph: &Graph) -> Result<PackageSize, ScheduleError> {
        (self.sizer)(graph).map_err(|reason| ScheduleError::Size { graph: graph.name.clone(), reason })
    }

    pub(crate) fn problem<'s>(&'s self, state: &'s Reduced) -> Result<Problem<'s>, ScheduleError> {
        Problem::new(state, self.options, self.budget, self.size_of(&state.graph)?)
    }
}

/// The model without the channels that are not worth their bytes: the best batch of them leaves as long as what is
/// kept gains by it, smaller batches when it does not.
fn settle_channels(request: &Request) -> Result<Reduced, ScheduleError> {
    let mut state = Reduced::new(request.graph, request.importance, request.current);
    if !request.options.filters {
        return Ok(state);
    }
    let mut share = FIRST_BATCH;
    let mut best = Valued::new(request, &state, share)?;
    for _ in 0..CHANNEL_ROUNDS {
        if !best.dead.contains(&true) {
            break;
        }
        let next = state.without(&ChannelMap::new(&state.graph), &best.dead)?;
        let valued = Valued::new(request, &next, share)?;
        // A batch after which a byte costs nothing has taken too much.
        if valued.value > best.value && valued.price > 0.0 {
            (state, best) = (next, valued);
        } else {
            share /= 4.0;
            best.dead = Valued::new(request, &state, share)?.dead;
        }
    }
    Ok(state)
}

/// What a state is worth at its price of a byte.
struct Valued {
    /// Importance kept in effect.
    value: f64,
    price: f64,
    /// The channels to take out next.
    dead: Vec<bool>,
}

impl Valued {
    fn new(request: &Request, state: &Reduced, share: f64) -> Result<Self, ScheduleError> {
        let problem = request.problem(state)?;
        let solution = problem.estimate(problem.overhead(&problem.dense()));
        let map = ChannelMap::new(&state.graph);
        let channels = Channels::new(&problem, &map, &solution, request.options);
        Ok(Valued {
            value: channels.effective(),
            price: solution.price,
            dead: channels.worth_removing(share),
        })
    }
}

fn plan(request: &Request, problem: &Problem, solution: &Solution) -> Result<PrunePlan, ScheduleError> {
    let state = problem.state;
    let masks = state.original_masks(request.graph, problem.masks(&solution.choices));
    let rows = prunable_layers(request.graph);
    let layers =
        rows.iter().enumerate().map(|(i, row)| layer_plan(request, problem, i, row, solution.choices[i]));
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
        price: if solution.price.is_finite() { solution.price } else { 0.0 },
    })
}

fn layer_plan(
    request: &Request,
    problem: &Problem,
    i: usize,
    row: &PrunableLayer,
    choice: Choice,
) -> LayerPlan {
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
        importance_removed_share: share.clamp(0.0, 1.0),
        reason: reason(problem, i, choice, row),
    }
}

/// Units of the layer; a form with its own units has no others.
fn total_units(form: &Form, layer: &LayerChoices) -> usize {
    if form.elements.is_some() { form.order.len() } else { layer.layout.unit_count(form.kind) }
}

fn reason(problem: &Problem, i: usize, choice: Choice, row: &PrunableLayer) -> Reason {
    let form = &problem.layers[i].forms[choice.form];
    match form.kind {
        UnitKind::Dense if problem.layers[i].layout != row.layout => Reason::ChannelsRemoved,
        _ if problem.protected[i] => Reason::Protected,
        UnitKind::Dense => Reason::DenseIsCheapest,
        _ if choice.count == form.least => Reason::LeastShare,
        _ => Reason::PricedOut,
    }
}
