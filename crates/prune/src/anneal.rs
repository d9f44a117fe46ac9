//! The paper's scheduler: simulated annealing over the shares that each layer loses (Han, Xiao, Li 2024).
//!
//! Each layer has two numbers: β, the share of its least important filters that go, and α, the share of the remaining
//! filterlets that go, least important first. The energy is the importance lost; states beyond the budget are refused.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::channels::ChannelMap;
use crate::knapsack::{Choice, Form, LayerChoices, Prices, Units};
use crate::plan::Index;
use crate::problem::{Problem, Solution};
use crate::units::{UnitKind, WeightLayout};

/// Steps of α and β; the last one would take everything.
const LEVELS: usize = 40;
/// Moves per layer.
const MOVES: usize = 4000;
/// Temperatures, relative to the importance of the whole model, first and last.
const TEMPERATURE: (f64, f64) = (1e-2, 1e-6);
/// The paper's index: two bytes per kept filterlet, two per filter.
const INDEX_BYTES: f64 = 2.0;

/// Importance lost and bytes taken for each α and β of one layer.
struct Table {
    /// Indexed by `β · LEVELS + α`.
    cells: Vec<Cell>,
    alphas: usize,
    betas: usize,
}

#[derive(Clone, Copy)]
struct Cell {
    lost: f64,
    bytes: f64,
}

/// Replaces the problem's choices by the annealed one of each layer; `None` when no state fits.
pub(crate) fn anneal(problem: &mut Problem, seed: u64) -> Option<Solution> {
    let rest =
        problem.dense().bytes as f64 - problem.layers.iter().map(|l| l.layout.len() as f64).sum::<f64>();
    let map = ChannelMap::new(&problem.state.graph);
    let layers: Vec<Layer> = (0..problem.layers.len()).map(|i| Layer::new(problem, &map, i)).collect();
    let tables: Vec<Table> = layers.iter().map(Layer::table).collect();
    let state = search(&tables, problem.budget as f64 - rest, seed)?;
    let bound =
        problem.bound(&layers.iter().zip(&problem.layers).map(|(l, c)| l.relaxed(c)).collect::<Vec<_>>());
    for (i, ((layer, &(alpha, beta)), choices)) in
        layers.iter().zip(&state).zip(&mut problem.layers).enumerate()
    {
        if !problem.protected[i] && (alpha, beta) != (0, 0) {
            choices.forms.push(layer.form(alpha, beta));
        }
    }
    let last = |l: &LayerChoices| {
        let form = l.forms.len() - 1;
        Choice { form, count: l.forms[form].order.len() }
    };
    let choices: Vec<Choice> = problem.layers.iter().map(last).collect();
    Some(Solution { bound, ..problem.solution(choices, Prices::default()) })
}

/// One layer's filterlets in the order in which they go.
struct Layer {
    layout: WeightLayout,
    protected: bool,
    /// The filters are the model's outputs: they stay.
    pinned: bool,
    scores: Vec<f64>,
    /// Filters, least important first.
    filters: Vec<usize>,
}

impl Layer {
    fn new(problem: &Problem, map: &ChannelMap, i: usize) -> Self {
        let layout = problem.layers[i].layout;
        let tensor = problem.inputs[i].weights;
        let scores = problem.state.importance.unit_scores(tensor, &layout, UnitKind::Filterlet);
        let sums = problem.state.importance.unit_scores(tensor, &layout, UnitKind::Filter);
        let mut filters: Vec<usize> = (0..layout.filters).collect();
        filters.sort_by(|&a, &b| sums[a].total_cmp(&sums[b]).then(a.cmp(&b)));
        let pinned = map.group_of_filter(tensor, 0).is_none_or(|g| map.groups[g].pinned);
        Layer { layout, protected: problem.protected[i], pinned, scores, filters }
    }

    /// Kept filterlets at α and β.
    fn kept(&self, alpha: usize, beta: usize) -> Vec<usize> {
        let gone = self.filters.len() * beta / LEVELS;
        let positions = self.layout.positions;
        let filterlets = self.filters[gone..].iter().flat_map(|o| o * positions..(o + 1) * positions);
        let mut left: Vec<usize> = filterlets.collect();
        left.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]).then(a.cmp(&b)));
        left.truncate((left.len() - left.len() * alpha / LEVELS).max(1));
        left
    }

    fn table(&self) -> Table {
        let total: f64 = self.scores.iter().sum();
        // One position: the paper prunes 1×1 kernels by filters only.
        let alphas = if self.protected || self.layout.positions == 1 { 1 } else { LEVELS };
        let betas = if self.protected || self.pinned { 1 } else { LEVELS };
        let dense = Cell { lost: 0.0, bytes: self.layout.len() as f64 };
        let cell = |beta: usize, alpha: usize| {
            if (alpha, beta) == (0, 0) {
                return dense;
            }
            let kept = self.kept(alpha, beta);
            let lost = total - kept.iter().map(|&f| self.scores[f]).sum::<f64>();
            let bytes = kept.len() as f64 * (self.layout.channels as f64 + INDEX_BYTES)
                + INDEX_BYTES * self.layout.filters as f64;
            Cell { lost, bytes }
        };
        let cells =
            (0..betas).flat_map(|b| (0..alphas).map(move |a| (b, a))).map(|(b, a)| cell(b, a)).collect();
        Table { cells, alphas, betas }
    }

    fn form(&self, alpha: usize, beta: usize) -> Form {
        let mut alive = vec![false; self.scores.len()];
        self.kept(alpha, beta).into_iter().for_each(|f| alive[f] = true);
        self.pairs(Some(alive))
    }

    /// Any filterlets under the paper's index.
    fn pairs(&self, alive: Option<Vec<bool>>) -> Form {
        Form::ranked(Units {
            kind: UnitKind::Filterlet,
            index: Index::Pairs,
            scores: self.scores.clone(),
            bytes: vec![self.layout.channels as f64 + INDEX_BYTES; self.scores.len()],
            fixed: INDEX_BYTES * self.layout.filters as f64,
            alive,
            least: 0,
            elements: None,
        })
    }

    /// More than any α and β can choose: dense, or any filterlets.
    fn relaxed(&self, dense: &LayerChoices) -> LayerChoices {
        let whole = Form::dense(&self.layout, dense.total);
        let pairs = (!self.protected).then(|| self.pairs(None));
        LayerChoices {
            layout: self.layout,
            forms: std::iter::once(whole).chain(pairs).collect(),
            total: dense.total,
        }
    }
}

impl Table {
    fn at(&self, (alpha, beta): (usize, usize)) -> Cell {
        self.cells[beta * self.alphas + alpha]
    }
}

/// The best (α, β) of each layer that was met within `budget` bytes of weights and index.
fn search(tables: &[Table], budget: f64, seed: u64) -> Option<Vec<(usize, usize)>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sum = |s: &[(usize, usize)], f: fn(Cell) -> f64| -> f64 {
        tables.iter().zip(s).map(|(t, &at)| f(t.at(at))).sum()
    };
    let mut state = start(tables, budget)?;
    let (mut lost, mut bytes) = (sum(&state, |c| c.lost), sum(&state, |c| c.bytes));
    let scale: f64 = tables.iter().flat_map(|t| &t.cells).map(|c| c.lost).fold(f64::MIN_POSITIVE, f64::max);
    let (mut best, mut best_lost) = (state.clone(), lost);
    let moves = MOVES * tables.len();
    for step in 0..moves {
        let share = step as f64 / moves as f64;
        let temperature = scale * TEMPERATURE.0 * (TEMPERATURE.1 / TEMPERATURE.0).powf(share);
        let (i, next) = propose(tables, &state, &mut rng);
        let (from, to) = (tables[i].at(state[i]), tables[i].at(next));
        let rise = to.lost - from.lost;
        let fits = bytes + to.bytes - from.bytes <= budget;
        if fits && (rise <= 0.0 || rng.random::<f64>() < (-rise / temperature).exp()) {
            (state[i], lost, bytes) = (next, lost + rise, bytes + to.bytes - from.bytes);
            if lost < best_lost {
                (best, best_lost) = (state.clone(), lost);
            }
        }
    }
    Some(best)
}

/// The first state on the diagonal from dense to empty that fits.
fn start(tables: &[Table], budget: f64) -> Option<Vec<(usize, usize)>> {
    let diagonal = |level: usize| {
        let at = |t: &Table| match t.alphas {
            1 => (0, level.min(t.betas - 1)),
            alphas => (level.min(alphas - 1), level.saturating_sub(alphas - 1).min(t.betas - 1)),
        };
        tables.iter().map(at).collect::<Vec<_>>()
    };
    let bytes = |s: &[(usize, usize)]| tables.iter().zip(s).map(|(t, &at)| t.at(at).bytes).sum::<f64>();
    (0..2 * LEVELS).map(diagonal).find(|s| bytes(s) <= budget)
}

/// A small step of one layer's α or β.
fn propose(tables: &[Table], state: &[(usize, usize)], rng: &mut ChaCha8Rng) -> (usize, (usize, usize)) {
    let i = rng.random_range(0..tables.len());
    let (table, (mut alpha, mut beta)) = (&tables[i], state[i]);
    let delta = rng.random_range(1..=3usize);
    let up = rng.random::<bool>();
    let shift = |v: usize, n: usize| if up { (v + delta).min(n - 1) } else { v.saturating_sub(delta) };
    if table.alphas > 1 && rng.random::<bool>() {
        alpha = shift(alpha, table.alphas);
    } else {
        beta = shift(beta, table.betas);
    }
    (i, (alpha, beta))
}
