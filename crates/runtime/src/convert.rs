//! From the package's records to the kernels' parameters.

use dtmm_format as format;
use dtmm_kernels as kernels;

use format::{Opcode, Params, Tensor};

pub(crate) fn shape(shape: format::Shape) -> kernels::Shape {
    let [h, w, c] = shape.dims();
    kernels::Shape { h, w, c }
}

pub(crate) fn clamp(clamp: format::Clamp) -> kernels::Clamp {
    kernels::Clamp { min: clamp.min, max: clamp.max }
}

fn window(window: &format::Window) -> kernels::Window {
    let [top, _, left, _] = window.padding.map(usize::from);
    kernels::Window {
        kernel: window.kernel.map(usize::from),
        stride: window.stride.map(usize::from),
        dilation: window.dilation.map(usize::from),
        padding: [top, left],
    }
}

fn linear<'a>(linear: &format::Linear<'a>, x: &Tensor<'_>, y: &Tensor<'_>) -> kernels::Linear<'a> {
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

/// A layer with weights.
pub(crate) enum Weighted<'a> {
    Conv2d(kernels::Conv2d<'a>),
    DepthwiseConv2d(kernels::Conv2d<'a>),
    FullyConnected(kernels::FullyConnected<'a>),
}

impl<'a> Weighted<'a> {
    /// `None` for operators without weights.
    #[inline(never)]
    pub fn new(params: &Params<'a>, x: &Tensor<'_>, y: &Tensor<'_>) -> Option<Self> {
        let conv2d = |w, l| kernels::Conv2d {
            input: shape(x.shape),
            output: shape(y.shape),
            window: window(w),
            linear: linear(l, x, y),
        };
        match params {
            Params::Conv2d { window, linear } if Opcode::Conv2d.is_built() => {
                Some(Weighted::Conv2d(conv2d(window, linear)))
            }
            Params::DepthwiseConv2d { window, linear } if Opcode::DepthwiseConv2d.is_built() => {
                Some(Weighted::DepthwiseConv2d(conv2d(window, linear)))
            }
            Params::FullyConnected { linear: l } if Opcode::FullyConnected.is_built() => {
                let [h, w, input_channels] = x.shape.dims();
                let rows = h.saturating_mul(w);
                let linear = linear(l, x, y);
                Some(Weighted::FullyConnected(kernels::FullyConnected { rows, input_channels, linear }))
            }
            _ => None,
        }
    }
}

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
