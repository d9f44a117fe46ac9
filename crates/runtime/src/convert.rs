//! From the package's records to the kernels' parameters.

use dtmm_format as format;
use dtmm_kernels as kernels;

use format::Tensor;

pub(crate) fn shape(shape: format::Shape) -> kernels::Shape {
    let [h, w, c] = shape.dims();
    kernels::Shape { h, w, c }
}

pub(crate) fn clamp(clamp: format::Clamp) -> kernels::Clamp {
    kernels::Clamp { min: clamp.min, max: clamp.max }
}

#[inline(never)]
pub(crate) fn window(window: &format::Window) -> kernels::Window {
    let ([kh, kw], [sh, sw]) = (window.kernel, window.stride);
    let ([dh, dw], [top, _, left, _]) = (window.dilation, window.padding);
    kernels::Window {
        kernel: [kh.into(), kw.into()],
        stride: [sh.into(), sw.into()],
        dilation: [dh.into(), dw.into()],
        padding: [top.into(), left.into()],
    }
}

#[inline(never)]
pub(crate) fn linear<'a>(linear: &format::Linear<'a>, x: &Tensor<'_>, y: &Tensor<'_>) -> kernels::Linear<'a> {
    kernels::Linear {
        clamp: clamp(linear.clamp),
        bias: linear.bias,
        multiplier: linear.multiplier,
        shift: linear.shift,
        weights: weights(&linear.weights),
        input_zero_point: x.zero_point,
        output_zero_point: y.zero_point,
    }
}

#[inline(always)]
fn weights<'a>(weights: &format::Weights<'a>) -> kernels::Weights<'a> {
    match *weights {
        format::Weights::Dense(values) => kernels::Weights::Dense(values),
        format::Weights::Bitmap { group, bitmap, runs } => {
            kernels::Weights::Bitmap { group: group as usize, bitmap, runs }
        }
        format::Weights::Gaps { group, gaps, runs } => {
            kernels::Weights::Gaps { group: group as usize, gaps, runs }
        }
    }
}

#[inline(always)]
pub(crate) fn pool(w: &format::Window, c: format::Clamp, x: &Tensor<'_>, y: &Tensor<'_>) -> kernels::Pool {
    kernels::Pool { input: shape(x.shape), output: shape(y.shape), window: window(w), clamp: clamp(c) }
}

pub(crate) fn rescale(rescale: &format::Rescale) -> kernels::Rescale {
    let &format::Rescale { multiplier, shift, clamp: c } = rescale;
    kernels::Rescale { multiplier, shift, clamp: clamp(c) }
}

/// Add and Sub; Mul has only the output's scale.
pub(crate) fn elementwise(
    scaling: &format::Elementwise,
    inputs: [&Tensor<'_>; 2],
    y: &Tensor<'_>,
) -> kernels::Elementwise {
    kernels::Elementwise {
        inputs: inputs.map(|t| shape(t.shape)),
        output: shape(y.shape),
        input_zero_points: inputs.map(|t| t.zero_point),
        output_zero_point: y.zero_point,
        multiplier: scaling.multiplier,
        shift: scaling.shift,
        left_shift: scaling.left_shift,
        clamp: clamp(scaling.clamp),
    }
}

pub(crate) fn product(rescale: &format::Rescale) -> format::Elementwise {
    let &format::Rescale { multiplier, shift, clamp } = rescale;
    format::Elementwise { multiplier: [0, 0, multiplier], shift: [0, 0, shift], left_shift: 0, clamp }
}
