//! Source shapes of any rank and the graph's NHWC shapes.
//!
//! The batch axis, when a tensor has it in front, becomes N = 1. The other axes go to the back of H, W, C: `[N, F]` is
//! `[1, 1, 1, F]`, `[N, L, C]` is `[1, 1, L, C]`. Where there are more than three, the first of them are merged into H.

use crate::error::NodeError;

/// How the source axes of one tensor map to NHWC.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    dims: &'a [usize],
    /// Number of leading batch axes: 0 or 1.
    lead: usize,
}

impl<'a> Layout<'a> {
    /// The layout of a source shape in a model whose inputs have `batch` samples.
    pub fn new(dims: &'a [usize], batch: usize) -> Result<Self, NodeError> {
        match dims.first() {
            Some(&d) if d == batch => Ok(Layout { dims, lead: 1 }),
            _ if batch == 1 => Ok(Layout { dims, lead: 0 }),
            _ => NodeError::unsupported(format!(
                "shape {dims:?} does not keep the batch of {batch} in front; export the model with batch size 1"
            )),
        }
    }

    /// True when axis 0 is the batch.
    pub fn has_batch(&self) -> bool {
        self.lead == 1
    }

    /// The NHWC shape.
    pub fn shape(&self) -> [usize; 4] {
        let rest = &self.dims[self.lead..];
        let merged = rest.len().saturating_sub(2);
        let mut shape = [1; 4];
        if rest.len() > 2 {
            shape[1] = rest[..merged].iter().product();
        }
        let tail = &rest[merged..];
        shape[4 - tail.len()..].copy_from_slice(tail);
        shape
    }

    /// The NHWC axis of source axis `axis`; axis 0 stands for the batch. `None` when it is merged with others.
    pub fn axis(&self, axis: usize) -> Option<usize> {
        if axis < self.lead {
            return Some(0);
        }
        let from_end = self.dims.len() - axis;
        if from_end <= 2 {
            return Some(4 - from_end);
        }
        let merged = &self.dims[self.lead..self.dims.len() - 2];
        let alone = merged.iter().product::<usize>() == self.dims[axis];
        alone.then_some(1)
    }
}

/// The product of the dimensions, when it fits.
pub fn element_count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= isize::MAX as usize)
}

/// Checks a stored shape: every dimension positive and the whole of a sensible size.
pub fn checked_dims(shape: &[i32]) -> Result<Vec<usize>, String> {
    const MAX_RANK: usize = 8;
    const MAX_ELEMENTS: usize = 1 << 31;
    let dims: Option<Vec<usize>> =
        shape.iter().map(|&d| usize::try_from(d).ok().filter(|&d| d > 0)).collect();
    let fits = |d: &Vec<usize>| d.len() <= MAX_RANK && element_count(d).is_some_and(|n| n <= MAX_ELEMENTS);
    dims.filter(fits).ok_or_else(|| format!("shape {shape:?} has an empty or impossible dimension"))
}

/// An axis counted from the front, where negative values count from the back.
pub fn normalize_axis(axis: i64, rank: usize) -> Result<usize, NodeError> {
    let shifted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    let found = usize::try_from(shifted).ok().filter(|&a| a < rank);
    found.ok_or_else(|| NodeError::Invalid(format!("axis {axis} is out of range for rank {rank}")))
}

/// NumPy's broadcast of two source shapes.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, NodeError> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    let axis = |i| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Some(x),
        (1, y) => Some(y),
        (x, 1) => Some(x),
        _ => None,
    };
    let dims: Option<Vec<usize>> = (0..rank).map(axis).collect();
    dims.ok_or_else(|| NodeError::Invalid(format!("shapes {a:?} and {b:?} do not broadcast")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[usize], batch: usize) -> [usize; 4] {
        Layout::new(dims, batch).unwrap().shape()
    }

    #[test]
    fn maps_every_rank() {
        assert_eq!(shape(&[], 1), [1, 1, 1, 1]);
        assert_eq!(shape(&[7], 1), [1, 1, 1, 7]);
        assert_eq!(shape(&[1, 7], 1), [1, 1, 1, 7]);
        assert_eq!(shape(&[5, 7], 1), [1, 1, 5, 7]);
        assert_eq!(shape(&[8, 7], 8), [1, 1, 1, 7]);
        assert_eq!(shape(&[1, 5, 7], 1), [1, 1, 5, 7]);
        assert_eq!(shape(&[3, 5, 7], 1), [1, 3, 5, 7]);
        assert_eq!(shape(&[1, 3, 5, 7], 1), [1, 3, 5, 7]);
        assert_eq!(shape(&[2, 3, 5, 7], 1), [1, 6, 5, 7]);
        assert_eq!(shape(&[1, 2, 3, 5, 7], 1), [1, 6, 5, 7]);
    }

    #[test]
    fn maps_axes_to_where_their_size_is() {
        for dims in [&[1, 7][..], &[1, 5, 7], &[1, 3, 5, 7], &[5, 7], &[3, 5, 7], &[1, 1, 3, 5, 7]] {
            let layout = Layout::new(dims, 1).unwrap();
            for (axis, &d) in dims.iter().enumerate().filter(|(_, d)| **d > 1) {
                let at = layout.axis(axis).unwrap();
                assert_eq!(layout.shape()[at], d, "{dims:?} axis {axis} -> {at}");
            }
        }
        assert_eq!(Layout::new(&[1, 2, 3, 5, 7], 1).unwrap().axis(1), None);
    }

    #[test]
    fn a_lost_batch_is_refused() {
        assert!(Layout::new(&[4, 7], 8).is_err());
    }
}
