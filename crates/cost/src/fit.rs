//! Numbers for which the counts of measured layers give what was measured.

use std::collections::BTreeMap;

use crate::model::sum;
use crate::work::{Feature, View, Work};

/// A measured layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What its kernel does.
    pub work: Work,
    /// What was measured; more than 0.
    pub measured: f64,
    /// Whether it is kept from the fit to see how that predicts it.
    pub held_out: bool,
}

/// A finished fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fit {
    /// What each count is multiplied by; none is negative.
    pub numbers: BTreeMap<Feature, f64>,
    /// Layers fitted to.
    pub fitted: usize,
    /// Relative errors of the layers that were held out, in their order; negative where too little is predicted.
    pub errors: Vec<f64>,
}

impl Fit {
    /// Median of the held-out layers' errors without their sign; 0 without any.
    pub fn median(&self) -> f64 {
        let mut errors: Vec<f64> = self.errors.iter().map(|e| e.abs()).collect();
        errors.sort_by(f64::total_cmp);
        errors.get(errors.len() / 2).copied().unwrap_or(0.0)
    }

    /// The largest of the held-out layers' errors.
    pub fn max(&self) -> f64 {
        self.errors.iter().map(|e| e.abs()).fold(0.0, f64::max)
    }
}

/// The numbers that are not negative and whose relative errors have the smallest sum of squares, of the counts that
/// `view`'s kernels have.
pub fn fit(samples: &[Sample], view: View) -> Fit {
    let fitted: Vec<&Sample> = samples.iter().filter(|s| !s.held_out).collect();
    let mut features: Vec<Feature> = fitted.iter().flat_map(|s| s.work.counts().map(|(f, _)| f)).collect();
    features.sort();
    features.dedup();
    features.retain(|f| f.is_in(view));
    let row = |s: &&Sample| features.iter().map(|f| s.work.get(*f) / s.measured).collect();
    let solved = non_negative(fitted.iter().map(row).collect(), features.len());
    let numbers: BTreeMap<Feature, f64> =
        features.into_iter().zip(solved).filter(|(_, n)| *n > 0.0).map(|(f, n)| (f, rounded(n))).collect();
    let error = |s: &Sample| sum(&numbers, &s.work) / s.measured - 1.0;
    let errors = samples.iter().filter(|s| s.held_out).map(error).collect();
    Fit { numbers, fitted: fitted.len(), errors }
}

/// Six digits.
fn rounded(n: f64) -> f64 {
    let digits = 10f64.powf(5.0 - n.abs().log10().floor());
    (n * digits).round() / digits
}

/// What keeps counts that go together from taking each other's part, as a share of a column's length.
const RIDGE: f64 = 1e-7;
/// Below this a slope is none.
const FLAT: f64 = 1e-10;

/// The non-negative `x` for which the rows times `x` come closest to 1: the active-set method of Lawson and Hanson (1974).
fn non_negative(mut rows: Vec<Vec<f64>>, columns: usize) -> Vec<f64> {
    let scale: Vec<f64> = (0..columns)
        .map(|c| rows.iter().map(|r| r[c] * r[c]).sum::<f64>().sqrt().max(f64::MIN_POSITIVE))
        .collect();
    rows.iter_mut().for_each(|r| r.iter_mut().zip(&scale).for_each(|(v, s)| *v /= s));
    let column = |c: usize, d: usize| rows.iter().map(|r| r[c] * r[d]).sum::<f64>();
    let mut square: Vec<Vec<f64>> =
        (0..columns).map(|c| (0..columns).map(|d| column(c, d)).collect()).collect();
    let right: Vec<f64> = (0..columns).map(|c| rows.iter().map(|r| r[c]).sum()).collect();
    (0..columns).for_each(|c| square[c][c] += RIDGE);
    let (mut x, mut used) = (vec![0.0; columns], vec![false; columns]);
    // Each round lets one more count in; the limit only guards against rounding that goes in circles.
    for _ in 0..8 * columns {
        let slope = |c: usize| right[c] - (0..columns).map(|d| square[c][d] * x[d]).sum::<f64>();
        let unused = (0..columns).filter(|&c| !used[c]).map(|c| (c, slope(c)));
        let Some((best, _)) = unused.filter(|(_, s)| *s > FLAT).max_by(|a, b| a.1.total_cmp(&b.1)) else {
            break;
        };
        used[best] = true;
        settle(&square, &right, &mut x, &mut used);
    }
    x.iter().zip(&scale).map(|(x, s)| x / s).collect()
}

/// Moves `x` to the solution over the used columns; those that would become negative are left out.
fn settle(square: &[Vec<f64>], right: &[f64], x: &mut [f64], used: &mut [bool]) {
    loop {
        let inside: Vec<usize> = (0..x.len()).filter(|&c| used[c]).collect();
        let solved = solve(square, right, &inside);
        let negative = || inside.iter().zip(&solved).filter(|(_, v)| **v <= 0.0);
        if negative().next().is_none() {
            inside.iter().zip(&solved).for_each(|(&c, &v)| x[c] = v);
            return;
        }
        let step = negative().map(|(&c, v)| x[c] / (x[c] - v).max(f64::MIN_POSITIVE)).fold(1.0, f64::min);
        for (&c, v) in inside.iter().zip(&solved) {
            x[c] += step * (v - x[c]);
            if x[c] <= FLAT && *v <= 0.0 {
                (x[c], used[c]) = (0.0, false);
            }
        }
    }
}

/// Solves the normal equations of `inside`, which are positive definite, by elimination.
fn solve(square: &[Vec<f64>], right: &[f64], inside: &[usize]) -> Vec<f64> {
    let n = inside.len();
    let row = |&c: &usize| inside.iter().map(|&d| square[c][d]).chain([right[c]]).collect();
    let mut m: Vec<Vec<f64>> = inside.iter().map(row).collect();
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs())).unwrap_or(i);
        m.swap(i, pivot);
        let own = m[i].clone();
        for other in m.iter_mut().skip(i + 1) {
            let factor = other[i] / own[i];
            other.iter_mut().zip(&own).for_each(|(o, v)| *o -= factor * v);
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|d| m[i][d] * x[d]).sum();
        x[i] = (m[i][n] - known) / m[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(numbers: [f64; 3], seed: u64) -> Vec<Sample> {
        let features = [Feature::Call, Feature::Outputs, Feature::Rows];
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            ((state >> 40) + 1) as f64
        };
        (0..60)
            .map(|i| {
                let counts = [1.0, next(), next()];
                let work = features.into_iter().zip(counts).collect();
                let measured = numbers.iter().zip(counts).map(|(n, c)| n * c).sum();
                Sample { work, measured, held_out: i % 3 == 0 }
            })
            .collect()
    }

    #[test]
    fn exact_numbers_are_found() {
        let found = fit(&samples([70_000.0, 3.0, 0.25], 5), View::Dual);
        assert!((found.numbers[&Feature::Outputs] - 3.0).abs() < 1e-3, "{found:?}");
        assert!((found.numbers[&Feature::Rows] - 0.25).abs() < 1e-3, "{found:?}");
        assert!(found.max() < 1e-4 && found.errors.len() == 20 && found.fitted == 40);
    }

    #[test]
    fn nothing_becomes_negative() {
        // Without the constraint the rows' number would be below zero.
        let mut all = samples([0.0, 5.0, 0.0], 9);
        all.iter_mut().for_each(|s| s.measured -= 0.5 * s.work.get(Feature::Rows).min(s.measured));
        let found = fit(&all, View::Dual);
        assert!(found.numbers.values().all(|n| *n > 0.0) && !found.numbers.contains_key(&Feature::Rows));
    }

    #[test]
    fn other_cores_counts_are_left_out() {
        let found = fit(&samples([70_000.0, 3.0, 0.25], 5), View::Vector);
        assert!(!found.numbers.contains_key(&Feature::Rows));
    }
}
