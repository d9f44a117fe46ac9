//! A histogram whose counts do not depend on the order of the values.

use serde::{Deserialize, Serialize};

/// Bins on each side of zero.
const HALF: usize = 2048;
/// Values below 2^MIN_EXPONENT in magnitude share the finest bins.
const MIN_EXPONENT: i32 = -60;

/// Counts over `2 * HALF` equal bins of `(-2^exponent, 2^exponent)`. The width is a power of two and doubles when a
/// larger value arrives, by joining pairs of bins: so the counts depend on the set of values alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    exponent: i32,
    counts: Vec<u64>,
    /// Exact zeros, which every quantisation represents exactly; they are in no bin.
    zeros: u64,
    /// Smallest value.
    pub(crate) min: f32,
    /// Largest value.
    pub(crate) max: f32,
}

impl Default for Histogram {
    fn default() -> Self {
        let (min, max) = (f32::INFINITY, f32::NEG_INFINITY);
        Histogram { exponent: MIN_EXPONENT, counts: vec![0; 2 * HALF], zeros: 0, min, max }
    }
}

impl Histogram {
    /// Counts finite values.
    pub(crate) fn add(&mut self, values: &[f32]) {
        let (mut min, mut max) = (self.min, self.max);
        for &v in values {
            min = min.min(v);
            max = max.max(v);
        }
        (self.min, self.max) = (min, max);
        self.widen(exponent_above(min.abs().max(max.abs())));
        let scale = HALF as f32 / 2f32.powi(self.exponent);
        for &v in values {
            if v == 0.0 {
                self.zeros += 1;
            } else {
                let bin = (v * scale).floor() as i32 + HALF as i32;
                self.counts[bin.clamp(0, 2 * HALF as i32 - 1) as usize] += 1;
            }
        }
    }

    /// Adds the counts of another histogram.
    pub(crate) fn merge(&mut self, mut other: Histogram) {
        let exponent = self.exponent.max(other.exponent);
        self.widen(exponent);
        other.widen(exponent);
        self.counts.iter_mut().zip(other.counts).for_each(|(a, b)| *a += b);
        self.zeros += other.zeros;
        (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
    }

    /// Number of values seen.
    pub(crate) fn total(&self) -> u64 {
        self.zeros + self.counts.iter().sum::<u64>()
    }

    /// `(centre, count)` of each bin that is not empty, ascending; exact zeros are left out.
    pub(crate) fn bins(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let width = 2f64.powi(self.exponent) / HALF as f64;
        let centre = move |i: usize| (i as f64 - HALF as f64 + 0.5) * width;
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(move |(i, &n)| (centre(i), n))
    }

    fn widen(&mut self, exponent: i32) {
        let by = (exponent - self.exponent).max(0);
        if by == 0 {
            return;
        }
        let mut wide = vec![0; 2 * HALF];
        for (i, &n) in self.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            let signed = (i as i64 - HALF as i64) >> by.min(32);
            wide[(signed + HALF as i64) as usize] += n;
        }
        self.counts = wide;
        self.exponent += by;
    }
}

/// The smallest exponent of which the power of two exceeds `magnitude`.
fn exponent_above(magnitude: f32) -> i32 {
    if magnitude == 0.0 || !magnitude.is_finite() {
        return MIN_EXPONENT;
    }
    let mut e = magnitude.log2().floor() as i32;
    while 2f32.powi(e) <= magnitude && e < 127 {
        e += 1;
    }
    e.max(MIN_EXPONENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_do_not_depend_on_order_or_grouping() {
        let values: Vec<f32> = (0..5000).map(|i| ((i * 7919 % 5003) as f32 - 1700.0) * 0.0137).collect();
        let mut once = Histogram::default();
        once.add(&values);
        let mut reversed = Histogram::default();
        values.iter().rev().for_each(|v| reversed.add(&[*v]));
        let mut merged = Histogram::default();
        for chunk in values.chunks(77).rev() {
            let mut part = Histogram::default();
            part.add(chunk);
            merged.merge(part);
        }
        assert_eq!(once, reversed);
        assert_eq!(once, merged);
        assert_eq!(once.total(), 5000);
    }

    #[test]
    fn bins_lie_where_the_values_were() {
        let mut h = Histogram::default();
        h.add(&[0.0, 1.0, 1.0, -3.0]);
        let bins: Vec<(f64, u64)> = h.bins().collect();
        assert_eq!(bins.len(), 2);
        assert!((bins[0].0 + 3.0).abs() < 0.002 && bins[0].1 == 1);
        assert!((bins[1].0 - 1.0).abs() < 0.002 && bins[1].1 == 2);
    }
}
