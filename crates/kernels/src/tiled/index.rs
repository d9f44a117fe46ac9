//! Which runs are stored, several at a time.

/// Runs that are taken at once, at most.
pub(crate) const TAKE: usize = 24;

/// A run index and the place up to which it has been read.
#[derive(Clone)]
pub(crate) struct Index<'a> {
    form: Form,
    /// Runs that have been read but not taken, the first in the lowest bit.
    bits: u32,
    /// Their number.
    held: usize,
    /// What has not been read.
    bytes: &'a [u8],
    /// Runs of a gap index that are not stored before the next event.
    absent: usize,
    /// True when a stored run follows them.
    stored: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Dense,
    Bitmap,
    Gaps,
}

impl<'a> Index<'a> {
    /// All runs.
    pub fn dense() -> Self {
        Index::new(Form::Dense, &[])
    }

    pub fn bitmap(bitmap: &'a [u8]) -> Self {
        Index::new(Form::Bitmap, bitmap)
    }

    pub fn gaps(gaps: &'a [u8]) -> Self {
        Index::new(Form::Gaps, gaps)
    }

    fn new(form: Form, bytes: &'a [u8]) -> Self {
        Index { form, bits: 0, held: 0, bytes, absent: 0, stored: false }
    }

    pub fn is_dense(&self) -> bool {
        self.form == Form::Dense
    }

    /// The next `n` <= [`TAKE`] runs, the first in the lowest bit; `None` behind the end of a bitmap.
    #[inline(always)]
    pub fn take(&mut self, n: usize) -> Option<u32> {
        if self.held < n {
            self.read(n)?;
        }
        let bits = self.bits & ((1 << (n & 31)) - 1);
        self.bits >>= n & 31;
        self.held = self.held.wrapping_sub(n);
        Some(bits)
    }

    /// Reads until there are more than [`TAKE`] runs or no more; `None` when there are less than `n` then.
    #[inline(never)]
    fn read(&mut self, n: usize) -> Option<()> {
        while self.held <= TAKE {
            match self.form {
                Form::Dense => (self.bits, self.held) = (u32::MAX, 32),
                Form::Bitmap => match self.byte() {
                    Some(byte) => {
                        self.bits |= byte << self.held;
                        self.held = self.held.wrapping_add(8);
                    }
                    None => break,
                },
                Form::Gaps => self.read_gap(),
            }
        }
        (self.held >= n).then_some(())
    }

    #[inline(always)]
    fn read_gap(&mut self) {
        if self.absent == 0 && !self.stored {
            // Behind the last byte nothing is stored.
            let gap = self.byte().map(|gap| gap as usize);
            (self.absent, self.stored) = (gap.unwrap_or(usize::MAX), gap.is_some_and(|gap| gap < 255));
        }
        let step = self.absent.min(31usize.wrapping_sub(self.held));
        self.absent = self.absent.wrapping_sub(step);
        self.held = self.held.wrapping_add(step);
        if self.absent == 0 && self.stored {
            self.bits |= 1 << (self.held & 31);
            self.held = self.held.wrapping_add(1);
            self.stored = false;
        }
    }

    #[inline(always)]
    fn byte(&mut self) -> Option<u32> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some((*byte).into())
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
