//! RESHAPE, SQUEEZE, EXPAND_DIMS: other shapes for the same values.

use super::spread;
use crate::dims::{element_count, normalize_axis};
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

pub fn reshape(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    if spread::reshape(importer, node)? {
        return Ok(());
    }
    let dims = importer.activation(node.input(0)?)?.dims;
    let dims = reshape_dims(importer, node, &dims)?;
    alias(importer, node, dims)
}

pub fn squeeze(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    if spread::reshape(importer, node)? {
        return Ok(());
    }
    let dims = importer.activation(node.input(0)?)?.dims;
    alias(importer, node, squeeze_dims(node, &dims)?)
}

pub fn expand_dims(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    if spread::reshape(importer, node)? {
        return Ok(());
    }
    let dims = importer.activation(node.input(0)?)?.dims;
    let dims = expand_dims_dims(importer, node, &dims)?;
    alias(importer, node, dims)
}

fn alias(importer: &mut Importer<'_>, node: &NodeView<'_>, dims: Vec<usize>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    importer.alias(node, 0, x.id, dims)
}

/// The shape that RESHAPE gives to a value of shape `from`: its second input, or else its option.
pub fn reshape_dims(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
    from: &[usize],
) -> Result<Vec<usize>, NodeError> {
    let target = match node.optional(1) {
        Some(t) => importer.index(t, "the new shape")?,
        None => node.options().i32s(0)?.into_iter().map(i64::from).collect(),
    };
    resolve(&target, from)
}

fn resolve(target: &[i64], from: &[usize]) -> Result<Vec<usize>, NodeError> {
    let mismatch = || NodeError::Invalid(format!("shape {from:?} cannot become {target:?}"));
    let total = element_count(from).ok_or_else(mismatch)?;
    let known = target
        .iter()
        .filter(|&&d| d != -1)
        .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok().filter(|&d| d > 0)?));
    let known = known.ok_or_else(mismatch)?;
    let rest = total / known;
    let free = target.iter().filter(|&&d| d == -1).count();
    if free > 1 || known * rest != total || (free == 0 && rest != 1) || target.len() > 8 {
        return Err(mismatch());
    }
    Ok(target.iter().map(|&d| if d == -1 { rest } else { d as usize }).collect())
}

/// The shape without the chosen (or all) axes of size 1.
pub fn squeeze_dims(node: &NodeView<'_>, from: &[usize]) -> Result<Vec<usize>, NodeError> {
    let axes = node.options().i32s(0)?;
    let mut drop: Vec<bool> = from.iter().map(|&d| axes.is_empty() && d == 1).collect();
    for axis in axes {
        let axis = normalize_axis(i64::from(axis), from.len())?;
        if from[axis] != 1 {
            return NodeError::invalid(format!("axis {axis} of shape {from:?} cannot be squeezed"));
        }
        drop[axis] = true;
    }
    Ok(from.iter().zip(drop).filter_map(|(&d, drop)| (!drop).then_some(d)).collect())
}

/// The shape with an axis of size 1 more.
pub fn expand_dims_dims(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
    from: &[usize],
) -> Result<Vec<usize>, NodeError> {
    let axis = importer.index(node.input(1)?, "the axis")?;
    let [axis] = axis[..] else { return NodeError::invalid("the axis must be one number") };
    let mut dims = from.to_vec();
    dims.insert(normalize_axis(axis, from.len() + 1)?, 1);
    Ok(dims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_the_free_axis() {
        assert_eq!(resolve(&[1, -1], &[1, 2, 3]).unwrap(), [1, 6]);
        assert_eq!(resolve(&[6], &[1, 2, 3]).unwrap(), [6]);
        for bad in [&[-1, -1][..], &[4, -1], &[5], &[0, -1], &[-2, -3], &[i64::MAX, i64::MAX]] {
            assert!(resolve(bad, &[1, 2, 3]).is_err(), "{bad:?}");
        }
    }
}
