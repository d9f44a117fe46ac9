//! The training loop.

use std::time::Instant;

use dtmm_data::Dataset;
use dtmm_graph::{Graph, TensorId};
use serde::{Deserialize, Serialize};

use crate::{
    Distillation, ExecOptions, Executor, FitOptions, Keep, Loss, Mode, TrainError,
    batch::{Batches, shuffled},
    checkpoint::{Checkpoint, Snapshot, fingerprint},
    loss,
    optimizer::Updater,
};

/// Samples per batch when only predictions are wanted.
const EVALUATION_BATCH: usize = 128;

/// Where a run is, after each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Step inside the epoch, from 1.
    pub step: usize,
    /// Steps per epoch.
    pub steps: usize,
    /// Mean loss of the epoch so far.
    pub loss: f32,
    /// Part of the epoch's samples so far that were classified right.
    pub accuracy: f64,
    /// Learning rate of the step.
    pub lr: f32,
    /// Samples per second in the epoch so far.
    pub images_per_second: f64,
}

/// What came out of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f32,
    /// Accuracy on the augmented training samples while training, 0..=1.
    pub train_accuracy: f64,
    /// Accuracy on the validation set, 0..=1.
    pub validation_accuracy: Option<f64>,
    /// Learning rate of the last step.
    pub lr: f32,
    /// Duration, validation included.
    pub seconds: f64,
}

/// Follows a run and may stop it. `()` does neither.
pub trait Observer {
    /// After each step.
    fn step(&mut self, _progress: &Progress) {}
    /// After each epoch, its checkpoint already written.
    fn epoch(&mut self, _record: &EpochRecord) {}
    /// Asked before each step; `true` ends the run with [`TrainError::Interrupted`].
    fn interrupted(&mut self) -> bool {
        false
    }
}

impl Observer for () {}

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The graph of the epoch that [`FitOptions::keep`] says.
    pub graph: Graph,
    /// Epoch, from 1, that `graph` comes from; 0 when no epoch was run.
    pub kept_epoch: usize,
    /// All epochs in order.
    pub history: Vec<EpochRecord>,
}

/// Accuracy of a graph on a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Part of the samples whose largest output is at their label.
    pub accuracy: f64,
    /// Mean cross-entropy.
    pub loss: f64,
    /// The class of each sample's largest output.
    pub predictions: Vec<u32>,
}

/// Trains `graph` on `train`. The samples go through the graph's preprocessing; `validation` is measured after
/// each epoch. The same arguments give the same bits, for any number of threads, interrupted and resumed or not.
///
/// # Errors
/// Data or options that do not fit the graph, a checkpoint of another run, a loss that is not finite, interruption.
pub fn fit(
    graph: &Graph,
    train: &Dataset,
    validation: Option<&Dataset>,
    options: &FitOptions,
    observer: &mut dyn Observer,
) -> Result<Fitted, TrainError> {
    let mut run = Run::new(graph, train, validation, options)?;
    let steps = run.steps_per_epoch();
    for epoch in run.state.history.len()..options.epochs {
        if run.should_stop() {
            break;
        }
        let start = Instant::now();
        let (loss, train_accuracy) = run.epoch(epoch, observer)?;
        let record = EpochRecord {
            epoch: epoch + 1,
            loss,
            train_accuracy,
            validation_accuracy: run.validate()?,
            lr: run.lr(epoch * steps + steps - 1),
            seconds: start.elapsed().as_secs_f64(),
        };
        run.finish_epoch(record)?;
        if let Some(record) = run.state.history.last() {
            observer.epoch(record);
        }
    }
    Ok(run.into_result(graph))
}

/// Runs `graph` on all of `data`.
///
/// # Errors
/// The graph cannot be run, or the data does not fit it.
pub fn evaluate(graph: &Graph, data: &Dataset, threads: usize) -> Result<Evaluation, TrainError> {
    let mut executor = Executor::new(graph, ExecOptions { threads, keep_all: false })?;
    let batches = Batches::new(graph, data, executor.classes())?;
    evaluate_with(&mut executor, &batches)
}

fn evaluate_with(executor: &mut Executor, batches: &Batches<'_>) -> Result<Evaluation, TrainError> {
    let all: Vec<usize> = (0..batches.len()).collect();
    let (mut x, mut predictions, mut right, mut total) = (vec![], vec![], 0, 0.0f64);
    let pool = executor.pool();
    for indices in all.chunks(EVALUATION_BATCH) {
        pool.install(|| batches.fill(indices, None, &mut x));
        executor.forward(indices.len(), &[&x], Mode::Inference)?;
        let (logits, labels) = (executor.logits(), batches.labels(indices));
        let mut unused = vec![0.0; logits.len()];
        total += f64::from(loss::cross_entropy(logits, &labels, 0.0, 1.0, &mut unused)) * labels.len() as f64;
        right += loss::correct(logits, &labels);
        predictions.extend(logits.chunks(logits.len() / labels.len()).map(loss::best));
    }
    let n = all.len() as f64;
    Ok(Evaluation { accuracy: right as f64 / n, loss: total / n, predictions })
}

struct Run<'a> {
    options: &'a FitOptions,
    executor: Executor,
    teacher: Option<(Executor, &'a Distillation)>,
    train: Batches<'a>,
    validation: Option<Batches<'a>>,
    updater: Updater,
    state: Checkpoint,
    /// What the loss is computed from.
    target: TensorId,
}

impl<'a> Run<'a> {
    fn new(
        graph: &Graph,
        train: &'a Dataset,
        validation: Option<&'a Dataset>,
        options: &'a FitOptions,
    ) -> Result<Self, TrainError> {
        check_options(options)?;
        check_finite(graph)?;
        let exec = ExecOptions { threads: options.threads, keep_all: false };
        let mut executor = Executor::new(graph, exec)?;
        if let Some(fake) = &options.fake_quant {
            executor.set_fake_quant(fake.clone())?;
        }
        let classes = executor.classes();
        let target = match options.loss {
            Loss::CrossEntropy { .. } => executor.logits_tensor(),
            Loss::MeanSquared => graph.outputs[0].tensor,
        };
        let teacher = options.distillation.as_ref().map(|d| teacher(graph, d, &executor)).transpose()?;
        let validation = validation.map(|v| Batches::new(graph, v, classes)).transpose()?;
        let state = Checkpoint::new(fingerprint(graph, train, options)?);
        let updater = Updater::new(options, &executor)?;
        updater.apply_masks(&mut executor);
        let train = Batches::new(graph, train, classes)?;
        let mut run = Run { options, executor, teacher, train, validation, updater, state, target };
        run.resume()?;
        Ok(run)
    }

    fn resume(&mut self) -> Result<(), TrainError> {
        let Some(path) = &self.options.checkpoint else { return Ok(()) };
        if let Some(state) = Checkpoint::load(path, self.state.fingerprint)? {
            self.executor.restore(&state.current);
            self.updater.moments.clone_from(&state.moments);
            self.state = state;
        }
        Ok(())
    }

    /// Smaller than the batch for tiny sets; otherwise the rest of an epoch's order is left out.
    fn batch(&self) -> usize {
        self.options.batch.min(self.train.len())
    }

    fn steps_per_epoch(&self) -> usize {
        self.train.len() / self.batch()
    }

    fn lr(&self, step: usize) -> f32 {
        self.options.lr * self.options.schedule.factor(step, self.options.epochs * self.steps_per_epoch())
    }

    /// Mean loss and accuracy.
    fn epoch(&mut self, epoch: usize, observer: &mut dyn Observer) -> Result<(f32, f64), TrainError> {
        let (batch, steps) = (self.batch(), self.steps_per_epoch());
        let order = shuffled(self.train.len(), self.options.seed, epoch);
        let (mut x, mut loss_sum, mut right) = (vec![], 0.0f64, 0);
        let start = Instant::now();
        for (i, indices) in order.chunks_exact(batch).enumerate() {
            if observer.interrupted() {
                return Err(TrainError::Interrupted { epochs: epoch });
            }
            let lr = self.lr(epoch * steps + i);
            let (loss, hits) = self.step(indices, epoch, lr, &mut x)?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { loss, epoch: epoch + 1, step: i + 1, lr });
            }
            loss_sum += f64::from(loss);
            right += hits;
            let seen = ((i + 1) * batch) as f64;
            observer.step(&Progress {
                epoch: epoch + 1,
                epochs: self.options.epochs,
                step: i + 1,
                steps,
                loss: (loss_sum / (i + 1) as f64) as f32,
                accuracy: right as f64 / seen,
                lr,
                images_per_second: seen / start.elapsed().as_secs_f64(),
            });
        }
        Ok(((loss_sum / steps as f64) as f32, right as f64 / (steps * batch) as f64))
    }

    /// Loss and number of samples classified right.
    fn step(
        &mut self,
        indices: &[usize],
        epoch: usize,
        lr: f32,
        x: &mut Vec<f32>,
    ) -> Result<(f32, usize), TrainError> {
        let augment = Some((&self.options.augmentation, self.options.seed, epoch));
        self.executor.pool().install(|| self.train.fill(indices, augment, x));
        let labels = self.train.labels(indices);
        self.executor.forward(indices.len(), &[x], Mode::Training)?;
        let (loss, gradient) = self.loss(&labels, x)?;
        let hits = loss::correct(self.executor.logits(), &labels);
        if loss.is_finite() {
            self.executor.backward(self.target, &gradient)?;
            self.updater.step(&mut self.executor, lr);
        }
        Ok((loss, hits))
    }

    fn loss(&mut self, labels: &[u32], x: &[f32]) -> Result<(f32, Vec<f32>), TrainError> {
        let output = self.executor.value(self.target).unwrap_or_default();
        let mut gradient = vec![0.0; output.len()];
        let alpha = self.teacher.as_ref().map_or(0.0, |(_, d)| d.alpha);
        let mut value = (1.0 - alpha)
            * match self.options.loss {
                Loss::CrossEntropy { label_smoothing } => {
                    loss::cross_entropy(output, labels, label_smoothing, 1.0 - alpha, &mut gradient)
                }
                Loss::MeanSquared => loss::mean_squared(output, labels, 1.0 - alpha, &mut gradient),
            };
        if let Some((teacher, d)) = &mut self.teacher {
            teacher.forward(labels.len(), &[x], Mode::Inference)?;
            let classes = output.len() / labels.len();
            let weights = (d.temperature, d.alpha);
            value += d.alpha * loss::distillation(output, teacher.logits(), classes, weights, &mut gradient);
        }
        Ok((value, gradient))
    }

    fn validate(&mut self) -> Result<Option<f64>, TrainError> {
        let Some(validation) = &self.validation else { return Ok(None) };
        Ok(Some(evaluate_with(&mut self.executor, validation)?.accuracy))
    }

    fn finish_epoch(&mut self, record: EpochRecord) -> Result<(), TrainError> {
        self.state.current = self.executor.snapshot();
        let accuracy = |r: &EpochRecord| r.validation_accuracy.unwrap_or(f64::NEG_INFINITY);
        let top = self.state.history.iter().map(accuracy).fold(f64::NEG_INFINITY, f64::max);
        let last = self.options.keep == Keep::Last || record.validation_accuracy.is_none();
        if last || accuracy(&record) > top {
            self.state.best = Some((record.epoch, self.state.current.clone()));
        }
        self.state.moments.clone_from(&self.updater.moments);
        self.state.history.push(record);
        self.options.checkpoint.as_ref().map_or(Ok(()), |path| self.state.save(path))
    }

    /// True when no epoch was better for as long as the options allow.
    fn should_stop(&self) -> bool {
        let Some(patience) = self.options.early_stop else { return false };
        let accuracy = |r: &EpochRecord| r.validation_accuracy;
        // Of equals the first, whichever epoch's graph is kept.
        let best = self
            .state
            .history
            .iter()
            .filter(|r| accuracy(r).is_some())
            .reduce(|best, r| if accuracy(r) > accuracy(best) { r } else { best });
        best.is_some_and(|best| self.state.history.len() >= best.epoch + patience)
    }

    fn into_result(mut self, graph: &Graph) -> Fitted {
        let mut graph = graph.clone();
        let kept_epoch = self.state.best.as_ref().map_or(0, |b| b.0);
        if let Some((_, best)) = &self.state.best {
            self.executor.restore(best);
        }
        self.executor.store(&mut graph);
        Fitted { graph, kept_epoch, history: self.state.history }
    }
}

impl Executor {
    /// Values of one sample's logits.
    pub(crate) fn classes(&self) -> usize {
        self.sample_len(self.logits_tensor())
    }

    fn snapshot(&self) -> Snapshot {
        self.params().iter().map(|p| self.values()[p.tensor].clone()).collect()
    }

    fn restore(&mut self, snapshot: &Snapshot) {
        let tensors: Vec<usize> = self.params().iter().map(|p| p.tensor).collect();
        for (t, v) in tensors.into_iter().zip(snapshot) {
            self.values_mut()[t].clone_from(v);
        }
    }
}

fn teacher<'a>(
    graph: &Graph,
    d: &'a Distillation,
    student: &Executor,
) -> Result<(Executor, &'a Distillation), TrainError> {
    let shape = |g: &Graph| g.inputs.iter().map(|p| g.tensor(p.tensor).shape.clone()).collect::<Vec<_>>();
    let executor = Executor::in_pool(&d.teacher, false, student.pool())?;
    let both = |g: &Graph, e: &Executor| format!("inputs {:?} and {} classes", shape(g), e.classes());
    let (expected, found) = (both(graph, student), both(&d.teacher, &executor));
    if expected == found {
        Ok((executor, d))
    } else {
        Err(TrainError::Size { what: "the teacher's inputs and outputs".into(), expected, found })
    }
}

fn check_options(o: &FitOptions) -> Result<(), TrainError> {
    let unit = |v: f32| (0.0..=1.0).contains(&v);
    let smoothing = match o.loss {
        Loss::CrossEntropy { label_smoothing } => label_smoothing,
        Loss::MeanSquared => 0.0,
    };
    let distilled = o.distillation.as_ref();
    let rules = [
        ("batch", o.batch > 0, "must be at least 1"),
        ("lr", o.lr.is_finite() && o.lr > 0.0, "must be positive"),
        ("weight_decay", o.weight_decay.is_finite() && o.weight_decay >= 0.0, "must not be negative"),
        ("label_smoothing", unit(smoothing), "must lie between 0 and 1"),
        ("alpha", distilled.is_none_or(|d| unit(d.alpha)), "must lie between 0 and 1"),
        ("temperature", distilled.is_none_or(|d| d.temperature > 0.0), "must be positive"),
    ];
    let broken = rules.iter().find(|r| !r.1);
    broken.map_or(Ok(()), |r| Err(TrainError::Option { option: r.0, what: r.2.to_owned() }))
}

fn check_finite(graph: &Graph) -> Result<(), TrainError> {
    let bad = |t: &&dtmm_graph::Tensor| t.f32_data().is_some_and(|d| d.iter().any(|v| !v.is_finite()));
    graph.tensors.iter().find(bad).map_or(Ok(()), |t| Err(TrainError::NotFinite { tensor: t.name.clone() }))
}
