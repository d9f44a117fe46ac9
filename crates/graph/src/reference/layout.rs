//! Operators that move elements, and the mean.

use super::{View, unravel};

fn gather(out: &[usize], f: impl Fn([usize; 4]) -> f32) -> Vec<f32> {
    (0..out.iter().product()).map(|flat| f(unravel(out, flat))).collect()
}

/// Joins along `axis`.
pub(super) fn concat(x: &[View], axis: usize, out: &[usize]) -> Vec<f32> {
    gather(out, |mut i| {
        for v in x {
            if i[axis] < v.shape[axis] {
                return v.at(i);
            }
            i[axis] -= v.shape[axis];
        }
        0.0
    })
}

/// Mean over `axes`, kept as size 1.
pub(super) fn mean(x: View, axes: &[usize], out: &[usize]) -> Vec<f32> {
    let mut sums = vec![0.0f64; out.iter().product()];
    for (flat, &v) in x.data.iter().enumerate() {
        let mut i = unravel(x.shape, flat);
        axes.iter().for_each(|&a| i[a] = 0);
        sums[super::offset(out, i)] += f64::from(v);
    }
    let count: usize = axes.iter().map(|&a| x.shape[a]).product();
    sums.into_iter().map(|s| (s / count as f64) as f32).collect()
}

/// Output axis `i` is input axis `perm[i]`.
pub(super) fn transpose(x: View, perm: [usize; 4], out: &[usize]) -> Vec<f32> {
    gather(out, |i| {
        let mut from = [0; 4];
        perm.iter().zip(i).for_each(|(&p, v)| from[p] = v);
        x.at(from)
    })
}

/// Strided slice.
pub(super) fn slice(x: View, begin: [usize; 4], stride: [usize; 4], out: &[usize]) -> Vec<f32> {
    gather(out, |i| x.at(std::array::from_fn(|a| begin[a] + i[a] * stride[a])))
}

/// Constant padding.
pub(super) fn pad(x: View, before: [usize; 4], value: f32, out: &[usize]) -> Vec<f32> {
    gather(out, |i| {
        let inside = (0..4).all(|a| i[a] >= before[a] && i[a] - before[a] < x.shape[a]);
        if inside { x.at(std::array::from_fn(|a| i[a] - before[a])) } else { value }
    })
}

/// Nearest-neighbour resize as TFLite's `GetNearestNeighbor`.
pub(super) fn resize_nearest(x: View, size: [usize; 2], align: bool, half: bool, out: &[usize]) -> Vec<f32> {
    let source = |o: usize, axis: usize| {
        let (from, to) = (x.shape[axis + 1], size[axis]);
        let scale =
            if align && to > 1 { (from - 1) as f32 / (to - 1) as f32 } else { from as f32 / to as f32 };
        let at = (o as f32 + if half { 0.5 } else { 0.0 }) * scale;
        let at = if align { at.round() } else { at.floor() };
        (at as usize).min(from - 1)
    };
    gather(out, |i| x.at([i[0], source(i[1], 0), source(i[2], 1), i[3]]))
}
