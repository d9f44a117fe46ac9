//! Short trials before the first round find what neither the importance nor the size of a model tells: the learning rate
//! of fine-tuning, and how much of the cut whole channels make.

use dtmm_graph::{Graph, Masks};
use dtmm_prune::PrunePlan;
use dtmm_report::TrialRow;
use dtmm_train::TrainError;
use serde::{Deserialize, Serialize};

use super::budgets::Ceilings;
use super::channel_cut::ChannelCut;
use super::importance::importance;
use super::plan::{Fitting, apply, fitting_plan};
use super::rounds::Round;
use super::tune::{Step, Tuned, learning_rate, options, validation};
use super::{Job, RunDir};
use crate::Error;
use crate::fitting::{self, Follow};

/// Share of the cut that channels make unless a trial shows more to be better.
const USUAL: ChannelCut = ChannelCut::Share(0.5);
const ALL: ChannelCut = ChannelCut::Share(1.0);
/// Validation accuracy by which more channels and a lower rate must win: they recover sooner, the others further.
const CHANNELS_WIN: f64 = 0.02;
const LOWER_RATE_WINS: f64 = 0.05;
/// How often the rate may fall to a third.
const MOST_FALLS: usize = 2;
/// A trial takes at most one part in so many of the fine-tuning...
const TRIAL_PART: usize = 24;
/// ... and so many steps, which tell enough.
const MOST_STEPS: usize = 80;
/// With fewer there is no telling.
const LEAST_STEPS: usize = 16;

/// How rounds prune and train.
#[derive(Clone, Copy)]
pub struct Way {
    pub cut: ChannelCut,
    /// Highest learning rate.
    pub lr: f32,
}

/// The way of the rounds, and the epochs that trials have left for them.
pub struct Chosen {
    pub way: Way,
    pub epochs: usize,
    /// Where the winner's steps have led; not with several rounds, whose first has another target.
    pub begun: Option<Begun>,
}

/// A plan whose result has been fine-tuned for a few steps.
pub struct Begun {
    plan: PrunePlan,
    graph: Graph,
}

impl Begun {
    /// What a round of this plan can go on from.
    pub fn with(&self, plan: &PrunePlan) -> Option<&Graph> {
        same(&self.plan, plan).then_some(&self.graph)
    }
}

/// What the request leaves open is chosen by short trials of one round to `target`, which the model then lists. With
/// `goes_on` the next round has that target, too, and the winner's steps are not lost.
pub fn chosen(
    job: &Job,
    run: &mut RunDir,
    tuned: &mut Tuned,
    (target, goes_on): (&Ceilings, bool),
) -> Result<Chosen, Error> {
    let request = job.request;
    let lr = learning_rate(job, &tuned.graph);
    let way = |cut| Way { cut, lr };
    let all_steps = request.epochs * job.train.len() / request.batch.max(1);
    let steps = (all_steps / TRIAL_PART).min(MOST_STEPS);
    let enough = steps >= LEAST_STEPS;
    let cuts_flash = target.flash.is_some_and(|flash| Some(flash) < job.unpruned.flash);
    let open_cut = request.channel_cut == ChannelCut::Auto;
    let choose_cut = open_cut && request.chooses_channels() && cuts_flash && enough;
    let choose_rate = request.lr.is_none() && enough;

    let mut trials = Trials { job, run, before: tuned, target, steps, plans: vec![], done: vec![] };
    let mut best = way(match request.channel_cut {
        ChannelCut::Auto if choose_cut && trials.can(USUAL)? => USUAL,
        ChannelCut::Auto if choose_cut => ALL,
        ChannelCut::Auto => ChannelCut::Price,
        cut => cut,
    });
    if choose_rate {
        best = trials.rate(best)?;
    }
    if choose_cut {
        best = trials.cut(best)?;
    }
    let begun = if goes_on { trials.begun(best) } else { None };
    if let Some(taken) = trials.taken(best) {
        job.progress.note(&taken);
    }
    tuned.trials = trials.done.into_iter().map(|d| d.row).collect();
    let lost = tuned.trials.len() - usize::from(begun.is_some());
    let epochs = request.epochs.saturating_sub(rounded(lost * steps * request.batch, job.train.len()));
    Ok(Chosen { way: best, epochs, begun })
}

struct Trials<'a> {
    job: &'a Job<'a>,
    run: &'a mut RunDir,
    before: &'a Tuned,
    target: &'a Ceilings,
    /// Steps of each.
    steps: usize,
    plans: Vec<(ChannelCut, Option<PrunePlan>)>,
    done: Vec<Done>,
}

/// A trial that was made, and where its steps have led.
struct Done {
    row: TrialRow,
    graph: Graph,
}

/// What a trial found, and its model.
#[derive(Serialize, Deserialize)]
struct Tried {
    accuracy: f64,
    graph: Graph,
}

impl Trials<'_> {
    /// The way with the highest rate to which no lower one is clearly better.
    fn rate(&mut self, mut way: Way) -> Result<Way, Error> {
        let Some(mut accuracy) = self.accuracy(way)? else { return Ok(way) };
        for _ in 0..MOST_FALLS {
            let lower = Way { lr: third(way.lr), ..way };
            match self.accuracy(lower)? {
                Some(found) if found > accuracy + LOWER_RATE_WINS => (way, accuracy) = (lower, found),
                _ => break,
            }
        }
        Ok(way)
    }

    /// The way with all of the cut by channels, where that is clearly better.
    fn cut(&mut self, way: Way) -> Result<Way, Error> {
        let all = Way { cut: ALL, ..way };
        if !self.can(ALL)? || self.same_plan(way.cut, ALL) {
            return Ok(way);
        }
        let [usual, found] = [self.accuracy(way)?, self.accuracy(all)?];
        Ok(if found > usual.map(|a| a + CHANNELS_WIN) { all } else { way })
    }

    fn can(&mut self, cut: ChannelCut) -> Result<bool, Error> {
        Ok(self.plan(cut)?.is_some())
    }

    fn same_plan(&self, a: ChannelCut, b: ChannelCut) -> bool {
        let of = |cut| self.plans.iter().find(|p| p.0 == cut).and_then(|p| p.1.as_ref());
        a == b || of(a).zip(of(b)).is_some_and(|(a, b)| same(a, b))
    }

    /// The plan of one cut; `None` where the budgets cannot be kept.
    fn plan(&mut self, cut: ChannelCut) -> Result<Option<PrunePlan>, Error> {
        if let Some((_, plan)) = self.plans.iter().find(|p| p.0 == cut) {
            return Ok(plan.clone());
        }
        let (job, before, target) = (self.job, self.before, self.target);
        let plan = self.run.stage(&format!("trial-{}-plan", cut.name()), || {
            let scores = importance(job, before, 0)?;
            match fitting_plan(job, before, &scores, (target, cut.dense_rest(job, target))) {
                Ok(Fitting { plan, .. }) => Ok(Some(plan)),
                Err(Error::Schedule { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        self.plans.push((cut, plan.clone()));
        Ok(plan)
    }

    /// Validation accuracy after a few steps; `None` without a plan.
    fn accuracy(&mut self, way: Way) -> Result<Option<f64>, Error> {
        let (job, before, steps) = (self.job, self.before, self.steps);
        if let Some(known) = self.done(way) {
            return Ok(Some(known.row.validation_accuracy));
        }
        let Some(plan) = self.plan(way.cut)? else { return Ok(None) };
        let (channel_cut, learning_rate) = self.name(way);
        let stage = format!("trial-{}-{learning_rate}", way.cut.name());
        let tried: Tried = self.run.stage(&stage, || tried(job, before, &plan, (way, steps)))?;
        let row = TrialRow { channel_cut, learning_rate, steps, validation_accuracy: tried.accuracy };
        self.done.push(Done { row, graph: tried.graph });
        Ok(Some(tried.accuracy))
    }

    /// The trial of this way.
    fn done(&self, way: Way) -> Option<&Done> {
        let (cut, lr) = self.name(way);
        self.done.iter().find(|d| d.row.channel_cut == cut && d.row.learning_rate == lr)
    }

    /// The cut, where there is one to choose, and the rate, as a row has them.
    fn name(&self, way: Way) -> (Option<String>, f64) {
        (self.job.request.chooses_channels().then(|| way.cut.name()), readable(way.lr))
    }

    /// The way that trials have led to, in words.
    fn taken(&self, way: Way) -> Option<String> {
        let (cut, lr) = self.name(way);
        let cut = cut.map_or(String::new(), |cut| format!(", channel cut {cut}"));
        (!self.done.is_empty()).then(|| format!("taken: learning rate {lr}{cut}"))
    }

    fn begun(&self, way: Way) -> Option<Begun> {
        let graph = self.done(way)?.graph.clone();
        let plan = self.plans.iter().find(|p| p.0 == way.cut)?.1.clone()?;
        Some(Begun { plan, graph })
    }
}

fn third(lr: f32) -> f32 {
    readable(lr / 3.0) as f32
}

/// The rate in few digits.
fn readable(lr: f32) -> f64 {
    (f64::from(lr) * 1e5).round() / 1e5
}

fn rounded(part: usize, whole: usize) -> usize {
    (part + whole / 2) / whole.max(1)
}

fn same(a: &PrunePlan, b: &PrunePlan) -> bool {
    a.masks == b.masks && a.removed == b.removed
}

fn tried(job: &Job, before: &Tuned, plan: &PrunePlan, (way, steps): (Way, usize)) -> Result<Tried, Error> {
    let (graph, masks): (Graph, Masks) = apply(job, before.graph.clone(), plan)?;
    let samples = steps * job.request.batch;
    let train = job.train.take(samples.min(job.train.len()), job.request.seed);
    let round = Round { target: Ceilings::default(), epochs: rounded(samples, train.len()).max(1) };
    let step = Step { round: &round, dense_rest: None, lr: way.lr, begun: None, number: 0, last: true };
    let options = options(job, (&graph, &masks), (&step, None));
    let cut = if job.request.chooses_channels() {
        format!(", channel cut {}", way.cut.name())
    } else {
        String::new()
    };
    let what = format!("trial, learning rate {}{cut}", way.lr);
    let mut follow = Follow::new(job.progress, &what, &options, train.len());
    let tried = match dtmm_train::fit(&graph, &train, None, &options, &mut follow) {
        Ok(fitted) => Tried { accuracy: validation(job, &fitted.graph)?, graph: fitted.graph },
        // As bad as can be; a lower rate may do.
        Err(TrainError::Diverged { .. }) => Tried { accuracy: 0.0, graph },
        Err(source) => return Err(fitting::error(source, &job.graph.name, &job.request.output)),
    };
    job.progress.end(&format!("validation {}", dtmm_report::percent(tried.accuracy)));
    Ok(tried)
}
