//! Seeded, class-balanced subsets.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{DataError, Dataset, Samples};

impl Dataset {
    /// The samples at `indices`, in that order.
    ///
    /// # Panics
    /// When an index is not below [`Dataset::len`].
    pub fn subset(&self, indices: &[usize]) -> Dataset {
        let len = self.sample_len();
        let samples = match &self.samples {
            Samples::U8(v) => Samples::U8(gather(v, len, indices)),
            Samples::F32(v) => Samples::F32(gather(v, len, indices)),
        };
        Dataset {
            name: self.name.clone(),
            shape: self.shape,
            samples,
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            classes: self.classes.clone(),
        }
    }

    /// At most `count` samples, as evenly over the classes as they allow, drawn by `seed`; in their old order.
    pub fn take(&self, count: usize, seed: u64) -> Dataset {
        let mut queues = self.shuffled_by_class(seed);
        let mut chosen = Vec::with_capacity(count.min(self.len()));
        while chosen.len() < count.min(self.len()) {
            let room = count - chosen.len();
            chosen.extend(queues.iter_mut().filter_map(Vec::pop).take(room));
        }
        chosen.sort_unstable();
        self.subset(&chosen)
    }

    /// Two parts: the second takes `fraction` of each class (at least one sample, where the class has two), drawn by
    /// `seed`; both in their old order.
    ///
    /// # Errors
    /// [`DataError::Argument`] when `fraction` is not above 0 and below 1.
    pub fn split(&self, fraction: f32, seed: u64) -> Result<(Dataset, Dataset), DataError> {
        if !(fraction > 0.0 && fraction < 1.0) {
            let found = fraction.to_string();
            return Err(DataError::Argument { what: "fraction", expected: "above 0 and below 1", found });
        }
        let (mut first, mut second) = (vec![], vec![]);
        for class in self.shuffled_by_class(seed) {
            let count = (class.len() as f32 * fraction + 0.5) as usize;
            let (b, a) =
                class.split_at(count.clamp(usize::from(class.len() > 1), class.len().saturating_sub(1)));
            first.extend_from_slice(a);
            second.extend_from_slice(b);
        }
        first.sort_unstable();
        second.sort_unstable();
        Ok((self.subset(&first), self.subset(&second)))
    }

    /// Number of samples of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        counts
    }

    fn shuffled_by_class(&self, seed: u64) -> Vec<Vec<usize>> {
        let mut classes = vec![vec![]; self.classes.len()];
        for (index, &label) in self.labels.iter().enumerate() {
            classes[label as usize].push(index);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for class in &mut classes {
            class.shuffle(&mut rng);
        }
        classes
    }
}

fn gather<T: Copy>(values: &[T], len: usize, indices: &[usize]) -> Vec<T> {
    let mut out = Vec::with_capacity(indices.len() * len);
    for &i in indices {
        out.extend_from_slice(&values[i * len..(i + 1) * len]);
    }
    out
}
