//! Layout operators on constants.

use super::reshape::{expand_dims_dims, reshape_dims, squeeze_dims};
use super::slice::{Selection, slice_selection, strided_selection};
use super::transpose::permutation;
use crate::constant::Constant;
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

/// The constant that a layout operator makes of `x`.
pub fn layout(importer: &Importer<'_>, node: &NodeView<'_>, x: Constant) -> Result<Constant, NodeError> {
    let dims = match node.operator.as_str() {
        "RESHAPE" => reshape_dims(importer, node, &x.dims)?,
        "SQUEEZE" => squeeze_dims(node, &x.dims)?,
        "EXPAND_DIMS" => expand_dims_dims(importer, node, &x.dims)?,
        "SLICE" => return select(&x, slice_selection(importer, node, &x.dims)?),
        "STRIDED_SLICE" => return select(&x, strided_selection(importer, node, &x.dims)?),
        "TRANSPOSE" => return transpose(importer, node, &x),
        _ => return NodeError::unsupported("all its inputs are constant"),
    };
    Ok(Constant { dims, values: x.values })
}

fn transpose(importer: &Importer<'_>, node: &NodeView<'_>, x: &Constant) -> Result<Constant, NodeError> {
    let perm = permutation(&importer.index(node.input(1)?, "the permutation")?, x.dims.len())?;
    let steps = row_major(&x.dims);
    let axes: Vec<(usize, usize)> = perm.iter().map(|&p| (x.dims[p], steps[p])).collect();
    gather(x, 0, &axes, perm.iter().map(|&p| x.dims[p]).collect())
}

fn select(x: &Constant, selection: Selection) -> Result<Constant, NodeError> {
    let steps = row_major(&x.dims);
    let start = selection.ranges.iter().zip(&steps).map(|(r, s)| r.begin * s).sum();
    let axes: Vec<(usize, usize)> =
        selection.ranges.iter().zip(&steps).map(|(r, s)| (r.len(), r.stride * s)).collect();
    gather(x, start, &axes, selection.dims)
}

/// Distance between neighbours along each axis.
fn row_major(dims: &[usize]) -> Vec<usize> {
    (0..dims.len()).map(|a| dims[a + 1..].iter().product()).collect()
}

/// Elements at `start` plus all combinations of the axes' steps, the last axis fastest.
fn gather(
    x: &Constant,
    start: usize,
    axes: &[(usize, usize)],
    dims: Vec<usize>,
) -> Result<Constant, NodeError> {
    let mut positions = vec![start];
    for &(count, step) in axes {
        positions = positions.iter().flat_map(|&p| (0..count).map(move |i| p + i * step)).collect();
    }
    let values = x.values.gather(&positions);
    let values = values.ok_or_else(|| NodeError::Invalid("an index is out of range".into()))?;
    Ok(Constant { dims, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constant::Values;

    #[test]
    fn gathers_with_steps() {
        let x = Constant { dims: vec![2, 3], values: Values::I32((0..6).collect()) };
        let t = gather(&x, 0, &[(3, 1), (2, 3)], vec![3, 2]).unwrap();
        assert_eq!(t.values, Values::I32(vec![0, 3, 1, 4, 2, 5]));
    }
}
