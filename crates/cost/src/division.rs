//! Divisions where there is no instruction for them: what the compiler's function does.
//!
//! A quotient of 0 is seen at once. Else the divisor is shifted up to the number, and one bit of the quotient is found
//! after another, from the highest one on, which is known; a quotient that is a power of two is seen before the others.

use crate::work::{Feature, Work};

/// What some divisions take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Divisions {
    /// Those whose quotient is 0.
    zeros: f64,
    /// The others.
    count: f64,
    /// Bits of quotients that are found one after another.
    steps: f64,
}

/// Bits of one quotient that are found one after another.
fn steps(quotient: usize) -> f64 {
    if quotient == 0 || quotient.is_power_of_two() { 0.0 } else { f64::from(quotient.ilog2()) }
}

/// [`steps`] of all quotients below `quotients`.
fn all_steps(quotients: usize) -> f64 {
    let Some(last) = quotients.checked_sub(1).filter(|q| *q > 0) else { return 0.0 };
    // From 2^k to 2^(k + 1) - 1 all but the first one take k steps.
    let whole: f64 = (0..last.ilog2()).map(|k| f64::from(k) * f64::from((1u32 << k) - 1)).sum();
    let first = 1usize << last.ilog2();
    whole + f64::from(last.ilog2()) * (last - first) as f64
}

impl Divisions {
    /// Of each number below `numbers` by `divisor`.
    pub fn of(numbers: usize, divisor: usize) -> Self {
        let divisor = divisor.max(1);
        let (quotients, rest) = (numbers / divisor, numbers % divisor);
        Divisions {
            zeros: numbers.min(divisor) as f64,
            count: numbers.saturating_sub(divisor) as f64,
            steps: divisor as f64 * all_steps(quotients) + rest as f64 * steps(quotients),
        }
    }

    /// All of them so many times.
    pub fn times(self, times: f64) -> Self {
        Divisions { zeros: times * self.zeros, count: times * self.count, steps: times * self.steps }
    }

    /// Adds them to what a kernel does.
    pub fn add_to(self, work: &mut Work) {
        work.add(Feature::ZeroDivisions, self.zeros);
        work.add(Feature::Divisions, self.count);
        work.add(Feature::DivisionSteps, self.steps);
    }
}

/// Those that find row, column and channel of every element's number.
pub(crate) fn positions([h, w, c]: [usize; 3], work: &mut Work) {
    Divisions::of(h * w * c, c).add_to(work);
    Divisions::of(h * w, w).times(c as f64).add_to(work);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_each_division() {
        for (numbers, divisor) in [(0, 3), (1, 1), (5, 8), (64, 1), (100, 7), (1000, 10), (777, 12)] {
            let quotients = || (0..numbers).map(|n| n / divisor);
            let expected = Divisions {
                zeros: quotients().filter(|q| *q == 0).count() as f64,
                count: quotients().filter(|q| *q > 0).count() as f64,
                steps: quotients().map(steps).sum(),
            };
            assert_eq!(Divisions::of(numbers, divisor), expected, "{numbers} / {divisor}");
        }
    }
}
