//! The smallest package (or arena, or time) whose loss of accuracy stays within what the user allows.
//!
//! Gradual pruning with the accuracy as its end: each step asks for a share of what the last good model takes and
//! fine-tunes it; a step that loses too much is taken back and tried with a smaller cut. What survives is fine-tuned to
//! the end.

use super::budgets::{Ceilings, Objective};
use super::rounds::Round;
use super::trials::{Chosen, chosen};
use super::tune::{Step, Tuned, step, untouched, validation};
use super::{Job, RunDir};
use crate::Error;

/// What the first steps keep of the objective.
const FIRST_CUT: f64 = 0.6;
/// What trials keep of the objective.
const PROBE: f64 = 0.25;
/// Steps that may fail; after each the cut is halved (in logarithm).
const MISSES: usize = 3;
/// Steps in all.
const MOST_STEPS: usize = 16;
/// Share of the allowed loss that pruning may use before the last fine-tuning: quantising takes its part.
const MARGIN: f64 = 0.75;
/// Share of the epochs of one step: the rest follows at the final size.
const STEP_SHARE: f64 = 0.25;

/// Prunes as far as `largest_drop` (a fraction of 1) allows; every ceiling of `target` holds from the first step on.
pub fn smallest(
    job: &Job,
    run: &mut RunDir,
    objective: Objective,
    largest_drop: f64,
) -> Result<Tuned, Error> {
    let mut before = untouched(job, run)?;
    let floor = whole_samples(validation(job, &job.graph)? - largest_drop * MARGIN, job.validation.len());
    let Chosen { way, epochs, .. } = chosen(job, run, &mut before, (&probe(job, objective), false))?;
    let short = (epochs as f64 * STEP_SHARE).ceil() as usize;
    let (mut good, mut ceiling, mut good_rest) = (before, start(job, objective), None);
    let (mut cut, mut misses) = (FIRST_CUT, 0);
    let mut number = 0;
    while misses < MISSES && number < MOST_STEPS {
        number += 1;
        let target = scaled(&ceiling, objective, cut);
        let round = Round { target, epochs: short };
        job.progress
            .note(&format!("step {number}: {} of what the last good model takes", dtmm_report::percent(cut)));
        let dense_rest = way.cut.dense_rest(job, &target);
        match step(
            job,
            run,
            &good,
            Step { round: &round, dense_rest, lr: way.lr, begun: None, number, last: false },
        ) {
            Ok(next) if accuracy(&next) >= floor => {
                ceiling = taken(&target, objective, &next);
                (good, good_rest) = (next, dense_rest);
            }
            Ok(_) | Err(Error::Schedule { .. }) => {
                misses += 1;
                cut = cut.sqrt();
            }
            Err(error) => return Err(error),
        }
    }
    let rest = Round { target: ceiling, epochs: epochs - short.min(epochs) };
    let last =
        Step { round: &rest, dense_rest: good_rest, lr: way.lr, begun: None, number: number + 1, last: true };
    step(job, run, &good, last)
}

/// The share of `samples` that is right when `share` is rounded down to whole ones: less than a sample cannot be told.
fn whole_samples(share: f64, samples: usize) -> f64 {
    let n = samples.max(1) as f64;
    // What is a whole number but for its last digits counts as that.
    (share * n + 1e-6).floor() / n
}

/// Where trials are made: the result's size is not known yet.
fn probe(job: &Job, objective: Objective) -> Ceilings {
    scaled(&start(job, objective), objective, PROBE)
}

fn accuracy(tuned: &Tuned) -> f64 {
    tuned.rounds.last().map_or(0.0, |r| r.validation_accuracy)
}

/// The user's ceilings, and what the unpruned package takes of the objective.
fn start(job: &Job, objective: Objective) -> Ceilings {
    let mut start = job.ceilings;
    match objective {
        Objective::Flash => start.flash = start.flash.min_of(job.unpruned.flash),
        Objective::Ram => start.ram = start.ram.min_of(job.unpruned.ram),
        Objective::Latency => {
            let dense = job.unpruned.cycles.unwrap_or(f64::INFINITY);
            start.cycles = Some(start.cycles.map_or(dense, |c| c.min(dense)));
        }
        Objective::Drop => {}
    }
    start
}

trait MinOf {
    fn min_of(self, other: Self) -> Self;
}

impl MinOf for Option<usize> {
    fn min_of(self, other: Self) -> Self {
        self.into_iter().chain(other).min()
    }
}

fn scaled(ceiling: &Ceilings, objective: Objective, cut: f64) -> Ceilings {
    let mut next = *ceiling;
    let bytes = |n: Option<usize>| n.map(|n| (n as f64 * cut) as usize);
    match objective {
        Objective::Flash => next.flash = bytes(next.flash),
        Objective::Ram => next.ram = bytes(next.ram),
        Objective::Latency => next.cycles = next.cycles.map(|c| c * cut),
        Objective::Drop => {}
    }
    next
}

/// The target with what was really taken of the objective: never more than asked for.
fn taken(target: &Ceilings, objective: Objective, tuned: &Tuned) -> Ceilings {
    let Some(row) = tuned.rounds.last() else { return *target };
    let mut next = *target;
    match objective {
        Objective::Flash => next.flash = next.flash.min_of(Some(row.predicted_bytes)),
        Objective::Ram => next.ram = next.ram.min_of(Some(row.predicted_ram)),
        Objective::Latency => next.cycles = next.cycles.map(|c| c.min(row.predicted_cycles)),
        Objective::Drop => {}
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_between_two_counts_is_the_lower_one() {
        // 1.0 - 0.75 % of 270 samples: 267.975.
        assert_eq!(whole_samples(0.9925, 270), 267.0 / 270.0);
        assert_eq!(whole_samples(268.0 / 270.0, 270), 268.0 / 270.0);
        assert_eq!(whole_samples(0.903 - 0.0075, 1000), 895.0 / 1000.0);
    }
}
