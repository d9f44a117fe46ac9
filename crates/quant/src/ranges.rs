//! Calibrated ranges and how they are chosen from histograms.

use std::collections::BTreeMap;

use dtmm_graph::TensorId;
use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// A real interval that int8 shall cover.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Lower end.
    pub min: f32,
    /// Upper end.
    pub max: f32,
}

impl Range {
    /// The smallest interval that holds both.
    pub fn union(self, other: Range) -> Range {
        Range { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// The range of each activation tensor of a float graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranges(pub BTreeMap<TensorId, Range>);

impl Ranges {
    /// The range of a tensor.
    pub fn get(&self, id: TensorId) -> Option<Range> {
        self.0.get(&id).copied()
    }
}

/// How far outliers may be clipped for a finer step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Clipping {
    /// Nothing is clipped: the observed minimum and maximum.
    MinMax,
    /// This share of the values (for instance 0.0001) is clipped, half of it at each end that is not zero.
    Percentile(f64),
    /// The interval with the least mean squared error of quantisation, clipping error included.
    #[default]
    Mse,
}

/// The interval for one tensor's histogram.
pub(crate) fn choose(h: &Histogram, clipping: Clipping) -> Range {
    let full = Range { min: h.min.min(0.0), max: h.max.max(0.0) };
    match clipping {
        Clipping::MinMax => full,
        Clipping::Percentile(share) => percentile(h, full, share),
        Clipping::Mse => least_squares(h, full),
    }
}

fn percentile(h: &Histogram, full: Range, share: f64) -> Range {
    let clipped = (h.total() as f64 * share / 2.0) as u64;
    let bins: Vec<(f64, u64)> = h.bins().collect();
    let (low, high) = (beyond(bins.iter(), clipped), beyond(bins.iter().rev(), clipped));
    Range { min: low.clamp(full.min, 0.0), max: high.clamp(0.0, full.max) }
}

/// The first bin after `count` values have been passed.
fn beyond<'a>(mut bins: impl Iterator<Item = &'a (f64, u64)>, count: u64) -> f32 {
    let mut seen = 0;
    let found = bins.find(|b| {
        seen += b.1;
        seen > count
    });
    found.map_or(0.0, |b| b.0 as f32)
}

/// Candidates for one end of the interval, as parts of the observed one.
const STEPS: usize = 64;

/// Alternates between the two ends; each search is over a fixed grid, so the result depends on the counts alone.
fn least_squares(h: &Histogram, full: Range) -> Range {
    let tails = Tails::new(h);
    let mut best = full;
    for _ in 0..2 {
        best.max = best_end(full.max, |max| tails.error(f64::from(best.min), f64::from(max)));
        best.min = best_end(full.min, |min| tails.error(f64::from(min), f64::from(best.max)));
    }
    best
}

fn best_end(full: f32, error: impl Fn(f32) -> f64) -> f32 {
    let mut best = (full, error(full));
    for step in (STEPS / 5..STEPS).rev() {
        let end = full * step as f32 / STEPS as f32;
        let e = error(end);
        // A smaller interval must be better by more than noise: ties keep the observed range.
        if e < best.1 * 0.999 {
            best = (end, e);
        }
    }
    best.0
}

/// The bins with running sums, so that the error of an interval costs two binary searches.
struct Tails {
    centres: Vec<f64>,
    /// Sums over the bins before index `i` of: count, count · x, count · x².
    sums: Vec<[f64; 3]>,
}

impl Tails {
    fn new(h: &Histogram) -> Self {
        let (mut centres, mut sums) = (Vec::new(), vec![[0.0; 3]]);
        let mut total = [0.0; 3];
        for (x, n) in h.bins() {
            let n = n as f64;
            total = [total[0] + n, total[1] + n * x, total[2] + n * x * x];
            centres.push(x);
            sums.push(total);
        }
        Tails { centres, sums }
    }

    /// Squared error of clamping to `[min, max]` and rounding to 256 levels.
    fn error(&self, min: f64, max: f64) -> f64 {
        let (low, high) =
            (self.centres.partition_point(|x| *x < min), self.centres.partition_point(|x| *x <= max));
        let step = (max - min) / 255.0;
        let inside = (self.sums[high.max(low)][0] - self.sums[low][0]) * step * step / 12.0;
        inside + self.clipped(0, low, min) + self.clipped(high, self.centres.len(), max)
    }

    /// Sum of `count · (x - end)²` over bins `from..to`.
    fn clipped(&self, from: usize, to: usize, end: f64) -> f64 {
        let part: [f64; 3] = std::array::from_fn(|i| self.sums[to.max(from)][i] - self.sums[from][i]);
        (part[2] - 2.0 * end * part[1] + end * end * part[0]).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[f32]) -> Histogram {
        let mut h = Histogram::default();
        h.add(values);
        h
    }

    #[test]
    fn a_lone_outlier_is_clipped_and_a_uniform_signal_is_not() {
        let uniform: Vec<f32> = (0..10_000).map(|i| i as f32 / 1000.0).collect();
        let range = choose(&histogram(&uniform), Clipping::Mse);
        assert!(range.max > 9.7, "{range:?}");
        let mut outlier: Vec<f32> = (0..2_000_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        outlier.push(4.0);
        let range = choose(&histogram(&outlier), Clipping::Mse);
        assert!(range.max < 2.5 && range.max >= 0.99, "{range:?}");
        assert_eq!(range.min, 0.0);
    }

    #[test]
    fn percentile_drops_the_given_share() {
        let values: Vec<f32> = (-5000..5000).map(|i| i as f32 / 100.0).collect();
        let range = choose(&histogram(&values), Clipping::Percentile(0.1));
        assert!((range.max - 45.0).abs() < 0.5 && (range.min + 45.0).abs() < 0.5, "{range:?}");
    }

    #[test]
    fn zero_is_always_inside() {
        for clipping in [Clipping::MinMax, Clipping::Percentile(0.01), Clipping::Mse] {
            let range = choose(&histogram(&[3.0, 4.0, 5.0]), clipping);
            assert!(range.min == 0.0 && range.max > 3.0, "{clipping:?} {range:?}");
        }
    }
}
