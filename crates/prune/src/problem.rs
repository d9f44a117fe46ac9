//! The knapsack of one graph, and its solution under an exact byte budget.

use dtmm_graph::Masks;

use crate::knapsack::{Choice, Form, LayerChoices, LayerInput, solve};
use crate::method::Method;
use crate::plan::Index;
use crate::reduced::Reduced;
use crate::rivals::{n_of_four, pattern, unstructured};
use crate::schedule::{Options, PackageSize, ScheduleError};
use crate::units::{PrunableLayer, UnitKind, prunable_layers};

/// Choices for every layer, the price of a byte behind them, and what they come to.
pub(crate) struct Solution {
    pub choices: Vec<Choice>,
    pub price: f64,
    /// No choices within the budget remove less importance.
    pub bound: f64,
    /// Exact package bytes.
    pub bytes: u64,
}

/// What to solve for a graph whose channels are settled.
pub(crate) struct Problem<'a> {
    pub state: &'a Reduced,
    pub inputs: Vec<PrunableLayer>,
    pub layers: Vec<LayerChoices>,
    pub protected: Vec<bool>,
    pub budget: u64,
    bytes: Bytes,
}

/// Where a solution's exact bytes come from.
pub(crate) enum Bytes {
    /// The package writer.
    Package(PackageSize),
    /// The price list, for storage that the package does not have, plus these bytes for everything else.
    Listed(f64),
}

impl<'a> Problem<'a> {
    pub fn new(
        state: &'a Reduced,
        options: &Options,
        budget: u64,
        size: PackageSize,
    ) -> Result<Self, ScheduleError> {
        let inputs = prunable_layers(&state.graph);
        if inputs.is_empty() {
            return Err(ScheduleError::NothingToPrune { graph: state.graph.name.clone() });
        }
        let protected: Vec<bool> = (0..inputs.len()).map(|i| is_protected(options, &inputs, i)).collect();
        let choices =
            |(layer, protected): (&PrunableLayer, &bool)| choices(state, options, layer, *protected);
        let layers: Vec<LayerChoices> =
            inputs.iter().zip(&protected).map(choices).collect::<Result<_, _>>()?;
        let bytes = if options.method.has_package() {
            Bytes::Package(size)
        } else {
            let dense: f64 = layers.iter().map(|l| l.layout.len() as f64).sum();
            Bytes::Listed(size(&Masks::new()) as f64 - dense)
        };
        Ok(Problem { state, inputs, layers, protected, budget, bytes })
    }

    pub fn smallest(&self) -> Solution {
        let choices: Vec<Choice> = self.layers.iter().map(LayerChoices::smallest).collect();
        Solution { bytes: self.exact(&choices), choices, price: f64::INFINITY, bound: 0.0 }
    }

    /// Every layer dense.
    pub fn dense(&self) -> Solution {
        let choices: Vec<Choice> = self.layers.iter().map(|_| Choice { form: 0, count: 1 }).collect();
        Solution { bytes: self.exact(&choices), choices, price: 0.0, bound: 0.0 }
    }

    /// The best choices by the price list when everything it does not list takes `overhead` bytes.
    pub fn estimate(&self, overhead: f64) -> Solution {
        let (price, bound) = solve(&self.layers, self.budget as f64 - overhead);
        let choices: Vec<Choice> = self.layers.iter().map(|l| l.best(price)).collect();
        Solution { bytes: self.exact(&choices), choices, price, bound }
    }

    /// The least importance removed within the exact budget; `None` when not even the smallest solution fits.
    pub fn solve_exactly(&self) -> Option<Solution> {
        let dense = self.dense();
        if dense.bytes <= self.budget {
            return Some(dense);
        }
        let mut best = Some(self.smallest()).filter(|s| s.bytes <= self.budget)?;
        let mut overhead = self.overhead(&dense);
        // The dense package lists all there is, but may pad each layer; a bound must not count the padding as needed.
        let padding = ALIGNMENT * (self.layers.len() + 4) as f64;
        let bound = solve(&self.layers, self.budget as f64 - overhead + padding).1;
        // The price list ignores some constants; each round learns them from the exact size at the last choice.
        for _ in 0..ROUNDS {
            let price = solve(&self.layers, self.budget as f64 - overhead).0;
            let Some(choices) = self.fill(price) else { break };
            let solution = Solution { bytes: self.exact(&choices), choices, price, bound };
            overhead = self.overhead(&solution);
            if best.price.is_finite() && self.removed(&solution) >= self.removed(&best) {
                break;
            }
            best = solution;
        }
        Some(Solution { bound, ..best })
    }

    /// Exact bytes beyond the price list.
    pub fn overhead(&self, solution: &Solution) -> f64 {
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

    /// The layer with the most bytes.
    pub fn binding(&self, solution: &Solution) -> (String, u64) {
        let sizes = self.layers.iter().zip(&solution.choices).map(|(l, c)| l.bytes_of(*c));
        let (layer, bytes) =
            sizes.enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).unwrap_or_default();
        (self.inputs[layer].name.clone(), bytes as u64)
    }

    pub fn exact(&self, choices: &[Choice]) -> u64 {
        match &self.bytes {
            Bytes::Package(size) => size(&self.masks(choices)),
            Bytes::Listed(rest) => (self.listed_bytes(choices) + rest).ceil() as u64,
        }
    }

    fn listed_bytes(&self, choices: &[Choice]) -> f64 {
        self.layers.iter().zip(choices).map(|(l, c)| l.bytes_of(*c)).sum()
    }

    /// The best grains at `price`, with as many units of the common ranking as the exact budget holds.
    fn fill(&self, price: f64) -> Option<Vec<Choice>> {
        let best: Vec<Choice> = self.layers.iter().map(|l| l.best(price)).collect();
        let ranking = self.ranking(&best);
        let fits = |n: usize| self.exact(&self.take(&best, &ranking[..n])) <= self.budget;
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
    let forms = std::iter::once(Form::dense(&layout, total)).chain(units).collect();
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
        Method::FilterOnly | Method::Anneal { .. } => vec![],
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
    let mut groups: Vec<usize> = options.groups.iter().copied().filter(|&g| g > 0 && g < channels).collect();
    groups.sort_unstable();
    groups.dedup();
    let whole = options.filterlets || groups.is_empty();
    groups.into_iter().map(UnitKind::SubFilterlet).chain(whole.then_some(UnitKind::Filterlet)).collect()
}
