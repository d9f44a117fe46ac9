//! Batches of preprocessed, augmented samples.

use dtmm_data::Dataset;
use dtmm_graph::{Graph, Preprocessing};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{Augmentation, TrainError};

/// Gives a data set's samples as a graph's input.
pub(crate) struct Batches<'a> {
    data: &'a Dataset,
    preprocessing: Preprocessing,
}

impl<'a> Batches<'a> {
    /// Checks that `data` fits the only input of `graph` and `classes` outputs.
    pub fn new(graph: &Graph, data: &'a Dataset, classes: usize) -> Result<Self, TrainError> {
        let size = |what: &str, expected: String, found: String| TrainError::Size {
            what: format!("data set '{}': {what}", data.name),
            expected,
            found,
        };
        let shape = graph.inputs.first().map(|p| &graph.tensor(p.tensor).shape[1..]).unwrap_or_default();
        if graph.inputs.len() != 1 {
            return Err(size("inputs of the graph", "1".into(), graph.inputs.len().to_string()));
        }
        if shape != data.shape {
            let (expected, found) = (format!("{shape:?}"), format!("{:?}", data.shape));
            return Err(size("height, width, channels of a sample", expected, found));
        }
        if data.is_empty() {
            return Err(size("samples", "1 or more".into(), "0".into()));
        }
        if let Some(label) = data.labels.iter().find(|l| **l as usize >= classes) {
            return Err(size("a label", format!("below {classes} (the model's outputs)"), label.to_string()));
        }
        let preprocessing = graph.preprocessing.clone().unwrap_or_else(Preprocessing::identity);
        Ok(Batches { data, preprocessing })
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Writes the samples `indices` one after another; `augment` with (seed, epoch).
    pub fn fill(&self, indices: &[usize], augment: Option<(&Augmentation, u64, usize)>, out: &mut Vec<f32>) {
        let len = self.data.sample_len();
        out.resize(indices.len() * len, 0.0);
        out.par_chunks_mut(len).zip(indices).for_each(|(out, &i)| {
            self.data.write_input(i, &self.preprocessing, out);
            if let Some((a, seed, epoch)) = augment {
                a.apply(out, self.data.shape, (seed, epoch, i));
            }
        });
    }

    pub fn labels(&self, indices: &[usize]) -> Vec<u32> {
        indices.iter().map(|&i| self.data.labels[i]).collect()
    }
}

/// The order of `len` samples in an epoch.
pub(crate) fn shuffled(len: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::MAX - epoch as u64);
    let mut order: Vec<usize> = (0..len).collect();
    for i in (1..len).rev() {
        order.swap(i, rng.random_range(0..=i as u64) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_of_its_own() {
        let mut a = shuffled(1000, 1, 0);
        assert_ne!(a, shuffled(1000, 1, 1));
        assert_ne!(a, shuffled(1000, 2, 0));
        a.sort_unstable();
        assert_eq!(a, (0..1000).collect::<Vec<_>>());
    }
}
