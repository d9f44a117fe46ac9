//! Output shapes from operator and input shapes.

use thiserror::Error;

use crate::{Op, Window};

/// Why an operator does not accept its inputs.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ShapeError {
    /// Wrong number of inputs.
    #[error("{op} takes {expected} inputs, found {found}")]
    Arity {
        /// Operator name.
        op: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it got.
        found: usize,
    },
    /// Shapes do not fit together.
    #[error("{op}: {what}; input shapes {shapes:?}")]
    Mismatch {
        /// Operator name.
        op: &'static str,
        /// What was expected.
        what: &'static str,
        /// What was found.
        shapes: Vec<Vec<usize>>,
    },
}

/// The output shape `[1, H, W, C]` of `op` for inputs of the given shapes.
///
/// # Errors
/// [`ShapeError`] when the number or the shapes of the inputs do not fit the operator.
pub fn infer_shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    check_arity(op, inputs.len())?;
    let mismatch = |what: &'static str| ShapeError::Mismatch {
        op: op.name(),
        what,
        shapes: inputs.iter().map(|s| s.to_vec()).collect(),
    };
    let [n, h, w, c] = nhwc(inputs[0]).ok_or_else(|| mismatch("the first input must have rank 4 (NHWC)"))?;
    match op {
        Op::Conv2d { window, .. } => {
            let [o, i] = filter(inputs, window, [0, 3]).ok_or_else(|| mismatch("the filter must be OHWI"))?;
            require(i == c, || mismatch("the filter's input channels must equal the input's channels"))?;
            require(bias_fits(inputs, o), || mismatch("the bias must have one value per filter"))?;
            slide(window, n, h, w, o).ok_or_else(|| mismatch("the kernel must fit into the padded input"))
        }
        Op::DepthwiseConv2d { window, .. } => {
            let [one, o] =
                filter(inputs, window, [0, 3]).ok_or_else(|| mismatch("the filter must be 1HWO"))?;
            require(one == 1, || mismatch("the filter must be 1HWO"))?;
            let whole = c > 0 && o % c == 0 && o > 0;
            require(whole, || mismatch("output channels must be a multiple of the input's channels"))?;
            require(bias_fits(inputs, o), || mismatch("the bias must have one value per filter"))?;
            slide(window, n, h, w, o).ok_or_else(|| mismatch("the kernel must fit into the padded input"))
        }
        Op::FullyConnected { .. } => match inputs[1] {
            &[o, i] if i == c && bias_fits(inputs, o) => Ok(vec![n, h, w, o]),
            _ => Err(mismatch("the weights must be OI with I = the last axis, the bias [O]")),
        },
        Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => {
            broadcast(inputs[0], inputs[1]).ok_or_else(|| mismatch("the shapes must broadcast"))
        }
        Op::Concat { axis } => concat(inputs, *axis).ok_or_else(|| mismatch("all axes but one must agree")),
        Op::MaxPool { window, .. } | Op::AveragePool { window, .. } => {
            slide(window, n, h, w, c).ok_or_else(|| mismatch("the window must fit into the padded input"))
        }
        Op::Mean { axes } => {
            let mut out = vec![n, h, w, c];
            for &a in axes {
                let dim = out.get_mut(a).filter(|_| a > 0);
                *dim.ok_or_else(|| mismatch("axes must be 1, 2 or 3"))? = 1;
            }
            Ok(out)
        }
        Op::Reshape { shape } => {
            let same = checked_len(shape) == checked_len(inputs[0]) && shape[0] == n;
            require(same, || mismatch("a reshape keeps the number of elements"))?;
            Ok(shape.to_vec())
        }
        Op::Transpose { perm } => {
            let mut seen = *perm;
            seen.sort_unstable();
            require(seen == [0, 1, 2, 3] && perm[0] == 0, || mismatch("perm must permute H, W, C"))?;
            Ok(perm.iter().map(|&p| inputs[0][p]).collect())
        }
        Op::Slice { begin, end, stride } => (0..4)
            .map(|a| {
                let fits = begin[a] < end[a] && end[a] <= inputs[0][a] && stride[a] > 0;
                fits.then(|| (end[a] - begin[a]).div_ceil(stride[a]))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| mismatch("slice bounds must lie inside the input")),
        Op::Pad { before, after, .. } => (0..4)
            .map(|a| inputs[0][a].checked_add(before[a])?.checked_add(after[a]))
            .collect::<Option<_>>()
            .ok_or_else(|| mismatch("padding overflows")),
        Op::ResizeNearest { size, .. } => Ok(vec![n, size[0], size[1], c]),
        Op::BatchNorm { .. } => {
            let fits = inputs[1..].iter().all(|s| *s == [c]);
            require(fits, || mismatch("parameters must have one value per channel"))?;
            Ok(inputs[0].to_vec())
        }
        Op::Relu
        | Op::Clip { .. }
        | Op::LeakyRelu { .. }
        | Op::HardSwish
        | Op::Sigmoid
        | Op::Tanh
        | Op::Softmax { .. }
        | Op::LogSoftmax
        | Op::Quantize
        | Op::Dequantize => Ok(inputs[0].to_vec()),
    }
}

fn check_arity(op: &Op, found: usize) -> Result<(), ShapeError> {
    let (range, expected) = match op {
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => (2..=3, "2 or 3"),
        Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => (2..=2, "2"),
        Op::Concat { .. } => (1..=usize::MAX, "1 or more"),
        Op::BatchNorm { .. } => (5..=5, "5"),
        _ => (1..=1, "1"),
    };
    if range.contains(&found) { Ok(()) } else { Err(ShapeError::Arity { op: op.name(), expected, found }) }
}

fn require(holds: bool, error: impl FnOnce() -> ShapeError) -> Result<(), ShapeError> {
    if holds { Ok(()) } else { Err(error()) }
}

fn nhwc(shape: &[usize]) -> Option<[usize; 4]> {
    shape.try_into().ok()
}

/// The dimensions `pick` of a rank-4 filter whose H and W equal the window's kernel.
fn filter(inputs: &[&[usize]], window: &Window, pick: [usize; 2]) -> Option<[usize; 2]> {
    let f = nhwc(inputs[1])?;
    (f[1] == window.kernel[0] && f[2] == window.kernel[1]).then(|| pick.map(|a| f[a]))
}

fn bias_fits(inputs: &[&[usize]], o: usize) -> bool {
    inputs.get(2).is_none_or(|b| *b == [o])
}

fn slide(window: &Window, n: usize, h: usize, w: usize, c: usize) -> Option<Vec<usize>> {
    let [oh, ow] = window.output_size([h, w])?;
    Some(vec![n, oh, ow, c])
}

fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (a, b) = (nhwc(a)?, nhwc(b)?);
    let axis = |i: usize| match (a[i], b[i]) {
        (x, y) if x == y => Some(x),
        (1, y) => Some(y),
        (x, 1) => Some(x),
        _ => None,
    };
    (0..4).map(axis).collect()
}

fn concat(inputs: &[&[usize]], axis: usize) -> Option<Vec<usize>> {
    let mut out = nhwc(inputs[0])?;
    if !(1..4).contains(&axis) {
        return None;
    }
    for s in &inputs[1..] {
        let s = nhwc(s)?;
        if (0..4).any(|a| a != axis && s[a] != out[a]) {
            return None;
        }
        out[axis] = out[axis].checked_add(s[axis])?;
    }
    Some(out.to_vec())
}

fn checked_len(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}
