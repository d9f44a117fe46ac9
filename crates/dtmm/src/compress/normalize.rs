//! Batch norms for a model whose own were folded away: without them fine-tuning recovers slowly or diverges.

use dtmm_graph::{Graph, Op, TensorId, transform};
use dtmm_train::{ExecOptions, Executor, Mode};

use super::Job;
use crate::{Error, float};

/// Training samples that give mean and variance.
const SAMPLES: usize = 512;
const BATCH: usize = 32;

/// The graph to prune and train: the incoming one, with batch norms where it has none.
pub fn trainable(job: &Job) -> Result<Graph, Error> {
    let mut graph = job.graph.clone();
    if graph.nodes.iter().any(|n| matches!(n.op, Op::BatchNorm { .. })) {
        return Ok(graph);
    }
    let before = transform::unfold_batch_norm(&mut graph);
    for (tensor, mean, variance) in statistics(job, &graph, &before)? {
        transform::set_batch_norm(&mut graph, tensor, &mean, &variance);
    }
    Ok(graph)
}

type Moments = (TensorId, Vec<f32>, Vec<f32>);

/// Mean and variance of each channel of each tensor over training samples.
fn statistics(job: &Job, graph: &Graph, tensors: &[TensorId]) -> Result<Vec<Moments>, Error> {
    let fail = |source| Error::train(&graph.name, source);
    let options = ExecOptions { threads: job.request.threads, keep_all: true };
    let mut executor = Executor::new(graph, options).map_err(fail)?;
    let data = job.train.take(SAMPLES, job.request.seed);
    let channels = |t: TensorId| graph.tensor(t).shape.last().copied().unwrap_or(1);
    let mut sums: Vec<Vec<[f64; 2]>> = tensors.iter().map(|&t| vec![[0.0; 2]; channels(t)]).collect();
    let mut counts = vec![0usize; tensors.len()];
    for start in (0..data.len()).step_by(BATCH) {
        let count = BATCH.min(data.len() - start);
        let x = float::inputs(&data, start, count, &job.input);
        executor.forward(count, &[&x], Mode::Inference).map_err(fail)?;
        for ((&tensor, sums), count) in tensors.iter().zip(&mut sums).zip(&mut counts) {
            let values = executor.value(tensor).unwrap_or_default();
            *count += values.len() / sums.len();
            for pixel in values.chunks_exact(sums.len()) {
                for (sum, &v) in sums.iter_mut().zip(pixel) {
                    sum[0] += f64::from(v);
                    sum[1] += f64::from(v) * f64::from(v);
                }
            }
        }
    }
    let moments = |((&tensor, sums), count): ((&TensorId, Vec<[f64; 2]>), usize)| {
        let n = count.max(1) as f64;
        let mean = |s: &[f64; 2]| s[0] / n;
        let variance = |s: &[f64; 2]| (s[1] / n - mean(s).powi(2)).max(0.0);
        let collect = |f: &dyn Fn(&[f64; 2]) -> f64| sums.iter().map(|s| f(s) as f32).collect();
        (tensor, collect(&mean), collect(&variance))
    };
    Ok(tensors.iter().zip(sums).zip(counts).map(moments).collect())
}
