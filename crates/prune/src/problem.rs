//! The knapsack of one graph, and its solution under an exact byte budget.

use dtmm_graph::Masks;

use crate::knapsack::{Choice, Form, LayerChoices, LayerInput, Limit, PricedPace, Prices, solve};
use crate::limits::LayerCycles;
use crate::method::Method;
use crate::plan::Index;
use crate::reduced::Reduced;
use crate::rivals::{n_of_four, pattern, unstructured};
use crate::schedule::{Options, PackageSize, Request, ScheduleError};
use crate::units::{PrunableLayer, UnitKind, prunable_layers};

/// Choices for every layer, the prices behind them, and what they come to.
pub(crate) struct Solution {
    pub choices: Vec<Choice>,
    pub prices: Prices,
    /// No choices within the budget remove less importance.
    pub bound: f64,
    /// Exact package bytes.
    pub bytes: u64,
    /// Cycles of one inference; 0 when nothing measures them.
    pub cycles: f64,
}

/// What to solve for a graph whose channels are settled.
pub(crate) struct Problem<'a> {
    pub state: &'a Reduced,
    pub inputs: Vec<PrunableLayer>,
    pub layers: Vec<LayerChoices>,
    pub protected: Vec<bool>,
    pub budget: u64,
    /// Cycles of one inference; infinite without a limit.
    pub cycle_limit: f64,
    pace: PricedPace,
    bytes: Bytes,
    /// Package bytes of the dense model but for its weights. (Masks of earlier rounds hold for [`Problem::dense`], too,
    /// which says nothing about what lies beside the weights.)
    pub beside_weights: f64,
    /// Cycles of everything that is not in `layers`.
    pub other_cycles: f64,
    /// Cycles of each layer, by kernel.
    pub layer_cycles: Vec<LayerCycles>,
}

/// Where a solution's exact bytes come from.
pub(crate) enum Bytes {
    /// The package writer.
    Package(PackageSize),
    /// The price list, for storage that the package does not have, and what the dense package holds beside weights.
    Listed,
}

impl<'a> Problem<'a> {
    pub fn new(state: &'a Reduced, request: &Request) -> Result<Self, ScheduleError> {
        let options = request.options;
        let inputs = prunable_layers(&state.graph);
        if inputs.is_empty() {
            return Err(ScheduleError::NothingToPrune { graph: state.graph.name.clone() });
        }
        let protected: Vec<bool> = (0..inputs.len()).map(|i| is_protected(options, &inputs, i)).collect();
        let cycles = request.cycles_of(&state.graph)?;
        let layer_cycles: Vec<LayerCycles> =
            inputs.iter().map(|l| cycles.layers.get(&l.weights).copied().unwrap_or_default()).collect();
        let choices = |i: usize| choices(state, options, &inputs[i], protected[i], &layer_cycles[i]);
        let layers: Vec<LayerChoices> = (0..inputs.len()).map(choices).collect::<Result<_, _>>()?;
        let size = request.size_of(&state.graph)?;
        let weights: f64 = layers.iter().map(|l| l.layout.len() as f64).sum();
        let beside_weights = size(&Masks::new()) as f64 - weights;
        let bytes = if options.method.has_package() { Bytes::Package(size) } else { Bytes::Listed };
        let cycle_limit = request.device.limits.cycles.unwrap_or(f64::INFINITY);
        let (budget, other_cycles) = (request.budget, cycles.other);
        let time = other_cycles + layer_cycles.iter().map(|l| l.dense).sum::<f64>();
        let pace = options.pace.filter(|_| time > 0.0).map_or(PricedPace::NONE, |pace| PricedPace {
            cycles: pace.cycles,
            worth: pace.worth * weights / time,
        });
        Ok(Problem {
            state,
            inputs,
            layers,
            protected,
            budget,
            cycle_limit,
            pace,
            bytes,
            beside_weights,
            other_cycles,
            layer_cycles,
        })
    }

    pub fn smallest(&self) -> Solution {
        self.extreme(self.layers.iter().map(LayerChoices::smallest).collect())
    }

    pub fn fastest(&self) -> Solution {
        self.extreme(self.layers.iter().map(LayerChoices::fastest).collect())
    }

    fn extreme(&self, choices: Vec<Choice>) -> Solution {
        let price = if self.cycle_limit.is_finite() { f64::INFINITY } else { 0.0 };
        self.solution(choices, Prices { byte: f64::INFINITY, cycle: price })
    }

    /// Every layer dense.
    pub fn dense(&self) -> Solution {
        self.solution(self.layers.iter().map(|_| Choice { form: 0, count: 1 }).collect(), Prices::default())
    }

    pub fn solution(&self, choices: Vec<Choice>, prices: Prices) -> Solution {
        let (bytes, cycles) = (self.exact(&choices), self.cycles(&choices));
        Solution { choices, prices, bound: 0.0, bytes, cycles }
    }

    pub fn fits(&self, solution: &Solution) -> bool {
        solution.bytes <= self.budget && solution.cycles <= self.cycle_limit
    }

    /// What the layers may take when everything the price list does not know takes `overhead` bytes.
    fn limit(&self, overhead: f64) -> Limit {
        Limit {
            bytes: self.budget as f64 - overhead,
            cycles: self.cycle_limit - self.other_cycles,
            pace: PricedPace { cycles: self.pace.cycles - self.other_cycles, ..self.pace },
        }
    }

    /// The best choices by the price list when everything it does not list takes `overhead` bytes.
    pub fn estimate(&self, overhead: f64) -> Solution {
        let prices = solve(&self.layers, self.limit(overhead)).0;
        let choices: Vec<Choice> = self.layers.iter().map(|l| l.best(prices)).collect();
        self.solution(choices, prices)
    }

    /// No choices of `layers` within the budget remove less importance.
    pub fn bound(&self, layers: &[LayerChoices]) -> f64 {
        // The dense package lists all there is, but may pad each layer; a bound must not count the padding as needed.
        let padding = ALIGNMENT * (layers.len() + 4) as f64;
        // Nor the pace: that is no limit.
        solve(layers, Limit { pace: PricedPace::NONE, ..self.limit(self.beside_weights - padding) }).1
    }

    /// The least importance removed within the exact budget; `None` when not even the smallest solution fits.
    pub fn solve_exactly(&self) -> Option<Solution> {
        let dense = self.dense();
        if self.fits(&dense) {
            return Some(dense);
        }
        let mut best = [self.smallest(), self.fastest()].into_iter().find(|s| self.fits(s))?;
        let mut overhead = self.beside_weights;
        let bound = self.bound(&self.layers);
        // The price list ignores some constants; each round learns them from the exact size at the last choice.
        for _ in 0..ROUNDS {
            let prices = solve(&self.layers, self.limit(overhead)).0;
            let Some(choices) = self.fill(prices) else { break };
            let solution = self.solution(choices, prices);
            overhead = self.overhead(&solution);
            if best.prices.byte.is_finite() && self.removed(&solution) >= self.removed(&best) {
                break;
            }
            best = solution;
        }
        Some(Solution { bound, ..best })
    }

    /// Exact bytes beyond the price list.
    fn overhead(&self, solution: &Solution) -> f64 {
        solution.bytes as f64 - self.listed_bytes(&solution.choices)
    }

    /// Importance that a solution removes from this graph.
    pub fn removed(&self, solution: &Solution) -> f64 {
        let removed = |(l, c): (&LayerChoices, &Choice)| l.total - l.forms[c.form].kept[c.count];
        self.layers.iter().zip(&solution.choices).map(removed).sum()
    }

    pub fn masks(&self, choices: &[Choice]) -> Masks {
        let mut masks = self.state.masks.clone();
        for ((input, layer), choice) in self.inputs.iter().zip(&self.layers).zip(choices) {
            let form = &layer.forms[choice.form];
            if form.kind == UnitKind::Dense {
                continue;
            }
            let mut mask = vec![false; layer.layout.len()];
            form.mark(&layer.layout, choice.count, &mut mask);
            if let Some(current) = self.state.masks.get(&input.weights) {
                mask.iter_mut().zip(current).for_each(|(m, c)| *m &= c);
            }
            masks.insert(input.weights, mask);
        }
        masks
    }

    /// The layer with the most of `amount`, and how much that is.
    pub fn binding(&self, solution: &Solution, amount: fn(&LayerChoices, Choice) -> f64) -> (String, f64) {
        let amounts = self.layers.iter().zip(&solution.choices).map(|(l, c)| amount(l, *c));
        let (layer, most) =
            amounts.enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).unwrap_or_default();
        (format!("layer '{}'", self.inputs[layer].name), most)
    }

    pub fn exact(&self, choices: &[Choice]) -> u64 {
        match &self.bytes {
            Bytes::Package(size) => size(&self.masks(choices)),
            Bytes::Listed => (self.listed_bytes(choices) + self.beside_weights).ceil() as u64,
        }
    }

    fn cycles(&self, choices: &[Choice]) -> f64 {
        self.other_cycles + self.layers.iter().zip(choices).map(|(l, c)| l.cycles_of(*c)).sum::<f64>()
    }

    fn listed_bytes(&self, choices: &[Choice]) -> f64 {
        self.layers.iter().zip(choices).map(|(l, c)| l.bytes_of(*c)).sum()
    }

    /// The best grains at `prices`, with as many units of the common ranking as the exact budget holds.
    fn fill(&self, prices: Prices) -> Option<Vec<Choice>> {
        let best: Vec<Choice> = self.layers.iter().map(|l| l.best(prices)).collect();
        let ranking = self.ranking(&best, prices);
        let fits = |n: usize| {
            let choices = self.take(&best, &ranking[..n]);
            self.cycles(&choices) <= self.cycle_limit && self.exact(&choices) <= self.budget
        };
        if !fits(0) {
            return None;
        }
        let (mut low, mut high) = (0, ranking.len() + 1);
        let mut step = 1;
        let mut guess: usize =
            best.iter().zip(&self.layers).map(|(c, l)| c.count - l.forms[c.form].least).sum();
        // The guess is nearly right: widen around it first, then bisect.
        while high - low > 1 {
            let middle = guess.clamp(low + 1, high - 1);
            let fit = fits(middle);
            if fit {
                low = middle
            } else {
                high = middle
            }
            step *= 8;
            let next = if fit { low + step } else { high.saturating_sub(step) };
            guess = if next > low && next < high { next } else { low + (high - low) / 2 };
        }
        Some(self.take(&best, &ranking[..low]))
    }

    /// All units beyond the least share of each layer's form, best first, as layer indices.
    fn ranking(&self, best: &[Choice], prices: Prices) -> Vec<u32> {
        let mut ranked: Vec<(f64, u32)> = Vec::new();
        for (i, (layer, choice)) in self.layers.iter().zip(best).enumerate() {
            let form = &layer.forms[choice.form];
            // Without a cycle price all rates are the same: importance per byte alone ranks, exactly.
            let rate = if prices.cycle > 0.0 { form.rate(prices) } else { 1.0 };
            ranked.extend(form.density[form.least..].iter().map(|&d| (d / rate, i as u32)));
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
}

/// What the package aligns each part to, in bytes.
const ALIGNMENT: f64 = 4.0;

/// Rounds of learning the exact overhead; two nearly always suffice.
const ROUNDS: usize = 4;

fn is_protected(options: &Options, layers: &[PrunableLayer], i: usize) -> bool {
    // A depthwise filter is a few bytes that no index can shrink.
    layers[i].layout.depthwise
        || options.protect.contains(&layers[i].name)
        || options.protect_first && i == 0
        || options.protect_last && i + 1 == layers.len()
}

fn choices(
    state: &Reduced,
    options: &Options,
    layer: &PrunableLayer,
    protected: bool,
    cycles: &LayerCycles,
) -> Result<LayerChoices, ScheduleError> {
    let layout = layer.layout;
    let fits = |found: usize, what| {
        let error =
            || ScheduleError::Length { layer: layer.name.clone(), expected: layout.len(), found, what };
        if found == layout.len() { Ok(()) } else { Err(error()) }
    };
    let scores = state.importance.scores.get(&layer.weights).map_or(&[][..], Vec::as_slice);
    fits(scores.len(), "importance scores")?;
    let alive = state.masks.get(&layer.weights).map(Vec::as_slice);
    fits(alive.map_or(layout.len(), <[bool]>::len), "mask values")?;
    let total = scores.iter().map(|&s| f64::from(s)).sum();
    let input = LayerInput { layout, scores, alive, least_share: options.min_kept };
    let units = if protected { vec![] } else { forms(options, &input) };
    let forms = std::iter::once(Form::dense(&layout, total)).chain(units);
    let forms = forms.map(|f| f.timed(&layout, cycles)).collect();
    Ok(LayerChoices { layout, forms, total })
}

/// The ways to store a layer that the method knows, besides dense.
fn forms(options: &Options, input: &LayerInput) -> Vec<Form> {
    match options.method {
        Method::Unstructured => vec![unstructured(input)],
        Method::Pattern => pattern(input).into_iter().collect(),
        Method::OneInFour => n_of_four(input, 1).into_iter().collect(),
        Method::TwoInFour => n_of_four(input, 2).into_iter().collect(),
        Method::NInFour => [1, 2].into_iter().filter_map(|n| n_of_four(input, n)).collect(),
        Method::FilterOnly => vec![],
        // One position: the paper prunes 1×1 kernels by filters only.
        Method::Anneal { .. } if input.layout.positions == 1 || !options.filterlets => vec![],
        Method::Anneal { .. } => vec![Form::units(input, UnitKind::Filterlet, Index::Pairs)],
        Method::Lagrangian | Method::Uniform => {
            let pair = |kind| {
                let bitmap = Form::units(input, kind, Index::Bitmap);
                let gaps = bitmap.reindexed(input, Index::Gaps);
                [bitmap, gaps]
            };
            kinds(options, input.layout.channels).into_iter().flat_map(pair).collect()
        }
    }
}

fn kinds(options: &Options, channels: usize) -> Vec<UnitKind> {
    // A layer with fewer channels than any group has them all in one.
    let narrow = options.groups.iter().any(|&g| g >= channels);
    let mut groups: Vec<usize> = options.groups.iter().copied().filter(|&g| g > 0 && g < channels).collect();
    groups.sort_unstable();
    groups.dedup();
    let whole = options.filterlets || groups.is_empty() && narrow;
    groups.into_iter().map(UnitKind::SubFilterlet).chain(whole.then_some(UnitKind::Filterlet)).collect()
}
