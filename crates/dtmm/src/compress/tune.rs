//! Rounds of importance → schedule → apply → fine-tune.

use dtmm_graph::{Graph, Masks, Op};
use dtmm_prune::{PrunePlan, UnitKind};
use dtmm_report::{EpochRow, RoundRow, TrialRow};
use dtmm_train::{Distillation, FitOptions, Keep, Loss, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

use super::budgets::Ceilings;
use super::importance::importance;
use super::plan::{Fitting, apply, fitting_plan};
use super::rounds::{Round, rounds};
use super::shared::once;
use super::trials::{Begun, Chosen, chosen};
use super::{Job, RunDir};
use crate::fitting::{self, Follow};
use crate::train::augmentation;
use crate::trainable::trainable;
use crate::{Error, float};

/// Softening of the teacher's answers, and their weight against the labels.
const TEMPERATURE: f32 = 3.0;
const TEACHER_SHARE: f32 = 0.7;
/// Highest learning rates of fine-tuning, unless trials find them too high: SGD where batch norm keeps activations in
/// range, Adam elsewhere.
const LR_WITH_BATCH_NORM: f32 = 0.01;
const LR_WITHOUT: f32 = 1e-3;
const WEIGHT_DECAY: f32 = 1e-4;

/// The model on its way: pruned and fine-tuned so far.
#[derive(Clone)]
pub struct Tuned {
    /// Pruned weights are exact zeros, dead channels are gone.
    pub graph: Graph,
    /// Which weights were kept.
    pub masks: Masks,
    /// The last round's plan.
    pub plan: PrunePlan,
    /// What was tried before the first round.
    pub trials: Vec<TrialRow>,
    pub rounds: Vec<RoundRow>,
    pub epochs: Vec<EpochRow>,
}

/// What one round leaves for the next.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    graph: Graph,
    masks: Masks,
    plan: PrunePlan,
    row: RoundRow,
    epochs: Vec<EpochRow>,
}

/// A plan as it is stored.
#[derive(Serialize, Deserialize)]
struct Planned {
    plan: PrunePlan,
    taken: Ceilings,
}

/// The model before any pruning.
pub fn untouched(job: &Job, run: &mut RunDir) -> Result<Tuned, Error> {
    let mut graph = run.stage("trainable", || {
        let compute = || trainable(&job.graph, &job.train, &job.input, job.request.threads);
        once(&job.shared.trainable, compute)
    })?;
    if let (true, UnitKind::SubFilterlet(run)) = (job.request.permute, job.request.grain()) {
        dtmm_prune::permute(&mut graph, run);
    }
    let (masks, plan) = (Masks::new(), PrunePlan::default());
    Ok(Tuned { graph, masks, plan, trials: vec![], rounds: vec![], epochs: vec![] })
}

/// Prunes down to `target` in rounds, from the model before any pruning.
pub fn prune_and_tune(job: &Job, run: &mut RunDir, target: &Ceilings) -> Result<Tuned, Error> {
    let mut tuned = untouched(job, run)?;
    let one_round = job.request.rounds <= 1;
    let Chosen { way, epochs, begun } = chosen(job, run, &mut tuned, (target, one_round))?;
    let dense_rest = way.cut.dense_rest(job, target);
    let mut all = rounds(&job.unpruned, target, job.request.rounds, epochs);
    // Channels leave in the first round, however far the others have to go.
    all.iter_mut()
        .for_each(|round| round.target.flash = round.target.flash.into_iter().chain(dense_rest).min());
    for (k, round) in all.iter().enumerate() {
        let last = k + 1 == all.len();
        tuned = step(
            job,
            run,
            &tuned,
            Step { round, dense_rest, lr: way.lr, begun: begun.as_ref(), number: k + 1, last },
        )?;
    }
    Ok(tuned)
}

/// Which round is at work.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    pub round: &'a Round,
    /// Package bytes that the channels which stay may take unpruned; `None`: as prices say.
    pub dense_rest: Option<usize>,
    /// Highest learning rate.
    pub lr: f32,
    /// What a trial has begun, to go on from where the plan is the same.
    pub begun: Option<&'a Begun>,
    /// Names the round's stages, from 1.
    pub number: usize,
    /// The rate runs down to nothing.
    pub last: bool,
}

/// One round: prunes to its target and fine-tunes.
pub fn step(job: &Job, run: &mut RunDir, before: &Tuned, step: Step) -> Result<Tuned, Error> {
    let number = step.number;
    let planned = run.stage(&format!("round-{number}-plan"), || prune(job, before, &step))?;
    let (pruned, masks) = apply(job, before.graph.clone(), &planned.plan)?;
    let graph = step.begun.and_then(|begun| begun.with(&planned.plan)).cloned().unwrap_or(pruned);
    let checkpoint = run.file(&format!("round-{number}.checkpoint"));
    let state = run.stage(&format!("round-{number}"), || {
        fine_tune(job, before, (graph, masks, planned), &step, &checkpoint)
    })?;
    let _ = std::fs::remove_file(&checkpoint);
    let mut tuned = before.clone();
    (tuned.graph, tuned.masks) = (state.graph, state.masks);
    // A round that only trains on leaves the reasons of the one before.
    if state.plan.importance_removed > 0.0 || tuned.plan.layers.is_empty() {
        tuned.plan = state.plan;
    }
    tuned.rounds.push(state.row);
    tuned.epochs.extend(state.epochs);
    Ok(tuned)
}

/// The masks of one round, for the graph as the round before left it.
fn prune(job: &Job, before: &Tuned, step: &Step) -> Result<Planned, Error> {
    job.progress.begin(&format!("importance, round {}", step.number), 1);
    let importance = importance(job, before, step.number - 1)?;
    let Fitting { plan, taken } =
        fitting_plan(job, before, &importance, (&step.round.target, step.dense_rest))?;
    let percent = |part: f64| dtmm_report::percent(share(part, plan.importance_total));
    job.progress.end(&format!(
        "{} and {} RAM; {} of the importance goes, at least {} must by the bound (gap {})",
        dtmm_report::bytes(taken.flash.unwrap_or(0)),
        dtmm_report::bytes(taken.ram.unwrap_or(0)),
        percent(plan.importance_removed),
        percent(plan.bound),
        dtmm_report::percent(plan.gap())
    ));
    Ok(Planned { plan, taken })
}

fn fine_tune(
    job: &Job,
    before: &Tuned,
    (graph, masks, planned): (Graph, Masks, Planned),
    step: &Step,
    checkpoint: &std::path::Path,
) -> Result<State, Error> {
    let (graph, epochs) = if step.round.epochs == 0 {
        (graph, vec![])
    } else {
        let options = options(job, (&graph, &masks), (step, Some(checkpoint)));
        let stage = format!("fine-tuning, round {}", step.number);
        let mut follow = Follow::new(job.progress, &stage, &options, job.train.len());
        let fitted = dtmm_train::fit(&graph, &job.train, Some(&job.validation), &options, &mut follow)
            .map_err(|source| fitting::error(source, &job.graph.name, &job.request.output))?;
        follow.finish(&fitted.history);
        (fitted.graph, fitting::epoch_rows(&fitted.history, before.epochs.len()))
    };
    let validation_accuracy = validation(job, &graph)?;
    let Planned { plan, taken } = planned;
    let row = RoundRow {
        round: step.number,
        target_bytes: step.round.target.flash,
        target_ram: step.round.target.ram,
        target_cycles: step.round.target.cycles,
        predicted_bytes: taken.flash.unwrap_or(0),
        predicted_ram: taken.ram.unwrap_or(0),
        predicted_cycles: taken.cycles.unwrap_or(0.0),
        importance_removed: share(plan.importance_removed, plan.importance_total),
        kept_importance_bound: Some(1.0 - share(plan.bound, plan.importance_total)),
        gap: plan.gap(),
        epochs: step.round.epochs,
        validation_accuracy,
    };
    Ok(State { graph, masks, plan, row, epochs })
}

/// Accuracy on samples that nothing is trained on.
pub fn validation(job: &Job, graph: &Graph) -> Result<f64, Error> {
    float::accuracy(graph, &job.validation, &job.input, job.request.threads, &crate::Silent)
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The model as it came in teaches what is left of it, unless the request names another teacher.
pub fn distillation(job: &Job) -> Distillation {
    Distillation { teacher: job.teacher.clone(), temperature: TEMPERATURE, alpha: TEACHER_SHARE }
}

fn has_batch_norm(graph: &Graph) -> bool {
    graph.nodes.iter().any(|n| matches!(n.op, Op::BatchNorm { .. }))
}

/// The highest learning rate to begin with.
pub fn learning_rate(job: &Job, graph: &Graph) -> f32 {
    job.request.lr.unwrap_or(if has_batch_norm(graph) { LR_WITH_BATCH_NORM } else { LR_WITHOUT })
}

/// How a round trains.
pub fn options(
    job: &Job,
    (graph, masks): (&Graph, &Masks),
    (step, checkpoint): (&Step, Option<&std::path::Path>),
) -> FitOptions {
    let optimizer = if has_batch_norm(graph) {
        Optimizer::Sgd { momentum: 0.9, nesterov: true }
    } else {
        Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    };
    // The rounds before the last only have to keep up; the last one runs the rate down to nothing.
    let final_fraction = if step.last { 0.0 } else { 0.3 };
    FitOptions {
        epochs: step.round.epochs,
        batch: job.request.batch,
        lr: step.lr,
        schedule: Schedule::Cosine { warmup: 0.05, final_fraction },
        optimizer,
        weight_decay: WEIGHT_DECAY,
        loss: Loss::CrossEntropy { label_smoothing: 0.0 },
        distillation: Some(distillation(job)),
        augmentation: augmentation(&job.train),
        masks: masks.clone(),
        seed: job.request.seed.wrapping_add(step.number as u64),
        threads: job.request.threads,
        checkpoint: checkpoint.map(std::path::Path::to_owned),
        early_stop: None,
        keep: Keep::Last,
        fake_quant: None,
    }
}
