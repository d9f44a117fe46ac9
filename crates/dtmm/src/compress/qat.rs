//! From the pruned float model to the int8 graph: calibration, and quantisation-aware epochs where rounding costs accuracy.
//!
//! The model is trained as it will be deployed: batch norms folded, activations fused, weights and activations rounded
//! in the forward pass, pruned weights held at zero. The better of the two int8 models, by the validation samples, stays.

use dtmm_graph::{Graph, Masks, Op, TensorId};
use dtmm_quant::{Clipping, QuantOptions, Ranges};
use dtmm_report::Quantization;
use dtmm_train::{FakeQuant, FitOptions, Keep, Loss, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

use super::tune::{Tuned, distillation, validation};
use super::{Job, RunDir, host};
use crate::fitting::{self, Follow};
use crate::model::pack_int8;
use crate::train::augmentation;
use crate::{Error, float, int8};

/// Training samples that calibrate the activations.
const CALIBRATION_SAMPLES: usize = 512;
/// Loss of validation accuracy by rounding from which on quantisation-aware epochs run unasked.
const LARGEST_LOSS: f64 = 0.005;
/// Their number then, as a share of the fine-tuning epochs.
const EPOCH_SHARE: f64 = 0.25;
/// Highest learning rate: without batch norms, and at the end of all training.
const LR: f32 = 1e-4;

/// The int8 graph and how it came about.
pub fn quantized(job: &Job, tuned: &Tuned, run: &mut RunDir) -> Result<(Graph, Quantization), Error> {
    let calibrated: Calibrated = run.stage("quantized", || calibrate(job, &tuned.graph))?;
    let after = run.stage("rounded", || accuracy(job, &calibrated.int8))?;
    let float = run.stage("validated", || validation(job, &tuned.graph))?;
    let mut told = Quantization {
        calibration_samples: CALIBRATION_SAMPLES.min(job.train.len()),
        float_validation: float,
        rounded_validation: after,
        qat_epochs: epochs(job, float - after),
        qat_validation: None,
    };
    if told.qat_epochs == 0 {
        return Ok((calibrated.int8, told));
    }
    let checkpoint = run.file("qat.checkpoint");
    let trained: Graph = run.stage("qat", || train(job, &calibrated, told.qat_epochs, &checkpoint))?;
    let _ = std::fs::remove_file(&checkpoint);
    let better = run.stage("qat-rounded", || accuracy(job, &trained))?;
    told.qat_validation = Some(better);
    Ok((if better > after { trained } else { calibrated.int8 }, told))
}

/// The float graph as it is deployed, its ranges, and its int8 form.
#[derive(Serialize, Deserialize)]
struct Calibrated {
    float: Graph,
    ranges: Ranges,
    int8: Graph,
}

fn calibrate(job: &Job, graph: &Graph) -> Result<Calibrated, Error> {
    job.progress.begin("calibrating and quantizing", 1);
    let mut float = graph.clone();
    dtmm_graph::transform::for_inference(&mut float);
    let samples = job.train.take(CALIBRATION_SAMPLES, job.request.seed);
    let ranges = float::calibrate(&float, &samples, &job.input, job.request.threads, Clipping::default())?;
    let int8 = quantize(&float, &ranges)?;
    job.progress.end("done");
    Ok(Calibrated { float, ranges, int8 })
}

fn quantize(graph: &Graph, ranges: &Ranges) -> Result<Graph, Error> {
    dtmm_quant::quantize(graph, ranges, &QuantOptions::default())
        .map_err(|source| Error::Quant { model: graph.name.clone(), source })
}

/// Accuracy of the packed graph on samples that nothing is trained on.
fn accuracy(job: &Job, int8: &Graph) -> Result<f64, Error> {
    let host = host(job, &pack_int8(int8)?.bytes)?;
    let answers = int8::answers(&host, &job.validation, &job.input, job.request.threads, &crate::Silent)?;
    Ok(float::share_right(&answers, &job.validation))
}

/// As asked for, or else by what rounding loses.
fn epochs(job: &Job, loss: f64) -> usize {
    let share = (job.request.epochs as f64 * EPOCH_SHARE).ceil() as usize;
    job.request.qat_epochs.unwrap_or(if loss > LARGEST_LOSS { share } else { 0 })
}

fn train(
    job: &Job,
    calibrated: &Calibrated,
    epochs: usize,
    checkpoint: &std::path::Path,
) -> Result<Graph, Error> {
    let graph = &calibrated.float;
    let options = FitOptions {
        epochs,
        batch: job.request.batch,
        lr: LR,
        schedule: Schedule::Cosine { warmup: 0.05, final_fraction: 0.0 },
        optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        weight_decay: 0.0,
        loss: Loss::CrossEntropy { label_smoothing: 0.0 },
        distillation: Some(distillation(job)),
        augmentation: augmentation(&job.train),
        masks: kept(graph),
        fake_quant: Some(FakeQuant {
            weights: true,
            per_channel_fully_connected: QuantOptions::default().per_channel_fully_connected,
            activations: rounded(graph, &calibrated.int8),
        }),
        seed: job.request.seed,
        threads: job.request.threads,
        checkpoint: Some(checkpoint.to_owned()),
        early_stop: None,
        keep: Keep::Last,
    };
    let mut follow = Follow::new(job.progress, "quantisation-aware epochs", &options, job.train.len());
    let fitted = dtmm_train::fit(graph, &job.train, Some(&job.validation), &options, &mut follow)
        .map_err(|source| fitting::error(source, &job.graph.name, &job.request.output))?;
    follow.finish(&fitted.history);
    quantize(&fitted.graph, &calibrated.ranges)
}

/// Folding keeps zeros: what pruning took is what is zero.
fn kept(graph: &Graph) -> Masks {
    let weights = graph.nodes.iter().filter(|n| n.op.has_weights()).map(|n| n.inputs[1]);
    let mask = |t: TensorId| graph.tensor(t).f32_data().map(|d| (t, d.iter().map(|&w| w != 0.0).collect()));
    weights.filter_map(mask).collect()
}

/// Scale and zero point of each activation of `graph`, as `int8` has them. A tensor that only a ReLU or Clip reads may
/// be computed together with it, and has no value of its own.
fn rounded(graph: &Graph, int8: &Graph) -> std::collections::BTreeMap<TensorId, (f32, i32)> {
    let consumers = graph.consumers();
    let inside = |t: TensorId| match consumers[t.index()][..] {
        [n] => matches!(graph.nodes[n].op, Op::Relu | Op::Clip { .. }),
        _ => false,
    };
    let inputs = graph.inputs.iter().map(|p| p.tensor);
    let all = inputs.chain(graph.nodes.iter().map(|n| n.output)).filter(|&t| !inside(t));
    let quant = |t: TensorId| {
        let q = int8.tensor(t).quant.as_ref()?;
        Some((t, (*q.scale.first()?, *q.zero_point.first()?)))
    };
    all.filter_map(quant).collect()
}
