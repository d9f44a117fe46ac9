//! How much of the cut whole channels make, and how much is left to finer units.
//!
//! A network whose layers are wide loses least when few channels leave and units thin out the rest; one whose channels
//! cost as much as their weights (1×1 layers, small layers) when channels make the whole cut. Importance does not tell
//! the two apart, because fine-tuning makes up for a lost channel sooner than for as much importance in units. A short
//! trial does.

use dtmm_graph::{Graph, Masks};
use dtmm_prune::PrunePlan;
use dtmm_report::TrialRow;

use super::budgets::Ceilings;
use super::importance::importance;
use super::plan::{Fitting, apply, fitting_plan};
use super::rounds::Round;
use super::tune::{Step, Tuned, options, validation};
use super::{Job, RunDir};
use crate::Error;
use crate::fitting::{self, Follow};

/// Who makes the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ChannelCut {
    /// What a short trial finds best.
    #[default]
    Auto,
    /// Channels leave where their importance is less than the price of their bytes and cycles.
    Price,
    /// Channels make this share of the cut, 0..=1, in logarithm: at a budget of 1/4, 0.5 leaves channels of half the bytes.
    Share(f64),
}

impl ChannelCut {
    /// Reads `auto`, `price` or a share; `None` for others.
    pub fn from_name(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(ChannelCut::Auto),
            "price" => Some(ChannelCut::Price),
            _ => text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(ChannelCut::Share),
        }
    }

    /// The name that [`ChannelCut::from_name`] reads.
    pub fn name(self) -> String {
        match self {
            ChannelCut::Auto => "auto".into(),
            ChannelCut::Price => "price".into(),
            ChannelCut::Share(share) => share.to_string(),
        }
    }

    /// Package bytes that the channels which stay may take unpruned on the way to `target`; `None`: as prices say.
    pub(super) fn dense_rest(self, job: &Job, target: &Ceilings) -> Option<usize> {
        match self {
            ChannelCut::Share(share) => target.towards(&job.unpruned, share).flash,
            ChannelCut::Auto | ChannelCut::Price => None,
        }
    }
}

/// Shares that are tried.
const CANDIDATES: [f64; 2] = [1.0, 0.5];
/// Validation accuracy by which more channels must win: they recover sooner, finer units further.
const HEAD_START: f64 = 0.02;
/// All trials together take at most one part in so many of the fine-tuning...
const TRIAL_PART: usize = 12;
/// ... and each at most so many steps, which tell enough.
const MOST_STEPS: usize = 80;
/// With fewer there is no telling.
const LEAST_STEPS: usize = 16;

/// The cut that the rounds make, and what is left for them.
pub struct Chosen {
    pub cut: ChannelCut,
    /// Epochs that the trials have not used.
    pub epochs: usize,
    pub trials: Vec<TrialRow>,
}

/// The request's cut, or the one whose result has the best validation accuracy after one short round to `target`; more
/// channels must win clearly.
pub fn chosen(job: &Job, run: &mut RunDir, before: &Tuned, target: &Ceilings) -> Result<Chosen, Error> {
    let request = job.request;
    let trials = match steps(job, target) {
        Some(steps) => trials(job, run, before, (target, steps))?,
        None => vec![],
    };
    let best = trials.iter().reduce(|more, fewer| {
        if more.validation_accuracy > fewer.validation_accuracy + HEAD_START { more } else { fewer }
    });
    let cut = match (request.channel_cut, best) {
        (ChannelCut::Auto, Some(best)) => ChannelCut::Share(best.channel_cut),
        (ChannelCut::Auto, None) => ChannelCut::Price,
        (cut, _) => cut,
    };
    let samples: usize = trials.iter().map(|t| t.steps * request.batch).sum();
    let epochs = request.epochs.saturating_sub(rounded(samples, job.train.len()));
    Ok(Chosen { cut, epochs, trials })
}

/// Steps of one trial; `None` where nothing is to be found out, or the run is too short for it.
fn steps(job: &Job, target: &Ceilings) -> Option<usize> {
    let request = job.request;
    let cuts_flash = target.flash.is_some_and(|flash| Some(flash) < job.unpruned.flash);
    if request.channel_cut != ChannelCut::Auto || !request.chooses_channels() || !cuts_flash {
        return None;
    }
    let all = request.epochs * job.train.len() / request.batch.max(1);
    Some((all / TRIAL_PART / CANDIDATES.len()).min(MOST_STEPS)).filter(|&n| n >= LEAST_STEPS)
}

fn trials(
    job: &Job,
    run: &mut RunDir,
    before: &Tuned,
    (target, steps): (&Ceilings, usize),
) -> Result<Vec<TrialRow>, Error> {
    let (mut rows, mut plans): (Vec<TrialRow>, Vec<PrunePlan>) = (vec![], vec![]);
    for channel_cut in CANDIDATES {
        let cut = ChannelCut::Share(channel_cut);
        let stage = format!("trial-{}", cut.name());
        let plan = run.stage(&format!("{stage}-plan"), || planned(job, before, target, cut))?;
        let same = |a: &PrunePlan, b: &PrunePlan| a.masks == b.masks && a.removed == b.removed;
        // What cannot be scheduled, or is the same as another, needs no trial.
        let Some(plan) = plan.filter(|plan| !plans.iter().any(|other| same(plan, other))) else { continue };
        let validation_accuracy = run.stage(&stage, || tried(job, before, &plan, (cut, steps)))?;
        plans.push(plan);
        rows.push(TrialRow { channel_cut, steps, validation_accuracy });
    }
    Ok(rows)
}

fn rounded(part: usize, whole: usize) -> usize {
    (part + whole / 2) / whole.max(1)
}

/// The plan of a trial; `None` when there is none.
fn planned(
    job: &Job,
    before: &Tuned,
    target: &Ceilings,
    cut: ChannelCut,
) -> Result<Option<PrunePlan>, Error> {
    let scores = importance(job, before, 0)?;
    match fitting_plan(job, before, &scores, (target, cut.dense_rest(job, target))) {
        Ok(Fitting { plan, .. }) => Ok(Some(plan)),
        Err(Error::Schedule { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Validation accuracy after `steps` of fine-tuning.
fn tried(
    job: &Job,
    before: &Tuned,
    plan: &PrunePlan,
    (cut, steps): (ChannelCut, usize),
) -> Result<f64, Error> {
    let (graph, masks): (Graph, Masks) = apply(job, before.graph.clone(), plan)?;
    let samples = steps * job.request.batch;
    let train = job.train.take(samples.min(job.train.len()), job.request.seed);
    let round = Round { target: Ceilings::default(), epochs: rounded(samples, train.len()).max(1) };
    let step = Step { round: &round, dense_rest: None, number: 0, last: true };
    let options = options(job, (&graph, &masks), (&step, None));
    let mut follow =
        Follow::new(job.progress, &format!("trial, channel cut {}", cut.name()), &options, train.len());
    let fitted = dtmm_train::fit(&graph, &train, None, &options, &mut follow)
        .map_err(|source| fitting::error(source, &job.graph.name, &job.request.output))?;
    let accuracy = validation(job, &fitted.graph)?;
    job.progress.end(&format!("validation {}", dtmm_report::percent(accuracy)));
    Ok(accuracy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["auto", "price", "0.3333", "0.335", "1"] {
            assert_eq!(ChannelCut::from_name(name).unwrap().name(), name);
        }
        for name in ["1.5", "-0.1", "none", "NaN"] {
            assert_eq!(ChannelCut::from_name(name), None, "{name}");
        }
    }
}
