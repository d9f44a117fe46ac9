//! From importance and a byte budget to a [`PrunePlan`].

use dtmm_graph::{Graph, Masks};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::knapsack::{Choice, Form, LayerChoices, LayerInput, solve};
use crate::plan::{LayerPlan, PrunePlan, Reason};
use crate::units::{PrunableLayer, UnitKind, prunable_layers};
use crate::{Importance, weight_bytes};

/// Exact bytes of the package of a graph under masks; weight tensors without a mask are dense.
pub type SizeFn<'a> = dyn Fn(&Graph, &Masks) -> u64 + 'a;

/// What the scheduler may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Sizes of sub-filterlets to choose from, in input channels; those below a layer's input channels apply.
    pub groups: Vec<usize>,
    /// Whole filterlets may be chosen, too.
    pub filterlets: bool,
    /// Share of each layer's units that is always kept (at least one unit), 0..=1.
    pub min_kept: f64,
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
            groups: vec![4, 8, 16],
            filterlets: true,
            min_kept: 0.02,
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
    pub size: &'a SizeFn<'a>,
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
}

/// Chooses the masks that remove the least importance within the budget.
///
/// Layers choose their grain and units compete across layers by importance per byte (a multiple-choice knapsack solved
/// through its Lagrangian); the length of the resulting ranking is then bisected on the exact package size. The result
/// depends on the request only, and never keeps what `current` prunes.
///
/// # Errors
/// [`ScheduleError`].
pub fn schedule(request: &Request) -> Result<PrunePlan, ScheduleError> {
    let problem = Problem::new(request)?;
    let bytes_before = (request.size)(request.graph, request.current);
    let smallest = problem.smallest();
    let smallest_bytes = problem.exact(&smallest);
    if smallest_bytes > request.budget {
        return Err(problem.infeasible(&smallest, smallest_bytes));
    }
    let mut overhead = bytes_before as f64 - problem.dense_bytes();
    let mut best = Solution { choices: smallest, price: f64::INFINITY, bound: 0.0, bytes: smallest_bytes };
    // The price list ignores constants per layer; each round learns them from the exact size at the last choice.
    for _ in 0..ROUNDS {
        let (price, bound) = solve(&problem.layers, request.budget as f64 - overhead);
        let choices = problem.fill(price, &best);
        let bytes = problem.exact(&choices);
        overhead = bytes as f64 - problem.model_bytes(&choices);
        let solution = Solution { choices, price, bound, bytes };
        let better = problem.removed(&solution.choices) < problem.removed(&best.choices);
        if bytes <= request.budget && (better || best.price.is_infinite()) {
            best = solution;
        } else {
            break;
        }
    }
    Ok(problem.plan(best, bytes_before))
}

/// Rounds of learning the exact overhead; two nearly always suffice.
const ROUNDS: usize = 4;

struct Solution {
    choices: Vec<Choice>,
    price: f64,
    bound: f64,
    bytes: u64,
}

struct Problem<'a> {
    request: &'a Request<'a>,
    inputs: Vec<PrunableLayer>,
    layers: Vec<LayerChoices>,
    protected: Vec<bool>,
}

impl<'a> Problem<'a> {
    fn new(request: &'a Request<'a>) -> Result<Self, ScheduleError> {
        let inputs = prunable_layers(request.graph);
        if inputs.is_empty() {
            return Err(ScheduleError::NothingToPrune { graph: request.graph.name.clone() });
        }
        let protected: Vec<bool> =
            (0..inputs.len()).map(|i| is_protected(request.options, &inputs, i)).collect();
        let layers = inputs
            .iter()
            .zip(&protected)
            .map(|(layer, &protected)| choices(request, layer, protected))
            .collect::<Result<_, _>>()?;
        Ok(Problem { request, inputs, layers, protected })
    }

    fn smallest(&self) -> Vec<Choice> {
        self.layers.iter().map(LayerChoices::smallest).collect()
    }

    fn dense_bytes(&self) -> f64 {
        self.layers.iter().map(|l| l.layout.len() as f64).sum()
    }

    fn model_bytes(&self, choices: &[Choice]) -> f64 {
        self.layers.iter().zip(choices).map(|(l, c)| l.bytes_of(*c)).sum()
    }

    fn removed(&self, choices: &[Choice]) -> f64 {
        self.layers.iter().zip(choices).map(|(l, c)| l.total - l.forms[c.form].kept[c.count]).sum()
    }

    fn exact(&self, choices: &[Choice]) -> u64 {
        (self.request.size)(self.request.graph, &self.masks(choices))
    }

    /// The best choices of grain at `price`, with as many units of the common ranking as the exact budget holds.
    fn fill(&self, price: f64, fallback: &Solution) -> Vec<Choice> {
        let best: Vec<Choice> = self.layers.iter().map(|l| l.best(price)).collect();
        let ranking = self.ranking(&best);
        let take = |n: usize| self.take(&best, &ranking[..n]);
        let fits = |n: usize| self.exact(&take(n)) <= self.request.budget;
        if !fits(0) {
            return fallback.choices.clone();
        }
        let (mut low, mut high) = (0, ranking.len() + 1);
        let mut guess =
            best.iter().zip(&self.layers).map(|(c, l)| c.count - l.forms[c.form].least).sum::<usize>();
        while high - low > 1 {
            let middle = guess.clamp(low + 1, high - 1);
            if fits(middle) {
                low = middle
            } else {
                high = middle
            }
            guess = low + (high - low) / 2;
        }
        take(low)
    }

    /// All units beyond the least share of each layer's form, best first, as layer indices.
    fn ranking(&self, best: &[Choice]) -> Vec<u32> {
        let mut ranked: Vec<(f64, u32)> = Vec::new();
        for (i, (layer, choice)) in self.layers.iter().zip(best).enumerate() {
            let form = &layer.forms[choice.form];
            ranked.extend(form.density[form.least..].iter().map(|&d| (d, i as u32)));
        }
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|r| r.1).collect()
    }

    fn take(&self, best: &[Choice], ranking: &[u32]) -> Vec<Choice> {
        let least = |(l, c): (&LayerChoices, &Choice)| Choice { form: c.form, count: l.forms[c.form].least };
        let mut choices: Vec<Choice> = self.layers.iter().zip(best).map(least).collect();
        ranking.iter().for_each(|&i| choices[i as usize].count += 1);
        choices
    }

    fn masks(&self, choices: &[Choice]) -> Masks {
        let mut masks = self.request.current.clone();
        for ((input, layer), choice) in self.inputs.iter().zip(&self.layers).zip(choices) {
            let form = &layer.forms[choice.form];
            if form.kind == UnitKind::Dense {
                continue;
            }
            let mut mask = vec![false; layer.layout.len()];
            for &unit in &form.order[..choice.count] {
                layer.layout.elements(form.kind, unit as usize).for_each(|e| mask[e] = true);
            }
            if let Some(current) = self.request.current.get(&input.weights) {
                mask.iter_mut().zip(current).for_each(|(m, c)| *m &= c);
            }
            masks.insert(input.weights, mask);
        }
        masks
    }

    fn infeasible(&self, smallest: &[Choice], bytes: u64) -> ScheduleError {
        let sizes = self.layers.iter().zip(smallest).map(|(l, c)| l.bytes_of(*c));
        let binding = sizes.enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let (layer, layer_bytes) = binding.unwrap_or_default();
        ScheduleError::Infeasible {
            budget: self.request.budget,
            smallest: bytes,
            layer: self.inputs[layer].name.clone(),
            layer_bytes: layer_bytes as u64,
        }
    }

    fn plan(&self, solution: Solution, bytes_before: u64) -> PrunePlan {
        let masks = self.masks(&solution.choices);
        PrunePlan {
            layers: (0..self.layers.len()).map(|i| self.layer_plan(i, solution.choices[i], &masks)).collect(),
            masks,
            budget: self.request.budget,
            bytes_before,
            predicted_bytes: solution.bytes,
            importance_removed: self.removed(&solution.choices),
            importance_total: self.layers.iter().map(|l| l.total).sum(),
            bound: solution.bound,
            price: if solution.price.is_finite() { solution.price } else { 0.0 },
        }
    }

    fn layer_plan(&self, i: usize, choice: Choice, masks: &Masks) -> LayerPlan {
        let (input, layer) = (&self.inputs[i], &self.layers[i]);
        let form = &layer.forms[choice.form];
        let total_weights = layer.layout.len();
        let mask = masks.get(&input.weights);
        let kept_weights = mask.map_or(total_weights, |m| m.iter().filter(|k| **k).count());
        let lost = layer.total - form.kept[choice.count];
        let stored =
            if form.kind == UnitKind::Dense { total_weights } else { form.bytes[choice.count] as usize };
        LayerPlan {
            name: input.name.clone(),
            weights: input.weights,
            unit: form.kind,
            group: form.kind.group(layer.layout.channels),
            kept_units: choice.count,
            total_units: layer.layout.unit_count(form.kind),
            kept_weights,
            total_weights,
            bytes_before: total_weights as u64,
            bytes_after: weight_bytes(&layer.layout, form.kind, stored),
            importance_removed_share: if layer.total > 0.0 {
                (lost / layer.total).clamp(0.0, 1.0)
            } else {
                0.0
            },
            reason: match form.kind {
                _ if self.protected[i] => Reason::Protected,
                UnitKind::Dense => Reason::DenseIsCheapest,
                _ if choice.count == form.least => Reason::LeastShare,
                _ => Reason::PricedOut,
            },
        }
    }
}

fn is_protected(options: &Options, layers: &[PrunableLayer], i: usize) -> bool {
    // A depthwise filter is a few bytes that no index can shrink.
    layers[i].layout.depthwise
        || options.protect.contains(&layers[i].name)
        || options.protect_first && i == 0
        || options.protect_last && i + 1 == layers.len()
}

fn choices(request: &Request, layer: &PrunableLayer, protected: bool) -> Result<LayerChoices, ScheduleError> {
    let layout = layer.layout;
    let fits = |found: usize, what| {
        let error =
            || ScheduleError::Length { layer: layer.name.clone(), expected: layout.len(), found, what };
        if found == layout.len() { Ok(()) } else { Err(error()) }
    };
    let scores = request.importance.scores.get(&layer.weights).map_or(&[][..], Vec::as_slice);
    fits(scores.len(), "importance scores")?;
    let alive = request.current.get(&layer.weights).map(Vec::as_slice);
    fits(alive.map_or(layout.len(), <[bool]>::len), "mask values")?;
    let scores: Vec<f32> = match alive {
        Some(alive) => scores.iter().zip(alive).map(|(&s, &a)| if a { s } else { 0.0 }).collect(),
        None => scores.to_vec(),
    };
    let total = scores.iter().map(|&s| f64::from(s)).sum();
    let input = LayerInput { layout, scores: &scores, alive, least_share: request.options.min_kept };
    let kinds = if protected { vec![] } else { kinds(request.options, layout.channels) };
    let units = kinds.into_iter().map(|kind| Form::units(&input, kind));
    let forms = std::iter::once(Form::dense(&layout, total)).chain(units).collect();
    Ok(LayerChoices { layout, forms, total })
}

fn kinds(options: &Options, channels: usize) -> Vec<UnitKind> {
    let mut groups: Vec<usize> = options.groups.iter().copied().filter(|&g| g > 0 && g < channels).collect();
    groups.sort_unstable();
    groups.dedup();
    let whole = options.filterlets || groups.is_empty();
    groups.into_iter().map(UnitKind::SubFilterlet).chain(whole.then_some(UnitKind::Filterlet)).collect()
}
