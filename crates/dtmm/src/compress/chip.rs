//! Channel independence as the importance of filters, after CHIP (Sui et al. 2021).
//!
//! CHIP asks how much the nuclear norm of a layer's feature maps falls without a channel, for which every channel of every
//! sample needs a singular value decomposition of its own. Here a channel's independence is its distance from the span of
//! the layer's other channels over all pixels of the samples: one Gram matrix and one Cholesky factor for each layer. Both
//! are zero for a channel that the others can say, and its whole length for one that is orthogonal to them.

use dtmm_data::Dataset;
use dtmm_graph::{Graph, Op, Preprocessing, TensorId};
use dtmm_prune::{Importance, PrunableLayer, prunable_layers};
use dtmm_train::{ExecOptions, Executor, Mode};

use crate::{Error, float};

/// Training samples whose feature maps are looked at.
const SAMPLES: usize = 128;
const BATCH: usize = 16;
/// What is added to the diagonal, relative to the mean energy of a channel: channels that are copies of each other have
/// no inverse.
const RIDGE: f64 = 1e-6;

/// Scores that sum to each filter's independence, relative to the layer's mean; within a filter they go by magnitude.
pub fn importance(
    graph: &Graph,
    (data, input): (&Dataset, &Preprocessing),
    (seed, threads): (u64, usize),
) -> Result<Importance, Error> {
    let layers = prunable_layers(graph);
    let maps: Vec<TensorId> = layers.iter().map(|l| feature_map(graph, graph.nodes[l.node].output)).collect();
    let mut grams: Vec<Gram> = layers.iter().map(|l| Gram::new(l.layout.filters)).collect();
    let data = data.take(SAMPLES, seed);
    let fail = |source| Error::train(&graph.name, source);
    let mut executor = Executor::new(graph, ExecOptions { threads, keep_all: true }).map_err(fail)?;
    for start in (0..data.len()).step_by(BATCH) {
        let count = BATCH.min(data.len() - start);
        let x = float::inputs(&data, start, count, input);
        executor.forward(count, &[&x], Mode::Inference).map_err(fail)?;
        for (gram, &map) in grams.iter_mut().zip(&maps) {
            executor.value(map).into_iter().for_each(|values| gram.add(values));
        }
    }
    let score =
        |(layer, gram): (&PrunableLayer, Gram)| (layer.weights, scores(graph, layer, &gram.independence()));
    Ok(Importance { scores: layers.iter().zip(grams).map(score).collect() })
}

/// The tensor after the batch norm and activation that follow.
fn feature_map(graph: &Graph, tensor: TensorId) -> TensorId {
    let readers: Vec<_> = graph.nodes.iter().filter(|n| n.inputs.contains(&tensor)).collect();
    match readers[..] {
        [n] if matches!(n.op, Op::BatchNorm { .. } | Op::Relu | Op::Clip { .. }) => {
            feature_map(graph, n.output)
        }
        _ => tensor,
    }
}

fn scores(graph: &Graph, layer: &PrunableLayer, independence: &[f64]) -> Vec<f32> {
    let weights = graph.tensor(layer.weights).f32_data().unwrap_or_default();
    let layout = &layer.layout;
    let filter = |e: usize| {
        if layout.depthwise { e % layout.filters } else { e / (layout.positions * layout.channels) }
    };
    let mut sums = vec![0.0f64; layout.filters];
    weights.iter().enumerate().for_each(|(e, w)| sums[filter(e)] += f64::from(w.abs()));
    let mean = independence.iter().sum::<f64>() / independence.len().max(1) as f64;
    let size = (layout.len() / layout.filters.max(1)) as f64;
    let score = |(e, w): (usize, &f32)| {
        let whole = sums[filter(e)] * mean;
        let own = f64::from(w.abs()) * independence[filter(e)] * size;
        if whole > 0.0 { (own / whole) as f32 } else { 0.0 }
    };
    weights.iter().enumerate().map(score).collect()
}

/// Sums of products of channels over pixels: the lower half, row by row.
struct Gram {
    channels: usize,
    sums: Vec<f64>,
    pixels: usize,
}

impl Gram {
    fn new(channels: usize) -> Self {
        Gram { channels, sums: vec![0.0; channels * channels], pixels: 0 }
    }

    /// Adds pixels, NHWC.
    fn add(&mut self, values: &[f32]) {
        for pixel in values.chunks_exact(self.channels) {
            self.pixels += 1;
            for (i, &a) in pixel.iter().enumerate().filter(|p| *p.1 != 0.0) {
                let row = &mut self.sums[i * self.channels..][..=i];
                row.iter_mut().zip(pixel).for_each(|(sum, &b)| *sum += f64::from(a) * f64::from(b));
            }
        }
    }

    /// Each channel's distance from the span of the others, per pixel: one over the root of the inverse's diagonal.
    fn independence(&self) -> Vec<f64> {
        let n = self.channels;
        let trace: f64 = (0..n).map(|i| self.sums[i * n + i]).sum();
        if trace <= 0.0 {
            return vec![0.0; n];
        }
        let factor = inverse_factor(&self.sums, n, RIDGE * trace / n as f64);
        let column = |i: usize| (i..n).map(|j| factor[j * n + i].powi(2)).sum::<f64>();
        (0..n).map(|i| (1.0 / column(i) / self.pixels.max(1) as f64).sqrt()).collect()
    }
}

/// The inverse of the Cholesky factor of a symmetric matrix (lower half, row by row) with `ridge` on its diagonal.
fn inverse_factor(matrix: &[f64], n: usize, ridge: f64) -> Vec<f64> {
    let mut l = vec![0.0; n * n];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for i in 0..n {
        for j in 0..=i {
            let rest = matrix[i * n + j] - dot(&l[i * n..][..j], &l[j * n..][..j]);
            // The ridge keeps what rounding leaves of a dependent channel above zero.
            l[i * n + j] = if i == j { (rest.max(0.0) + ridge).sqrt() } else { rest / l[j * n + j] };
        }
    }
    let mut inverse = vec![0.0; n * n];
    for i in 0..n {
        inverse[i * n + i] = 1.0 / l[i * n + i];
        for k in 0..i {
            let factor = -l[i * n + k] / l[i * n + i];
            let (before, row) = inverse.split_at_mut(i * n);
            row[..=k].iter_mut().zip(&before[k * n..]).for_each(|(x, y)| *x += factor * y);
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn independence(pixels: &[[f32; 3]]) -> Vec<f64> {
        let mut gram = Gram::new(3);
        gram.add(&pixels.concat());
        gram.independence()
    }

    #[test]
    fn a_copy_is_dependent_and_an_orthogonal_channel_is_its_whole_length() {
        let found = independence(&[[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, -1.0]]);
        assert!(found[0] < 0.01 && found[1] < 0.01, "{found:?}");
        let length = (10.0f64 / 4.0).sqrt();
        assert!((found[2] - length).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn the_distance_from_a_plane_is_found() {
        // The third channel is the sum of the others and (0, 0, 0, 2) on top.
        let found = independence(&[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 2.0], [0.0, 0.0, 2.0]]);
        assert!((found[2] - 1.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn silent_channels_have_no_importance() {
        assert_eq!(independence(&[[0.0; 3]; 4]), [0.0; 3]);
    }
}
