//! Convolutions, pooling, fully connected.

use super::{View, unravel};
use crate::Window;

/// Calls `f(ky, kx, y, x)` for the kernel positions of output `(oy, ox)` that lie inside the image.
fn covered(window: &Window, x: View, o: [usize; 2], mut f: impl FnMut(usize, usize, usize, usize)) {
    let pad = [window.padding.top, window.padding.left];
    let source = |axis: usize, k: usize| {
        let at = (o[axis] * window.stride[axis] + k * window.dilation[axis]).checked_sub(pad[axis])?;
        (at < x.shape[axis + 1]).then_some(at)
    };
    for ky in 0..window.kernel[0] {
        for kx in 0..window.kernel[1] {
            if let (Some(iy), Some(ix)) = (source(0, ky), source(1, kx)) {
                f(ky, kx, iy, ix);
            }
        }
    }
}

fn bias(x: &[View], o: usize) -> f64 {
    x.get(2).map_or(0.0, |b| f64::from(b.data[o]))
}

fn per_output(out: &[usize], f: impl Fn([usize; 4]) -> f64) -> Vec<f32> {
    (0..out.iter().product()).map(|flat| f(unravel(out, flat)) as f32).collect()
}

/// Filter OHWI.
pub(super) fn conv2d(x: &[View], window: &Window, out: &[usize]) -> Vec<f32> {
    per_output(out, |[_, oy, ox, o]| {
        let mut sum = bias(x, o);
        covered(window, x[0], [oy, ox], |ky, kx, iy, ix| {
            for c in 0..x[0].channels() {
                sum += f64::from(x[0].at([0, iy, ix, c])) * f64::from(x[1].at([o, ky, kx, c]));
            }
        });
        sum
    })
}

/// Filter 1HWO; output channel `o` reads input channel `o / multiplier`.
pub(super) fn depthwise(x: &[View], window: &Window, out: &[usize]) -> Vec<f32> {
    let multiplier = out[3] / x[0].channels();
    per_output(out, |[_, oy, ox, o]| {
        let mut sum = bias(x, o);
        covered(window, x[0], [oy, ox], |ky, kx, iy, ix| {
            let (a, w) = (x[0].at([0, iy, ix, o / multiplier]), x[1].at([0, ky, kx, o]));
            sum += f64::from(a) * f64::from(w);
        });
        sum
    })
}

/// Weights OI over the rows of the last axis.
pub(super) fn fully_connected(x: &[View]) -> Vec<f32> {
    let inputs = x[0].channels();
    let dot = |row: &[f32], weights: &[f32]| -> f64 {
        row.iter().zip(weights).map(|(&a, &w)| f64::from(a) * f64::from(w)).sum()
    };
    let rows = x[0].data.chunks(inputs);
    rows.flat_map(|row| {
        x[1].data.chunks(inputs).enumerate().map(move |(o, w)| (dot(row, w) + bias(x, o)) as f32)
    })
    .collect()
}

/// Maximum over the covered pixels.
pub(super) fn max_pool(x: View, window: &Window, out: &[usize]) -> Vec<f32> {
    per_output(out, |[_, oy, ox, c]| {
        let mut max = f32::NEG_INFINITY;
        covered(window, x, [oy, ox], |_, _, iy, ix| max = max.max(x.at([0, iy, ix, c])));
        f64::from(max)
    })
}

/// Mean over the covered pixels, or over the whole window.
pub(super) fn average_pool(x: View, window: &Window, include_pad: bool, out: &[usize]) -> Vec<f32> {
    per_output(out, |[_, oy, ox, c]| {
        let (mut sum, mut count) = (0.0f64, 0usize);
        covered(window, x, [oy, ox], |_, _, iy, ix| {
            sum += f64::from(x.at([0, iy, ix, c]));
            count += 1;
        });
        let divisor = if include_pad { window.kernel[0] * window.kernel[1] } else { count.max(1) };
        sum / divisor as f64
    })
}
