//! The paper's scheduler: simulated annealing over the shares that each layer loses (Han, Xiao, Li 2024).
//!
//! Each set of layers that make the same channels has β, the share of its least important filters that go with their
//! channels; each layer with a kernel larger than 1×1 has α, the share of the remaining filterlets that go, least
//! important first. Annealing makes the estimated time of an inference small. States that lose more than the threshold
//! of importance are refused, and what a state takes beyond a budget counts as time. Without a threshold of the user's,
//! the least one is sought with which the budgets can be kept.

mod space;
mod walk;

use crate::channels::ChannelMap;
use crate::knapsack::{Choice, LayerChoices, Prices};
use crate::problem::{Problem, Solution};
use crate::reduced::Reduced;
use crate::schedule::{Request, ScheduleError};
use space::{Space, State};
use walk::{Bounds, walk};

/// Steps of α and β; the last one would take everything.
const LEVELS: usize = 40;
/// Halvings of the interval in which the least threshold lies.
const BISECTIONS: usize = 14;
/// Tries of meeting the exact counts, which the walk only estimates.
const CORRECTIONS: usize = 6;

/// Where a walk ended: the model without the channels that β takes, and α of each layer that is left.
pub(crate) struct Annealed {
    pub state: Reduced,
    alphas: Vec<usize>,
}

/// The best state that a walk from `seed` met, starting at `whole`; `None` when none keeps the budgets.
pub(crate) fn anneal(
    request: &Request,
    whole: &Reduced,
    seed: u64,
) -> Result<Option<Annealed>, ScheduleError> {
    let problem = request.problem(whole)?;
    let threshold = request.options.importance_threshold;
    if threshold.is_none() && problem.fits(&problem.dense()) {
        return Ok(Some(Annealed { state: whole.clone(), alphas: vec![0; problem.layers.len()] }));
    }
    let map = ChannelMap::new(&whole.graph);
    let space = Space::new(&problem, &map, request.options);
    let all = whole.importance.total() + whole.lost;
    let lost = threshold.map(|share| (share * all - whole.lost).max(0.0));
    let mut bounds =
        Bounds { bytes: problem.budget as f64, cycles: problem.cycle_limit, lost: f64::INFINITY };
    for _ in 0..CORRECTIONS {
        let found = match lost {
            Some(lost) => walk(&space, &Bounds { lost, ..bounds }, seed),
            None => least_threshold(&space, &bounds, seed),
        };
        let Some(state) = found else { break };
        let annealed = Annealed { state: whole.without(&map, &space.dead(&state))?, alphas: state.alphas };
        let problem = request.problem(&annealed.state)?;
        let solution = annealed.solution(&problem);
        if problem.fits(&solution) {
            drop(problem);
            return Ok(Some(annealed));
        }
        bounds.bytes -= (solution.bytes as f64 - problem.budget as f64).max(0.0);
        bounds.cycles -= (solution.cycles - problem.cycle_limit).max(0.0);
    }
    Ok(None)
}

impl Annealed {
    /// What is left of each layer of `problem`, which is that of the state.
    pub fn solution(&self, problem: &Problem) -> Solution {
        let choices = problem.layers.iter().zip(&self.alphas).map(|(l, &alpha)| choice(l, alpha)).collect();
        Solution { bound: problem.bound(&problem.layers), ..problem.solution(choices, Prices::default()) }
    }
}

/// The state met under the least threshold that has any.
fn least_threshold(space: &Space, bounds: &Bounds, seed: u64) -> Option<State> {
    let (mut low, mut high) = (0.0, space.total());
    let mut best = walk(space, &Bounds { lost: high, ..*bounds }, seed)?;
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        match walk(space, &Bounds { lost: middle, ..*bounds }, seed) {
            Some(state) => (high, best) = (middle, state),
            None => low = middle,
        }
    }
    Some(best)
}

fn choice(layer: &LayerChoices, alpha: usize) -> Choice {
    let Some(form) = layer.forms.get(1) else { return DENSE };
    let count = kept(form.order.len(), alpha).max(form.least);
    // Fewer filterlets that save nothing all stay.
    let saves = form.bytes_of(count) < layer.layout.len() as f64;
    if saves { Choice { form: 1, count } } else { DENSE }
}

const DENSE: Choice = Choice { form: 0, count: 1 };

/// How many of `count` units stay at a level.
fn kept(count: usize, level: usize) -> usize {
    count - count * level / LEVELS
}
