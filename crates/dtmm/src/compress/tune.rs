//! Rounds of importance → schedule → apply → fine-tune.

use dtmm_graph::{Graph, Masks, Op};
use dtmm_pack::SizeModel;
use dtmm_prune::{Importance, PackageSize, PrunePlan};
use dtmm_report::{EpochRow, RoundRow};
use dtmm_train::{Distillation, FitOptions, GradientOptions, Loss, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

use super::count::Counted;
use super::request::ImportanceKind;
use super::rounds::{Round, rounds};
use super::{Job, RunDir};
use crate::fitting::{self, Follow};
use crate::train::augmentation;
use crate::trainable::trainable;
use crate::{Error, float};

/// Batches whose gradients are averaged for importance.
const GRADIENT_BATCHES: usize = 32;
/// Fisher information squares the gradient of each batch, so small batches tell more.
const FISHER_BATCH: usize = 4;
const FISHER_BATCHES: usize = 256;
/// How often the scheduler is asked for a plan that uses the budget.
const MOST_ATTEMPTS: usize = 7;
/// A plan that leaves less than one part in so many unused is good enough.
const SLACK: usize = 200;
/// Softening of the teacher's answers, and their weight against the labels.
const TEMPERATURE: f32 = 3.0;
const TEACHER_SHARE: f32 = 0.7;
/// Highest learning rates of fine-tuning: SGD where batch norm keeps activations in range, Adam elsewhere.
const LR_WITH_BATCH_NORM: f32 = 0.03;
const LR_WITHOUT: f32 = 1e-3;
const WEIGHT_DECAY: f32 = 1e-4;

/// The pruned and fine-tuned model.
pub struct Tuned {
    /// Pruned weights are exact zeros, dead channels are gone.
    pub graph: Graph,
    /// Which weights were kept.
    pub masks: Masks,
    /// The last round's plan.
    pub plan: PrunePlan,
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

pub fn prune_and_tune(job: &Job, run: &mut RunDir) -> Result<Tuned, Error> {
    let plan = rounds(job.dense.size.dense_total, job.budget, job.request.rounds, job.request.epochs);
    let mut tuned = Tuned {
        graph: run
            .stage("trainable", || trainable(&job.graph, &job.train, &job.input, job.request.threads))?,
        masks: Masks::new(),
        plan: PrunePlan::default(),
        rounds: vec![],
        epochs: vec![],
    };
    for (k, round) in plan.iter().enumerate() {
        let plan = run.stage(&format!("round-{}-plan", k + 1), || prune(job, &tuned, round, k))?;
        let (graph, masks) = apply(job, tuned.graph.clone(), &plan)?;
        let checkpoint = run.file(&format!("round-{}.checkpoint", k + 1));
        let last = k + 1 == job.request.rounds.min(job.request.epochs).max(1);
        let state = run.stage(&format!("round-{}", k + 1), || {
            fine_tune(
                job,
                &tuned,
                (graph, masks, plan),
                Step { round, number: k + 1, last, checkpoint: &checkpoint },
            )
        })?;
        let _ = std::fs::remove_file(&checkpoint);
        tuned.graph = state.graph;
        tuned.masks = state.masks;
        tuned.plan = state.plan;
        tuned.rounds.push(state.row);
        tuned.epochs.extend(state.epochs);
    }
    Ok(tuned)
}

/// The masks of one round, for the graph as the round before left it.
fn prune(job: &Job, before: &Tuned, round: &Round, k: usize) -> Result<PrunePlan, Error> {
    job.progress.begin(&format!("importance, round {}", k + 1), 1);
    let importance = importance(job, before, k)?;
    let (plan, bytes) = fitting_plan(job, before, &importance, round.target)?;
    let (bytes, target) = (dtmm_report::bytes(bytes), dtmm_report::bytes(round.target));
    job.progress.end(&format!("{bytes} of {target}"));
    Ok(plan)
}

fn importance(job: &Job, before: &Tuned, k: usize) -> Result<Importance, Error> {
    let graph = &before.graph;
    let (batch, batches) = match job.request.importance {
        ImportanceKind::Taylor => (64, GRADIENT_BATCHES),
        _ => (FISHER_BATCH, FISHER_BATCHES),
    };
    let options = GradientOptions {
        batches,
        batch,
        seed: job.request.seed.wrapping_add(k as u64),
        threads: job.request.threads,
        masks: before.masks.clone(),
    };
    let train = |source| Error::train(&job.graph.name, source);
    let scores = match job.request.importance {
        ImportanceKind::Taylor => {
            let gradients = dtmm_train::mean_gradients(graph, &job.train, &options).map_err(train)?;
            Importance::taylor(graph, &gradients)
        }
        ImportanceKind::Fisher => {
            let squares = dtmm_train::mean_squared_gradients(graph, &job.train, &options).map_err(train)?;
            Importance::fisher(graph, &squares)
        }
        ImportanceKind::FactoredFisher => {
            let squares = dtmm_train::mean_squared_gradients(graph, &job.train, &options).map_err(train)?;
            Importance::fisher_factored(graph, &squares)
        }
        ImportanceKind::Lamp => Importance::lamp(graph),
        ImportanceKind::L1 => {
            Importance::magnitude_l1(graph).map(|i| i.normalised(dtmm_prune::Normalisation::LayerMean))
        }
    };
    scores.map_err(|source| Error::Importance { model: job.graph.name.clone(), source })
}

/// The plan whose applied result fits `target`, and its bytes. Physical removal can shift a layer's groups against the
/// channels, or free more than a method's price list knows, so the applied graph is counted and the scheduler asked again
/// for the difference.
fn fitting_plan(
    job: &Job,
    before: &Tuned,
    importance: &Importance,
    target: usize,
) -> Result<(PrunePlan, usize), Error> {
    let method = job.request.scheduler;
    let options = dtmm_prune::Options { method, ..dtmm_prune::Options::default() };
    let mut best: Option<(PrunePlan, usize)> = None;
    let mut budget = target;
    for _ in 0..MOST_ATTEMPTS {
        let plan = match dtmm_prune::schedule(&dtmm_prune::Request {
            graph: &before.graph,
            importance,
            current: &before.masks,
            budget: budget as u64,
            options: &options,
            sizer: &package_size,
            device: dtmm_prune::Device::default(),
        }) {
            Ok(plan) => plan,
            Err(_) if best.as_ref().is_some_and(|(_, bytes)| *bytes <= target) => break,
            Err(source) => return Err(Error::Schedule { model: job.graph.name.clone(), source }),
        };
        let (graph, masks) = apply(job, before.graph.clone(), &plan)?;
        let bytes = Counted::of(&graph, &masks, method)?.flash;
        let fits = bytes <= target;
        let fuller =
            best.as_ref().is_none_or(|(_, b)| if *b <= target { fits && bytes > *b } else { bytes < *b });
        if fuller {
            best = Some((plan, bytes));
        }
        if fits && target - bytes <= target / SLACK {
            break;
        }
        budget = (budget + target).saturating_sub(bytes);
    }
    best.ok_or(Error::OverBudget { bytes: 0, budget: target })
}

/// Exact package bytes of a graph under masks.
fn package_size(graph: &Graph) -> Result<PackageSize, String> {
    let model = SizeModel::new(graph).map_err(|e| e.to_string())?;
    Ok(Box::new(move |masks: &Masks| model.size(masks).total as u64))
}

fn apply(job: &Job, graph: Graph, plan: &PrunePlan) -> Result<(Graph, Masks), Error> {
    dtmm_prune::apply(graph, plan).map_err(|source| Error::Apply { model: job.graph.name.clone(), source })
}

/// Which round is being fine-tuned.
struct Step<'a> {
    round: &'a Round,
    number: usize,
    last: bool,
    checkpoint: &'a std::path::Path,
}

fn fine_tune(
    job: &Job,
    before: &Tuned,
    (graph, masks, plan): (Graph, Masks, PrunePlan),
    step: Step,
) -> Result<State, Error> {
    let (graph, epochs) = if step.round.epochs == 0 {
        (graph, vec![])
    } else {
        let options = options(job, &graph, &masks, &step);
        let stage = format!("fine-tuning, round {}", step.number);
        let mut follow = Follow::new(job.progress, &stage, &options, job.train.len());
        let fitted = dtmm_train::fit(&graph, &job.train, Some(&job.validation), &options, &mut follow)
            .map_err(|source| fitting::error(source, &job.graph.name, &job.request.output))?;
        follow.finish(&fitted.history);
        (fitted.graph, fitting::epoch_rows(&fitted.history, before.epochs.len()))
    };
    let (threads, progress) = (job.request.threads, &crate::Silent);
    let row = RoundRow {
        round: step.number,
        target_bytes: step.round.target,
        predicted_bytes: plan.predicted_bytes as usize,
        importance_removed: share(plan.importance_removed, plan.importance_total),
        kept_importance_bound: Some(1.0 - share(plan.bound, plan.importance_total)),
        epochs: step.round.epochs,
        validation_accuracy: float::accuracy(&graph, &job.validation, &job.input, threads, progress)?,
    };
    Ok(State { graph, masks, plan, row, epochs })
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn options(job: &Job, graph: &Graph, masks: &Masks, step: &Step) -> FitOptions {
    let batch_norm = graph.nodes.iter().any(|n| matches!(n.op, Op::BatchNorm { .. }));
    let optimizer = if batch_norm {
        Optimizer::Sgd { momentum: 0.9, nesterov: true }
    } else {
        Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    };
    // The rounds before the last only have to keep up; the last one runs the rate down to nothing.
    let final_fraction = if step.last { 0.0 } else { 0.3 };
    FitOptions {
        epochs: step.round.epochs,
        batch: job.request.batch,
        lr: job.request.lr.unwrap_or(if batch_norm { LR_WITH_BATCH_NORM } else { LR_WITHOUT }),
        schedule: Schedule::Cosine { warmup: 0.05, final_fraction },
        optimizer,
        weight_decay: WEIGHT_DECAY,
        loss: Loss::CrossEntropy { label_smoothing: 0.0 },
        distillation: Some(Distillation {
            teacher: job.graph.clone(),
            temperature: TEMPERATURE,
            alpha: TEACHER_SHARE,
        }),
        augmentation: augmentation(&job.train),
        masks: masks.clone(),
        seed: job.request.seed.wrapping_add(step.number as u64),
        threads: job.request.threads,
        checkpoint: Some(step.checkpoint.to_owned()),
        early_stop: None,
        fake_quant: None,
    }
}
