//! Between the axis order of a source model's inputs and outputs and the graph's NHWC.

/// `values` of `shape`, axes moved: axis `i` of the result is axis `perm[i]` of the source.
pub(crate) fn transpose<T: Copy>(values: &[T], shape: &[usize], perm: &[usize]) -> Vec<T> {
    let strides = strides(shape);
    let out_shape: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
    let out_strides: Vec<usize> = perm.iter().map(|&p| strides[p]).collect();
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let at: usize = index.iter().zip(&out_strides).map(|(i, s)| i * s).sum();
        out.push(values[at]);
        advance(&mut index, &out_shape);
    }
    out
}

/// The permutation that undoes `perm`.
pub(crate) fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
    inverse
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The next index in row-major order.
fn advance(index: &mut [usize], shape: &[usize]) {
    for (i, &n) in index.iter_mut().zip(shape).rev() {
        *i += 1;
        if *i < n {
            return;
        }
        *i = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nchw_to_nhwc_and_back() {
        let nchw: Vec<u32> = (0..2 * 3 * 4).collect();
        let (shape, perm) = ([1, 2, 3, 4], [0, 2, 3, 1]);
        let nhwc = transpose(&nchw, &shape, &perm);
        assert_eq!(nhwc[..4], [0, 12, 1, 13]);
        assert_eq!(transpose(&nhwc, &[1, 3, 4, 2], &inverse(&perm)), nchw);
    }
}
