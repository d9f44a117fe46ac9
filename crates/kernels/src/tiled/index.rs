//! Which runs are stored, several at a time.

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

    /// The next runs, the first in the lowest bit, and how many they are: one at least, `most` at most, which is not 0. `None`
    /// behind the end of a bitmap.
    #[inline(always)]
    pub fn take(&mut self, most: usize) -> Option<(u32, usize)> {
        if self.held == 0 {
            self.read()?;
        }
        let n = self.held.min(most);
        let bits = self.bits & u32::MAX >> (32usize.wrapping_sub(n) & 31);
        self.bits >>= n & 31;
        self.held = self.held.wrapping_sub(n);
        Some((bits, n))
    }

    /// The next `n` runs, 1 to 32.
    #[cfg(any(dtmm_isa = "mve", test))]
    pub fn take_all(&mut self, n: usize) -> Option<u32> {
        let (mut bits, mut taken) = self.take(n)?;
        while taken < n {
            let (more, by) = self.take(n.wrapping_sub(taken))?;
            bits |= more << (taken & 31);
            taken = taken.wrapping_add(by);
        }
        Some(bits)
    }

    /// Reads runs when none are held.
    #[inline(never)]
    fn read(&mut self) -> Option<()> {
        (self.bits, self.held) = match (self.form, self.bytes.split_first_chunk()) {
            (Form::Dense, _) => (u32::MAX, 32),
            (Form::Gaps, _) => self.read_gaps(),
            (Form::Bitmap, Some((word, rest))) => {
                self.bytes = rest;
                (u32::from_le_bytes(*word), 32)
            }
            (Form::Bitmap, None) => {
                let first = self.byte()?;
                (first, 8)
            }
        };
        Some(())
    }

    /// Each byte takes one step, however many runs are not stored.
    #[inline(always)]
    fn read_gaps(&mut self) -> (u32, usize) {
        let (mut bits, mut at) = (0, self.absent);
        while at < 32 {
            if self.stored {
                bits |= 1 << (at & 31);
                at = at.wrapping_add(1);
            }
            // Behind the last byte nothing is stored.
            let gap = self.byte().map(|gap| gap as usize);
            self.stored = gap.is_some_and(|gap| gap < 255);
            at = gap.map_or(usize::MAX, |gap| at.wrapping_add(gap));
        }
        self.absent = at.wrapping_sub(32);
        (bits, 32)
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
            let bits = index.take_all(n).expect("inside the index");
            runs.extend((0..n).map(|i| bits >> i & 1 == 1));
        }
        runs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

        #[test]
        fn runs_are_those_of_the_reference(
            bytes in prop::collection::vec(any::<u8>(), 1..40),
            steps in prop::collection::vec(1usize..=32, 1..20),
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
        assert_eq!((index.take_all(5), index.take_all(4)), (Some(31), None));
    }
}
