//! The multiple-choice knapsack behind the scheduler.
//!
//! Each layer takes one form (dense, or units of some group size); within a form, units are kept in order of importance
//! per byte. For a price of a byte, the best choice of every layer is independent of the others; the price at which the
//! bytes meet the budget gives both the plan and, by Lagrangian duality, a bound on every other plan.

use crate::limits::LayerCycles;
use crate::plan::Index;
use crate::storage::{fixed_index_bytes, unit_index_bytes};
use crate::units::{UnitKind, WeightLayout};

/// One way to store a layer, with its units sorted by falling importance per byte.
pub(crate) struct Form {
    pub kind: UnitKind,
    pub index: Index,
    pub index_bytes: f64,
    /// Units that may be kept, best first.
    pub order: Vec<u32>,
    /// `density[i]`: importance per byte of `order[i]`, falling.
    pub density: Vec<f64>,
    /// `kept[i]`: importance of the first `i` units.
    pub kept: Vec<f64>,
    /// `bytes[i]`: bytes of the first `i` units.
    pub bytes: Vec<f64>,
    /// The least number of units to keep.
    pub least: usize,
    /// The elements of unit `u`, for units that are not runs of channels.
    pub elements: Option<UnitTable>,
    pub time: FormTime,
}

/// Cycles of a form: affine in the bytes of its units.
#[derive(Clone, Copy, Default)]
pub(crate) struct FormTime {
    pub fixed: f64,
    pub per_byte: f64,
}

/// What a byte and a cycle are worth in importance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prices {
    pub byte: f64,
    pub cycle: f64,
}

/// What the layers may take together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub bytes: f64,
    /// Infinite without a limit.
    pub cycles: f64,
    pub pace: PricedPace,
}

/// Cycles to keep to where that is cheap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PricedPace {
    /// Infinite without a pace.
    pub cycles: f64,
    /// The most that a cycle is worth for it, in prices of a byte.
    pub worth: f64,
}

impl PricedPace {
    pub const NONE: PricedPace = PricedPace { cycles: f64::INFINITY, worth: 0.0 };
}

/// The elements of units that no [`UnitKind`] can enumerate: `per_unit` of them for each unit.
pub(crate) struct UnitTable {
    pub per_unit: usize,
    pub elements: Vec<u32>,
}

/// Units of one layer with their price.
pub(crate) struct Units {
    pub kind: UnitKind,
    pub index: Index,
    pub scores: Vec<f64>,
    /// Bytes of each unit when it is kept.
    pub bytes: Vec<f64>,
    /// Bytes of the layer's index whatever is kept.
    pub fixed: f64,
    /// Units that may be kept.
    pub alive: Option<Vec<bool>>,
    /// The least number of units to keep.
    pub least: usize,
    pub elements: Option<UnitTable>,
}

/// The choices of one layer.
pub(crate) struct LayerChoices {
    pub layout: WeightLayout,
    pub forms: Vec<Form>,
    /// Importance of the layer.
    pub total: f64,
}

/// A form and how many of its units are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    pub form: usize,
    pub count: usize,
}

/// What is known about one layer before its forms are built.
pub(crate) struct LayerInput<'a> {
    pub layout: WeightLayout,
    /// One per weight.
    pub scores: &'a [f32],
    /// Weights that are still there; `None`: all.
    pub alive: Option<&'a [bool]>,
    pub least_share: f64,
}

impl Form {
    pub fn dense(layout: &WeightLayout, total: f64) -> Self {
        Form {
            kind: UnitKind::Dense,
            index: Index::None,
            index_bytes: 0.0,
            order: vec![0],
            density: vec![f64::INFINITY],
            kept: vec![0.0, total],
            bytes: vec![0.0, layout.len() as f64],
            least: 1,
            elements: None,
            time: FormTime::default(),
        }
    }

    pub fn units(input: &LayerInput, kind: UnitKind, index: Index) -> Self {
        let layout = &input.layout;
        let scores = layout.unit_sums(kind, input.scores);
        let (runs, group) = (layout.runs(kind), kind.group(layout.channels));
        let per_unit = unit_index_bytes(index) as f64;
        let size = |u: usize| group.min(layout.channels - u % runs * group) as f64 + per_unit;
        Form::ranked(Units {
            kind,
            index,
            bytes: (0..scores.len()).map(size).collect(),
            fixed: fixed_index_bytes(layout, kind, index) as f64,
            alive: alive_units(input, kind),
            least: (input.least_share * scores.len() as f64).ceil() as usize,
            elements: None,
            scores,
        })
    }

    /// The same units under another index: the order is the same when all units have one size.
    pub fn reindexed(&self, input: &LayerInput, index: Index) -> Self {
        let layout = &input.layout;
        if !layout.channels.is_multiple_of(self.kind.group(layout.channels)) {
            return Form::units(input, self.kind, index);
        }
        let before = self.kind.group(layout.channels) as f64 + unit_index_bytes(self.index) as f64;
        let after = self.kind.group(layout.channels) as f64 + unit_index_bytes(index) as f64;
        Form {
            kind: self.kind,
            index,
            index_bytes: fixed_index_bytes(layout, self.kind, index) as f64,
            order: self.order.clone(),
            density: self.density.iter().map(|d| d * before / after).collect(),
            kept: self.kept.clone(),
            bytes: (0..=self.order.len()).map(|n| n as f64 * after).collect(),
            least: self.least,
            elements: None,
            time: FormTime::default(),
        }
    }

    /// Sorts units by importance per byte.
    pub fn ranked(units: Units) -> Self {
        let Units { scores, bytes, alive, .. } = &units;
        let mut ranked: Vec<(f64, u32)> = (0..scores.len())
            .filter(|&u| alive.as_ref().is_none_or(|a| a[u]))
            .map(|u| (scores[u] / bytes[u], u as u32))
            .collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let order: Vec<u32> = ranked.iter().map(|r| r.1).collect();
        Form {
            kind: units.kind,
            index: units.index,
            index_bytes: units.fixed,
            density: ranked.iter().map(|r| r.0).collect(),
            kept: prefix(order.iter().map(|&u| scores[u as usize])),
            bytes: prefix(order.iter().map(|&u| bytes[u as usize])),
            least: units.least.max(1).min(order.len()),
            elements: units.elements,
            order,
            time: FormTime::default(),
        }
    }

    /// Marks the weights of the first `count` units.
    pub fn mark(&self, layout: &WeightLayout, count: usize, mask: &mut [bool]) {
        for &unit in &self.order[..count] {
            match &self.elements {
                None => layout.elements(self.kind, unit as usize).for_each(|e| mask[e] = true),
                Some(table) => {
                    let own = &table.elements[unit as usize * table.per_unit..][..table.per_unit];
                    own.iter().for_each(|&e| mask[e as usize] = true);
                }
            }
        }
    }

    /// The same form with the cycles of its kernel.
    pub fn timed(mut self, layout: &WeightLayout, cycles: &LayerCycles) -> Self {
        let group = self.kind.group(layout.channels) as f64;
        self.time = match self.kind {
            UnitKind::Dense => FormTime { fixed: cycles.dense, per_byte: 0.0 },
            _ => {
                let bytes = group + unit_index_bytes(self.index) as f64;
                let per_byte = (cycles.per_run + group * cycles.per_weight) / bytes;
                FormTime { fixed: cycles.sparse, per_byte }
            }
        };
        self
    }

    /// What a unit's byte costs with the cycles that come with it.
    pub fn rate(&self, prices: Prices) -> f64 {
        prices.byte + prices.cycle * self.time.per_byte
    }

    /// The number of units worth what they take at `prices`.
    fn best_count(&self, prices: Prices) -> usize {
        let rate = self.rate(prices);
        self.density.partition_point(|&d| d > rate).max(self.least)
    }

    pub fn cycles_of(&self, count: usize) -> f64 {
        self.time.fixed + self.time.per_byte * self.bytes[count]
    }

    pub fn bytes_of(&self, count: usize) -> f64 {
        self.index_bytes + self.bytes[count]
    }
}

impl LayerChoices {
    /// Removed importance plus priced bytes and cycles of a choice.
    fn lagrangian(&self, choice: Choice, prices: Prices) -> f64 {
        let form = &self.forms[choice.form];
        let price = prices.byte * form.bytes_of(choice.count) + prices.cycle * form.cycles_of(choice.count);
        self.total - form.kept[choice.count] + price
    }

    /// The best choice at `prices`; the first form wins a tie.
    pub fn best(&self, prices: Prices) -> Choice {
        let choices =
            (0..self.forms.len()).map(|form| Choice { form, count: self.forms[form].best_count(prices) });
        let cost = |c: &Choice| self.lagrangian(*c, prices);
        choices.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(Choice { form: 0, count: 0 })
    }

    /// The choice with the fewest bytes.
    pub fn smallest(&self) -> Choice {
        self.least_by(|c| self.bytes_of(*c))
    }

    /// The choice with the fewest cycles.
    pub fn fastest(&self) -> Choice {
        self.least_by(|c| self.cycles_of(*c))
    }

    fn least_by(&self, amount: impl Fn(&Choice) -> f64) -> Choice {
        let choices = (0..self.forms.len()).map(|form| Choice { form, count: self.forms[form].least });
        choices.min_by(|a, b| amount(a).total_cmp(&amount(b))).unwrap_or(Choice { form: 0, count: 0 })
    }

    pub fn bytes_of(&self, choice: Choice) -> f64 {
        self.forms[choice.form].bytes_of(choice.count)
    }

    pub fn cycles_of(&self, choice: Choice) -> f64 {
        self.forms[choice.form].cycles_of(choice.count)
    }
}

/// The prices at which the layers' best choices keep the limit, and the best dual bound met on the way.
pub(crate) fn solve(layers: &[LayerChoices], limit: Limit) -> (Prices, f64) {
    let top = layers.iter().map(|l| l.total).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut search = Search { layers, limit, worth: 0.0, top, bound: 0.0 };
    let prices = search.prices();
    (prices, search.bound)
}

/// A search over prices that remembers the best bound it saw.
struct Search<'a> {
    layers: &'a [LayerChoices],
    limit: Limit,
    /// The least price of a cycle, in prices of a byte.
    worth: f64,
    /// A price that no byte or cycle is worth.
    top: f64,
    bound: f64,
}

impl Search<'_> {
    fn prices(&mut self) -> Prices {
        self.worth = self.least_worth();
        let flash_only = self.flash_prices(0.0);
        if self.limit.cycles.is_infinite() || self.take(flash_only).1 <= self.limit.cycles {
            return flash_only;
        }
        let cycle = self.least_price(|search, cycle| {
            let prices = search.flash_prices(cycle);
            search.take(prices).1 <= search.limit.cycles
        });
        self.flash_prices(cycle)
    }

    /// What a cycle has to be worth to keep the pace, or the most that it may be worth.
    fn least_worth(&mut self) -> f64 {
        // To a part in 64.
        const BISECTIONS: usize = 6;
        let pace = self.limit.pace;
        if pace.worth == 0.0 || self.keeps_pace(0.0) {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, pace.worth);
        for _ in 0..BISECTIONS {
            let middle = (low + high) / 2.0;
            if self.keeps_pace(middle) { high = middle } else { low = middle }
        }
        high
    }

    fn keeps_pace(&mut self, worth: f64) -> bool {
        self.worth = worth;
        let prices = self.flash_prices(0.0);
        self.take(prices).1 <= self.limit.pace.cycles
    }

    /// The least price of a byte at which the bytes fit when a cycle costs at least `cycle`.
    fn flash_prices(&mut self, cycle: f64) -> Prices {
        let worth = self.worth;
        let at = |byte: f64| Prices { byte, cycle: cycle.max(worth * byte) };
        let fits = |search: &mut Self, byte| search.take(at(byte)).0 <= search.limit.bytes;
        at(if fits(self, 0.0) { 0.0 } else { self.least_price(fits) })
    }

    /// The least price at which `fits`, which no lower price does; the scale of importance is unknown, so steps are
    /// factors.
    fn least_price(&mut self, mut fits: impl FnMut(&mut Self, f64) -> bool) -> f64 {
        const STEP: f64 = 16.0;
        // Down to 2e-8 of the price; the exact size settles what is left.
        const BISECTIONS: usize = 27;
        let floor = self.top * 1e-30;
        let mut high = self.top;
        while high > floor && fits(self, high / STEP) {
            high /= STEP;
        }
        let mut low = high / STEP;
        for _ in 0..BISECTIONS {
            let middle = (low * high).sqrt();
            if fits(self, middle) { high = middle } else { low = middle }
        }
        high
    }

    /// Bytes and cycles of the best choices at `prices`.
    fn take(&mut self, prices: Prices) -> (f64, f64) {
        let (mut bytes, mut cycles) = (0.0, 0.0);
        let mut value = -prices.byte * self.limit.bytes;
        if prices.cycle > 0.0 {
            value -= prices.cycle * self.limit.cycles;
        }
        for layer in self.layers {
            let choice = layer.best(prices);
            bytes += layer.bytes_of(choice);
            cycles += layer.cycles_of(choice);
            value += layer.lagrangian(choice, prices);
        }
        // Minus infinity where cycles have a price and no limit.
        self.bound = self.bound.max(value);
        (bytes, cycles)
    }
}

fn alive_units(input: &LayerInput, kind: UnitKind) -> Option<Vec<bool>> {
    let mask = input.alive?;
    let mut alive = vec![false; input.layout.unit_count(kind)];
    mask.iter()
        .enumerate()
        .filter(|(_, kept)| **kept)
        .for_each(|(e, _)| alive[input.layout.unit_of(kind, e)] = true);
    Some(alive)
}

fn prefix(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain(values.map(|v| {
            sum += v;
            sum
        }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(filters: usize, channels: usize, seed: usize) -> LayerChoices {
        let layout = WeightLayout { filters, positions: 1, channels, depthwise: false };
        let scores: Vec<f32> = (0..layout.len()).map(|i| ((i * 7919 + seed * 104_729) % 97) as f32).collect();
        let input = LayerInput { layout, scores: &scores, alive: None, least_share: 0.0 };
        let total = scores.iter().map(|&s| f64::from(s)).sum();
        let kinds = [UnitKind::SubFilterlet(2), UnitKind::Filterlet];
        let forms = std::iter::once(Form::dense(&layout, total))
            .chain(kinds.map(|k| Form::units(&input, k, Index::Bitmap)));
        LayerChoices { layout, forms: forms.collect(), total }
    }

    /// Every subset of units of every form: the true optimum of two small layers.
    fn exhaustive(layers: &[LayerChoices], budget: f64) -> f64 {
        let options = |l: &LayerChoices| -> Vec<(f64, f64)> {
            let mut all = Vec::new();
            for form in &l.forms {
                let n = form.order.len();
                for subset in 0u32..1 << n {
                    if (subset.count_ones() as usize) < form.least {
                        continue;
                    }
                    let picked = (0..n).filter(|i| subset >> i & 1 == 1);
                    let (mut kept, mut bytes) = (0.0, form.index_bytes);
                    for i in picked {
                        kept += form.kept[i + 1] - form.kept[i];
                        bytes += form.bytes[i + 1] - form.bytes[i];
                    }
                    all.push((l.total - kept, bytes));
                }
            }
            all
        };
        let (a, b) = (options(&layers[0]), options(&layers[1]));
        let mut best = f64::INFINITY;
        for x in &a {
            for y in b.iter().filter(|y| x.1 + y.1 <= budget) {
                best = best.min(x.0 + y.0);
            }
        }
        best
    }

    #[test]
    fn the_bound_is_below_the_optimum_and_close() {
        for seed in 0..6 {
            let layers = [layer(2, 6, seed), layer(3, 4, seed + 50)];
            let total: f64 = layers.iter().map(|l| l.total).sum();
            for budget in [8.0, 11.0, 14.0, 18.0, 24.0] {
                let optimum = exhaustive(&layers, budget);
                let (prices, bound) =
                    solve(&layers, Limit { bytes: budget, cycles: f64::INFINITY, pace: PricedPace::NONE });
                assert!(bound <= optimum + 1e-9, "seed {seed} budget {budget}: {bound} > {optimum}");
                assert!(optimum - bound <= 0.25 * total, "seed {seed} budget {budget}: loose bound");
                let bytes: f64 = layers.iter().map(|l| l.bytes_of(l.best(prices))).sum();
                assert!(bytes <= budget, "seed {seed}: {bytes} > {budget}");
            }
        }
    }

    #[test]
    fn a_free_budget_keeps_everything() {
        let layers = [layer(2, 6, 1)];
        let (prices, bound) =
            solve(&layers, Limit { bytes: 12.0, cycles: f64::INFINITY, pace: PricedPace::NONE });
        assert_eq!((prices, bound), (Prices::default(), 0.0));
        assert_eq!(layers[0].forms[layers[0].best(prices).form].kind, UnitKind::Dense);
    }

    /// Sparse kernels that take twice the cycles of dense ones for each weight.
    fn timed(mut layer: LayerChoices) -> LayerChoices {
        let dense = layer.layout.len() as f64;
        let cycles = LayerCycles { dense, sparse: 1.0, per_run: 1.0, per_weight: 2.0 };
        let layout = layer.layout;
        layer.forms = layer.forms.into_iter().map(|f| f.timed(&layout, &cycles)).collect();
        layer
    }

    #[test]
    fn both_limits_are_kept_and_the_bound_knows_the_second() {
        for seed in 0..6 {
            let layers = [timed(layer(4, 8, seed)), timed(layer(6, 6, seed + 9))];
            for (bytes, cycles) in [(60.0, 40.0), (40.0, 60.0), (30.0, 30.0)] {
                let (prices, bound) = solve(&layers, Limit { bytes, cycles, pace: PricedPace::NONE });
                let (mut b, mut c, mut lost) = (0.0, 0.0, 0.0);
                for l in &layers {
                    let choice = l.best(prices);
                    b += l.bytes_of(choice);
                    c += l.cycles_of(choice);
                    lost += l.total - l.forms[choice.form].kept[choice.count];
                }
                assert!(b <= bytes && c <= cycles, "seed {seed}: {b} bytes, {c} cycles");
                let alone = solve(&layers, Limit { bytes, cycles: f64::INFINITY, pace: PricedPace::NONE }).1;
                assert!(bound >= alone - 1e-9 && bound <= lost + 1e-9, "seed {seed}: {alone} {bound} {lost}");
            }
        }
    }
}
