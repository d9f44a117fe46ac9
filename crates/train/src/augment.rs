//! Changes to training samples, a function of (seed, epoch, sample) alone.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Random changes to each training sample, after preprocessing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Shifts by up to so many pixels each way; the border is mirrored.
    pub pad_crop: usize,
    /// Mirrors left and right, every other time.
    pub flip: bool,
    /// Adds a constant of up to this size.
    pub brightness: f32,
    /// Scales around the sample's mean by up to this part.
    pub contrast: f32,
    /// Standard deviation of noise added to each value.
    pub noise: f32,
    /// Shifts the rows (time, in features) by up to so many; the ends are repeated.
    pub time_shift: usize,
}

impl Augmentation {
    /// For small images: shift by 4 and mirror.
    pub fn images() -> Self {
        Augmentation { pad_crop: 4, flip: true, ..Self::default() }
    }

    /// For feature maps with time along H: shift in time and noise.
    pub fn features() -> Self {
        Augmentation { noise: 0.05, time_shift: 2, ..Self::default() }
    }

    /// No change.
    pub fn none() -> Self {
        Self::default()
    }

    /// Changes `sample` (HWC of `shape`) as (seed, epoch, index) say.
    pub fn apply(&self, sample: &mut [f32], shape: [usize; 3], (seed, epoch, index): (u64, usize, usize)) {
        if *self == Self::none() {
            return;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(((epoch as u64) << 32) | index as u64);
        self.move_pixels(sample, shape, &mut rng);
        self.change_values(sample, &mut rng);
    }

    fn move_pixels(&self, sample: &mut [f32], [h, w, c]: [usize; 3], rng: &mut ChaCha8Rng) {
        let mut shift = |by: usize| rng.random_range(-(by as i64)..=by as i64) as isize;
        let (dy, dx, dt) = (shift(self.pad_crop), shift(self.pad_crop), shift(self.time_shift));
        let flip = self.flip && rng.random::<bool>();
        if (dy, dx, dt, flip) == (0, 0, 0, false) {
            return;
        }
        let source = sample.to_vec();
        for (i, row) in sample.chunks_exact_mut(w * c).enumerate() {
            let y = (reflect(i as isize + dy, h) as isize + dt).clamp(0, h as isize - 1) as usize;
            for (j, pixel) in row.chunks_exact_mut(c).enumerate() {
                let j = if flip { w - 1 - j } else { j };
                let x = reflect(j as isize + dx, w);
                pixel.copy_from_slice(&source[(y * w + x) * c..][..c]);
            }
        }
    }

    fn change_values(&self, sample: &mut [f32], rng: &mut ChaCha8Rng) {
        if self.contrast > 0.0 || self.brightness > 0.0 {
            let factor = 1.0 + self.contrast * rng.random_range(-1.0..=1.0f32);
            let offset = self.brightness * rng.random_range(-1.0..=1.0f32);
            let mean = sample.iter().sum::<f32>() / sample.len() as f32;
            sample.iter_mut().for_each(|v| *v = (*v - mean) * factor + mean + offset);
        }
        if self.noise > 0.0 {
            sample.iter_mut().for_each(|v| *v += self.noise * normal(rng));
        }
    }
}

/// A standard normal value: Box and Muller's transform.
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()) as f32
}

/// Position `i` of an axis that is mirrored at its first and last element.
fn reflect(i: isize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let i = i.rem_euclid(period as isize) as usize;
    i.min(period - i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_seed_epoch_and_index_only() {
        let shape = [8, 8, 3];
        let base: Vec<f32> = (0..192).map(|i| i as f32).collect();
        let all = Augmentation { brightness: 0.1, contrast: 0.1, noise: 0.1, ..Augmentation::images() };
        let run = |key| {
            let mut v = base.clone();
            all.apply(&mut v, shape, key);
            v
        };
        assert_eq!(run((1, 2, 3)), run((1, 2, 3)));
        for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4)] {
            assert_ne!(run((1, 2, 3)), run(other), "{other:?}");
        }
    }

    #[test]
    fn mirrors_at_the_border() {
        let at: Vec<usize> = (-3..6).map(|i| reflect(i, 4)).collect();
        assert_eq!(at, [3, 2, 1, 0, 1, 2, 3, 2, 1]);
        assert_eq!(reflect(-5, 1), 0);
    }

    #[test]
    fn a_flip_is_its_own_inverse_and_a_shift_keeps_values() {
        let flip = Augmentation { flip: true, ..Augmentation::none() };
        let base: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let flipped = (0..20).find_map(|i| {
            let mut v = base.clone();
            flip.apply(&mut v, [2, 3, 2], (0, 0, i));
            (v != base).then_some(v)
        });
        assert_eq!(flipped.unwrap(), [4., 5., 2., 3., 0., 1., 10., 11., 8., 9., 6., 7.]);
    }
}
