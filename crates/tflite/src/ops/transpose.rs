//! TRANSPOSE.

use dtmm_graph::Op;

use crate::dims::normalize_axis;
use crate::error::NodeError;
use crate::importer::{Activation, Importer, NodeView};

/// A transpose that only moves axes of size 1 is a reshape; of the others, neighbours that stay together count as one.
pub fn transpose(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let perm = permutation(&importer.index(node.input(1)?, "the permutation")?, x.dims.len())?;
    let dims: Vec<usize> = perm.iter().map(|&p| x.dims[p]).collect();
    if importer.batch > 1 && perm.first() != Some(&0) {
        return NodeError::unsupported("moving the batch axis");
    }
    let (groups, order) = merge(&x.dims, &perm, usize::from(importer.batch > 1));
    if order.len() <= 1 {
        return importer.alias(node, 0, x.id, dims);
    }
    if let Some(perm) = direct(importer, &x, &perm)? {
        return importer.emit(node, Op::Transpose { perm }, &[x.id], dims);
    }
    if order.len() > 3 {
        return NodeError::unsupported(format!("permutation {perm:?} of shape {:?}", x.dims));
    }
    let front = 4 - order.len();
    let (mut shape, mut moved) = ([1; 4], [0, 1, 2, 3]);
    shape[front..].copy_from_slice(&groups);
    for (i, &o) in order.iter().enumerate() {
        moved[front + i] = front + o;
    }
    let merged = importer.reshaped(node, x.id, shape)?;
    importer.emit(node, Op::Transpose { perm: moved }, &[merged], dims)
}

/// Checks that `perm` is a permutation of `0..rank`.
pub fn permutation(perm: &[i64], rank: usize) -> Result<Vec<usize>, NodeError> {
    let axes: Vec<usize> = perm.iter().map(|&p| normalize_axis(p, rank)).collect::<Result<_, _>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..rank) {
        return Ok(axes);
    }
    NodeError::invalid(format!("{perm:?} is not a permutation of {rank} axes"))
}

/// The permutation of NHWC, where no axes are merged and the batch stays in front.
fn direct(importer: &Importer<'_>, x: &Activation, perm: &[usize]) -> Result<Option<[usize; 4]>, NodeError> {
    let batched = importer.layout(&x.dims)?.has_batch();
    let fits = x.dims.len() <= 4 && if batched { perm[0] == 0 } else { x.dims.len() < 4 };
    if !fits {
        return Ok(None);
    }
    let front = 4 - perm.len();
    let mut out = [0, 1, 2, 3];
    for (i, &p) in perm.iter().enumerate().skip(usize::from(batched)) {
        out[front + i] = front + p;
    }
    Ok(Some(out))
}

/// Sizes of the groups of source axes that stay together (axes of size 1 and the first `skip` left out), in source
/// order, and the order in which the permutation puts them.
fn merge(dims: &[usize], perm: &[usize], skip: usize) -> (Vec<usize>, Vec<usize>) {
    let live: Vec<usize> = perm.iter().copied().filter(|&p| dims[p] > 1 && p >= skip).collect();
    let mut sorted = live.clone();
    sorted.sort_unstable();
    let rank_of = |axis: usize| sorted.iter().position(|&s| s == axis).unwrap_or(0);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut last = None;
    for &axis in &live {
        let rank = rank_of(axis);
        match runs.last_mut() {
            Some(run) if last.is_some_and(|l| l + 1 == rank) => run.1 *= dims[axis],
            _ => runs.push((rank, dims[axis])),
        }
        last = Some(rank);
    }
    let mut by_source = runs.clone();
    by_source.sort_unstable();
    let position = |run: &(usize, usize)| by_source.iter().position(|r| r.0 == run.0).unwrap_or(0);
    let order = runs.iter().map(position).collect();
    (by_source.into_iter().map(|r| r.1).collect(), order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_neighbours() {
        assert_eq!(merge(&[1, 4, 5, 6], &[0, 3, 1, 2], 0), (vec![20, 6], vec![1, 0]));
        assert_eq!(merge(&[1, 4, 1, 6], &[0, 2, 1, 3], 0), (vec![24], vec![0]));
        assert_eq!(merge(&[1, 2, 3, 4, 5], &[0, 1, 2, 4, 3], 0), (vec![6, 4, 5], vec![0, 2, 1]));
    }

    #[test]
    fn refuses_what_is_no_permutation() {
        assert!(permutation(&[0, 0], 2).is_err());
        assert!(permutation(&[0], 2).is_err());
        assert_eq!(permutation(&[0, -1, 1], 3).unwrap(), [0, 2, 1]);
    }
}
