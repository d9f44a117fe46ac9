//! The same kept share for every layer.

use crate::knapsack::{Choice, LayerChoices, Prices};
use crate::problem::{Problem, Solution};

/// Steps of the share.
const STEPS: usize = 4096;

/// The largest common share of the finest units that fits; `None` when none does.
pub(crate) fn uniform(problem: &Problem) -> Option<Solution> {
    let dense = problem.dense();
    if problem.fits(&dense) {
        return Some(dense);
    }
    let at = |step: usize| {
        let choices: Vec<Choice> = problem.layers.iter().map(|l| choice(l, step)).collect();
        Some(problem.solution(choices, Prices::default())).filter(|s| problem.fits(s))
    };
    let mut best = at(0)?;
    let (mut low, mut high) = (0, STEPS + 1);
    while high - low > 1 {
        let middle = (low + high) / 2;
        match at(middle) {
            Some(solution) => (low, best) = (middle, solution),
            None => high = middle,
        }
    }
    Some(Solution { bound: problem.bound(&problem.layers), ..best })
}

/// The finest units follow the dense form; a protected layer has no other than that.
fn choice(layer: &LayerChoices, step: usize) -> Choice {
    match layer.forms.get(1) {
        Some(form) => Choice { form: 1, count: (form.order.len() * step / STEPS).max(form.least) },
        None => Choice { form: 0, count: 1 },
    }
}
