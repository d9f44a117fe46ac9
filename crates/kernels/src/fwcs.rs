//! Decodes run indexes: which runs of a layer are stored. The forms are specified with the package format.

/// Yields one `bool` per run from a bitmap, least significant bit first.
#[derive(Clone)]
pub struct BitmapRuns<'a> {
    bytes: core::slice::Iter<'a, u8>,
    /// The rest of the current byte above a sentinel bit; 1 = used up.
    byte: u32,
}

impl<'a> BitmapRuns<'a> {
    /// From the first run on.
    pub fn new(bitmap: &'a [u8]) -> Self {
        BitmapRuns { bytes: bitmap.iter(), byte: 1 }
    }
}

impl Iterator for BitmapRuns<'_> {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        if self.byte == 1 {
            self.byte = u32::from(*self.bytes.next()?) | 0x100;
        }
        let stored = self.byte & 1 == 1;
        self.byte >>= 1;
        Some(stored)
    }
}

/// Yields one `bool` per run from a gap index; `false` without end after the last stored run.
#[derive(Clone)]
pub struct GapRuns<'a> {
    bytes: core::slice::Iter<'a, u8>,
    /// Runs that are not stored before the next event.
    absent: u32,
    /// True when a stored run follows them.
    stored: bool,
}

impl<'a> GapRuns<'a> {
    /// From the first run on.
    pub fn new(gaps: &'a [u8]) -> Self {
        GapRuns { bytes: gaps.iter(), absent: 0, stored: false }
    }
}

impl Iterator for GapRuns<'_> {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        while self.absent == 0 && !self.stored {
            let Some(&gap) = self.bytes.next() else { return Some(false) };
            self.absent = u32::from(gap);
            self.stored = gap < 255;
        }
        if self.absent > 0 {
            self.absent -= 1;
            return Some(false);
        }
        self.stored = false;
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn decodes_a_bitmap() {
        let runs: Vec<bool> = BitmapRuns::new(&[0b0000_0101, 0b1000_0000]).collect();
        let set: Vec<usize> = (0..runs.len()).filter(|&i| runs[i]).collect();
        assert_eq!((runs.len(), set), (16, std::vec![0, 2, 15]));
    }

    #[test]
    fn decodes_gaps_longer_than_a_byte() {
        let runs: Vec<bool> = GapRuns::new(&[0, 2, 255, 255, 0, 254, 255]).take(2000).collect();
        let set: Vec<usize> = (0..runs.len()).filter(|&i| runs[i]).collect();
        assert_eq!(set, [0, 3, 514, 769]);
    }
}
