//! Batch norms for a model whose own were folded away: without them fine-tuning recovers slowly or diverges.

use dtmm_data::Dataset;
use dtmm_graph::{Graph, Op, Preprocessing, TensorId, transform};
use dtmm_train::{ExecOptions, Executor, Mode};

use crate::{Error, float};

/// Training samples that give mean and variance.
const SAMPLES: usize = 512;
const BATCH: usize = 32;

/// The model with batch norms where it has none; `data` gives their means and variances.
pub(crate) fn trainable(
    model: &Graph,
    data: &Dataset,
    input: &Preprocessing,
    threads: usize,
) -> Result<Graph, Error> {
    let mut graph = model.clone();
    if graph.nodes.iter().any(|n| matches!(n.op, Op::BatchNorm { .. })) {
        return Ok(graph);
    }
    let before = transform::unfold_batch_norm(&mut graph);
    let data = data.take(SAMPLES, 0);
    for (tensor, mean, variance) in statistics(&graph, &before, (&data, input), threads)? {
        transform::set_batch_norm(&mut graph, tensor, &mean, &variance);
    }
    Ok(graph)
}

type Moments = (TensorId, Vec<f32>, Vec<f32>);

/// Mean and variance of each channel of each tensor over the samples.
fn statistics(
    graph: &Graph,
    tensors: &[TensorId],
    (data, input): (&Dataset, &Preprocessing),
    threads: usize,
) -> Result<Vec<Moments>, Error> {
    let fail = |source| Error::train(&graph.name, source);
    let options = ExecOptions { threads, keep_all: true };
    let mut executor = Executor::new(graph, options).map_err(fail)?;
    let channels = |t: TensorId| graph.tensor(t).shape.last().copied().unwrap_or(1);
    let mut sums: Vec<Vec<[f64; 2]>> = tensors.iter().map(|&t| vec![[0.0; 2]; channels(t)]).collect();
    let mut counts = vec![0usize; tensors.len()];
    for start in (0..data.len()).step_by(BATCH) {
        let count = BATCH.min(data.len() - start);
        let x = float::inputs(data, start, count, input);
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
