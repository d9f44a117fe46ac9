//! A batch cut into groups whose number depends on the batch size alone, so that sums come out the same for any number
//! of threads.

use std::ops::Range;

/// How many samples there are and into how many groups they are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    pub batch: usize,
    pub count: usize,
}

impl Groups {
    pub fn new(batch: usize) -> Self {
        let count = if batch >= 64 { 8 } else { batch.clamp(1, 4) };
        Groups { batch, count }
    }

    /// At most `count` groups: where each group's sum is itself large.
    pub fn at_most(self, count: usize) -> Self {
        Groups { count: self.count.min(count), ..self }
    }

    /// The samples of group `i`.
    pub fn range(&self, i: usize) -> Range<usize> {
        i * self.batch / self.count..(i + 1) * self.batch / self.count
    }

    /// `data` of `unit` values per sample, one slice for each group.
    pub fn split<'a, T>(&self, data: &'a [T], unit: usize) -> Vec<&'a [T]> {
        (0..self.count).map(|i| self.range(i)).map(|r| &data[r.start * unit..r.end * unit]).collect()
    }

    /// As [`Groups::split`], mutable.
    pub fn split_mut<'a, T>(&self, mut data: &'a mut [T], unit: usize) -> Vec<&'a mut [T]> {
        let mut parts = Vec::with_capacity(self.count);
        for i in 0..self.count {
            let (part, rest) = data.split_at_mut(self.range(i).len() * unit);
            parts.push(part);
            data = rest;
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_the_batch_in_order() {
        for batch in [1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 127, 128] {
            let groups = Groups::new(batch);
            let all: Vec<usize> = (0..groups.count).flat_map(|i| groups.range(i)).collect();
            assert_eq!(all, (0..batch).collect::<Vec<_>>());
            let mut data = all.clone();
            let lens: Vec<usize> = groups.split_mut(&mut data, 1).iter().map(|p| p.len()).collect();
            assert!(lens.iter().max().unwrap() - lens.iter().min().unwrap() <= 1);
        }
    }
}
