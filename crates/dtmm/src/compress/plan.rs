//! The plan of one round: masks whose applied result keeps every ceiling by exact count.

use dtmm_graph::{Graph, Masks};
use dtmm_pack::SizeModel;
use dtmm_prune::{Device, Importance, Limits, Method, Options, Pace, PackageSize, PrunePlan, Request};

use super::Job;
use super::budgets::Ceilings;
use super::count::{Counted, arena, timed};
use super::tune::Tuned;
use crate::Error;

/// How often the scheduler is asked for a plan that keeps the ceilings and uses the flash.
const MOST_ATTEMPTS: usize = 7;
/// A plan that leaves less than one part in so many of the flash unused is good enough.
const SLACK: usize = 200;

/// What keeping the pace of the unpruned package may cost; see [`Pace::worth`].
const PACE_WORTH: f64 = 0.5;

/// A plan and what its applied result takes.
pub struct Fitting {
    pub plan: PrunePlan,
    pub taken: Ceilings,
}

/// The plan that loses least and whose applied result keeps `target`; channels leave to `dense_rest` (package bytes,
/// unpruned) first, where it says so. Physical removal can shift a layer's groups against
/// the channels, or free more than a method's price list knows, so the applied graph is counted and the scheduler asked
/// again for the difference. It is no slower than the unpruned package where that costs little.
pub fn fitting_plan(
    job: &Job,
    before: &Tuned,
    importance: &Importance,
    (target, dense_rest): (&Ceilings, Option<usize>),
) -> Result<Fitting, Error> {
    let mut best: Option<Fitting> = None;
    let mut asked = *target;
    // A latency that the user gives, however long, says what time is worth.
    let own_pace = job.request.scheduler == Method::Lagrangian && target.cycles.is_none();
    let pace = job.unpruned.cycles.filter(|_| own_pace);
    let mut asked_pace = pace;
    for _ in 0..MOST_ATTEMPTS {
        let plan = match schedule(job, before, importance, (&asked, dense_rest, asked_pace)) {
            Ok(plan) => plan,
            Err(_) if best.as_ref().is_some_and(|b| excess(&b.taken, target) == 0.0) => break,
            Err(error) => return Err(error),
        };
        let (graph, masks) = apply(job, before.graph.clone(), &plan)?;
        let taken = take(job, &graph, &masks)?;
        asked = corrected(&asked, &taken, target);
        let slower = |taken: &Ceilings| excess(taken, &Ceilings { cycles: pace, ..Ceilings::default() });
        asked_pace = asked_pace.map(|cycles| cycles / (1.0 + slower(&taken)));
        let kept = excess(&taken, target) == 0.0 && slower(&taken) < 0.01;
        let done = kept && !wastes_flash(&taken, target);
        let worth = |f: &Fitting| (excess(&f.taken, target), slower(&f.taken), f.plan.importance_removed);
        let fitting = Fitting { plan, taken };
        if best.as_ref().is_none_or(|b| worth(&fitting) < worth(b)) {
            best = Some(fitting);
        }
        if done {
            break;
        }
    }
    best.ok_or_else(|| Error::OverBudget {
        resource: "flash".into(),
        taken: "no plan".into(),
        budget: format!("{target:?}"),
    })
}

/// What the graph takes of everything that may have a ceiling.
pub fn take(job: &Job, graph: &Graph, masks: &Masks) -> Result<Ceilings, Error> {
    let counted = Counted::of(graph, masks, job.request.scheduler)?;
    Ok(Ceilings {
        flash: Some(counted.flash),
        ram: Some(counted.ram),
        cycles: Some(counted.cycles(&job.costs, job.target.core)?),
    })
}

/// The largest relative excess over the target; 0 when it is kept.
pub fn excess(taken: &Ceilings, target: &Ceilings) -> f64 {
    let over = |taken: f64, limit: Option<f64>| limit.map_or(0.0, |l| (taken / l.max(1.0) - 1.0).max(0.0));
    let bytes =
        |taken: Option<usize>, limit: Option<usize>| over(taken.unwrap_or(0) as f64, limit.map(|l| l as f64));
    let cycles = over(taken.cycles.unwrap_or(0.0), target.cycles);
    bytes(taken.flash, target.flash).max(bytes(taken.ram, target.ram)).max(cycles)
}

/// Only where flash alone is limited: another ceiling may be what leaves it unused.
fn wastes_flash(taken: &Ceilings, target: &Ceilings) -> bool {
    let alone = target.ram.is_none() && target.cycles.is_none();
    let (Some(taken), Some(target)) = (taken.flash, target.flash) else { return false };
    alone && taken + target / SLACK < target
}

/// What to ask for next: lower by what was exceeded, and higher by the flash that was left.
fn corrected(asked: &Ceilings, taken: &Ceilings, target: &Ceilings) -> Ceilings {
    let mut next = *asked;
    if let (Some(asked), Some(taken), Some(target)) = (&mut next.flash, taken.flash, target.flash) {
        *asked = (*asked + target).saturating_sub(taken);
    }
    if let (Some(asked), Some(taken), Some(target)) = (&mut next.ram, taken.ram, target.ram) {
        *asked = asked.saturating_sub(taken.saturating_sub(target));
    }
    if let (Some(asked), Some(taken), Some(target)) = (&mut next.cycles, taken.cycles, target.cycles) {
        *asked -= (taken - target).max(0.0) * 1.01;
    }
    if wastes_flash(taken, target) || excess(taken, target) > 0.0 { next } else { *asked }
}

fn schedule(
    job: &Job,
    before: &Tuned,
    importance: &Importance,
    (asked, dense_rest, pace): (&Ceilings, Option<usize>, Option<f64>),
) -> Result<PrunePlan, Error> {
    let request = job.request;
    let options = Options {
        method: request.scheduler,
        groups: request.units.groups.clone(),
        filterlets: request.units.filterlets,
        filters: request.units.filters,
        dense_rest: dense_rest.map(|n| n as u64),
        pace: pace.map(|cycles| Pace { cycles, worth: PACE_WORTH }),
        importance_threshold: request.importance_threshold.map(|share| in_one_round(job, share)),
        ..Options::default()
    };
    let timer = |graph: &Graph| timed(graph, &job.costs, job.target.core);
    let limits = Limits { ram: asked.ram.map(|n| n as u64), cycles: asked.cycles };
    // These two make time small whether it has a budget or not.
    let times =
        limits.cycles.is_some() || matches!(options.method, Method::Lagrangian | Method::Anneal { .. });
    dtmm_prune::schedule(&Request {
        graph: &before.graph,
        importance,
        current: &before.masks,
        budget: asked.flash.map_or(u64::MAX, |n| n as u64),
        options: &options,
        sizer: &package_size,
        device: Device {
            limits,
            timer: times.then_some(&timer),
            planner: limits.ram.is_some().then_some(&arena),
        },
    })
    .map_err(|source| Error::Schedule {
        model: job.graph.name.clone(),
        clock_hz: job.target.clock_hz,
        source,
    })
}

/// What one round may lose of what is left, so that all of them lose `share`.
fn in_one_round(job: &Job, share: f64) -> f64 {
    let rounds = job.request.rounds.min(job.request.epochs).max(1);
    1.0 - (1.0 - share).powf(1.0 / rounds as f64)
}

/// Exact package bytes of a graph under masks.
fn package_size(graph: &Graph) -> Result<PackageSize, String> {
    let model = SizeModel::new(graph).map_err(|e| e.to_string())?;
    Ok(Box::new(move |masks: &Masks| model.size(masks).total as u64))
}

/// The graph and masks after a plan.
pub fn apply(job: &Job, graph: Graph, plan: &PrunePlan) -> Result<(Graph, Masks), Error> {
    dtmm_prune::apply(graph, plan).map_err(|source| Error::Apply { model: job.graph.name.clone(), source })
}
