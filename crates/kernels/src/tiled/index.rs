//! Which runs are stored, several at a time.

/// A run index and the place up to which it has been read.
#[derive(Clone, Copy)]
pub(crate) enum Index<'a> {
    /// All runs.
    Dense,
    /// A bitmap and the next bit.
    Bitmap(&'a [u8], usize),
    /// A gap index.
    Gaps(Gaps<'a>),
}

/// A gap index.
#[derive(Clone, Copy)]
pub(crate) struct Gaps<'a> {
    bytes: &'a [u8],
    /// Runs that are not stored before the next event.
    absent: u32,
    /// True when a stored run follows them.
    stored: bool,
}

impl<'a> Index<'a> {
    pub fn bitmap(bitmap: &'a [u8]) -> Self {
        Index::Bitmap(bitmap, 0)
    }

    pub fn gaps(bytes: &'a [u8]) -> Self {
        Index::Gaps(Gaps { bytes, absent: 0, stored: false })
    }

    /// The next `n` <= 24 runs, the first in the lowest bit; `None` behind the end of a bitmap.
    pub fn take(&mut self, n: usize) -> Option<u32> {
        let bits = match self {
            Index::Dense => u32::MAX,
            Index::Bitmap(bytes, at) => {
                let rest = bytes.get(*at / 8..)?;
                let word = match rest.first_chunk::<4>() {
                    Some(word) => u32::from_le_bytes(*word),
                    None => rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)),
                };
                let bits = word >> (*at % 8);
                *at = at.wrapping_add(n);
                (*at <= bytes.len().wrapping_mul(8)).then_some(bits)?
            }
            Index::Gaps(gaps) => gaps.take(n as u32),
        };
        Some(bits & ((1 << (n & 31)) - 1))
    }
}

impl Gaps<'_> {
    fn take(&mut self, n: u32) -> u32 {
        let (mut at, mut bits) = (0, 0);
        loop {
            let step = self.absent.min(n.wrapping_sub(at));
            self.absent = self.absent.wrapping_sub(step);
            at = at.wrapping_add(step);
            if at >= n {
                return bits;
            }
            if self.stored {
                bits |= 1 << (at & 31);
                at = at.wrapping_add(1);
                self.stored = false;
            }
            if self.absent == 0 && !self.stored {
                self.read();
            }
        }
    }

    fn read(&mut self) {
        match self.bytes.split_first() {
            Some((&gap, rest)) => {
                self.bytes = rest;
                self.absent = u32::from(gap);
                self.stored = gap < 255;
            }
            None => self.absent = u32::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;
    use crate::fwcs::{BitmapRuns, GapRuns};

    /// All runs, taken in steps of the given sizes.
    fn taken(mut index: Index<'_>, steps: &[usize]) -> Vec<bool> {
        let mut runs = Vec::new();
        for &n in steps {
            let bits = index.take(n).expect("inside the index");
            runs.extend((0..n).map(|i| bits >> i & 1 == 1));
        }
        runs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

        #[test]
        fn runs_are_those_of_the_reference(
            bytes in prop::collection::vec(any::<u8>(), 1..40),
            steps in prop::collection::vec(1usize..=24, 1..20),
        ) {
            let mut steps = steps;
            while steps.iter().sum::<usize>() > bytes.len() * 8 {
                steps.pop();
            }
            let runs: usize = steps.iter().sum();
            let expected: Vec<bool> = BitmapRuns::new(&bytes).take(runs).collect();
            prop_assert_eq!(taken(Index::bitmap(&bytes), &steps), expected);
            let expected: Vec<bool> = GapRuns::new(&bytes).take(runs).collect();
            prop_assert_eq!(taken(Index::gaps(&bytes), &steps), expected);
        }
    }

    #[test]
    fn a_bitmap_ends() {
        let mut index = Index::bitmap(&[0xFF]);
        assert_eq!((index.take(5), index.take(4)), (Some(31), None));
    }
}
