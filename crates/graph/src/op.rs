//! Operators and their attributes.

use serde::{Deserialize, Serialize};

/// Zero padding of the spatial dimensions, in pixels; always explicit (importers resolve SAME and VALID).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// TensorFlow's SAME padding of one axis: `(before, after)`.
    pub fn same_axis(size: usize, kernel: usize, stride: usize, dilation: usize) -> (usize, usize) {
        let out = size.div_ceil(stride);
        let reach = (out - 1) * stride + (kernel - 1) * dilation + 1;
        let total = reach.saturating_sub(size);
        (total / 2, total - total / 2)
    }

    /// TensorFlow's SAME padding; `[h, w]` arguments.
    pub fn same(size: [usize; 2], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Self {
        let (top, bottom) = Self::same_axis(size[0], kernel[0], stride[0], dilation[0]);
        let (left, right) = Self::same_axis(size[1], kernel[1], stride[1], dilation[1]);
        Padding { top, bottom, left, right }
    }
}

/// How a kernel slides over an image; `[h, w]` order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Kernel size.
    pub kernel: [usize; 2],
    /// Step between neighbouring outputs.
    pub stride: [usize; 2],
    /// Step between neighbouring kernel positions.
    pub dilation: [usize; 2],
    /// Zero padding.
    pub padding: Padding,
}

impl Window {
    /// A window without stride, dilation or padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Window { kernel, stride: [1, 1], dilation: [1, 1], padding: Padding::default() }
    }

    /// Output size for an input `[h, w]`; `None` when the kernel does not fit or the arithmetic overflows.
    pub fn output_size(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let pad = [(self.padding.top, self.padding.bottom), (self.padding.left, self.padding.right)];
        let mut out = [0; 2];
        for axis in 0..2 {
            let reach = self.kernel[axis].checked_sub(1)?.checked_mul(self.dilation[axis])?.checked_add(1)?;
            let padded = input[axis].checked_add(pad[axis].0)?.checked_add(pad[axis].1)?;
            out[axis] = padded.checked_sub(reach)?.checked_div(self.stride[axis])? + 1;
        }
        Some(out)
    }
}

/// An activation fused into the operator before it: a clamp of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Activation {
    /// Identity.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
}

impl Activation {
    /// The real interval that the result is clamped to.
    pub fn range(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::ReluN1To1 => (-1.0, 1.0),
        }
    }
}

/// One operator. Inputs and outputs are listed in the order of the [`crate::Node`]'s tensors; each has one output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Inputs: x NHWC, filter OHWI, optional bias `[O]`.
    Conv2d {
        /// Sliding window.
        window: Window,
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x NHWC, filter 1HWO with O = C · multiplier, optional bias `[O]`.
    DepthwiseConv2d {
        /// Sliding window.
        window: Window,
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x `[N, H, W, C]` used as rows of the last axis (I = C), weights OI, optional bias `[O]`.
    FullyConnected {
        /// Fused activation.
        activation: Activation,
    },
    /// Sum of two inputs, the second broadcast to the first (or the first to the second).
    Add {
        /// Fused activation.
        activation: Activation,
    },
    /// First input minus second, broadcast as Add.
    Sub {
        /// Fused activation.
        activation: Activation,
    },
    /// Product of two inputs, broadcast as Add.
    Mul {
        /// Fused activation.
        activation: Activation,
    },
    /// Joins all inputs along `axis`.
    Concat {
        /// Axis in NHWC, 1..=3.
        axis: usize,
    },
    /// Maximum over the window; padding never wins.
    MaxPool {
        /// Sliding window (dilation 1).
        window: Window,
        /// Fused activation.
        activation: Activation,
    },
    /// Mean over the window.
    AveragePool {
        /// Sliding window (dilation 1).
        window: Window,
        /// True when padding counts as zeros (ONNX `count_include_pad`); TFLite divides by the covered pixels only.
        count_include_pad: bool,
        /// Fused activation.
        activation: Activation,
    },
    /// Mean over the chosen axes, kept as size 1.
    Mean {
        /// Axes in NHWC, each of 1..=3, ascending.
        axes: Vec<usize>,
    },
    /// The same elements in row-major order under the output tensor's shape. `shape` has N = 1.
    Reshape {
        /// The new NHWC shape.
        shape: [usize; 4],
    },
    /// Moves axes: output axis `i` is input axis `perm[i]`; `perm[0] == 0`.
    Transpose {
        /// The permutation of NHWC.
        perm: [usize; 4],
    },
    /// Elements `begin, begin + stride, …` below `end` on each axis.
    Slice {
        /// First index of each axis.
        begin: [usize; 4],
        /// One past the last index of each axis.
        end: [usize; 4],
        /// Positive step of each axis.
        stride: [usize; 4],
    },
    /// Constant padding on each axis.
    Pad {
        /// Elements before, for each axis.
        before: [usize; 4],
        /// Elements after, for each axis.
        after: [usize; 4],
        /// The real value of the padding.
        value: f32,
    },
    /// `max(x, 0)`.
    Relu,
    /// Clamp to `[min, max]`; also ReLU6.
    Clip {
        /// Lower end.
        min: f32,
        /// Upper end.
        max: f32,
    },
    /// `x` where positive, else `alpha * x`.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Softmax over the last axis of `beta * x`.
    Softmax {
        /// Factor before the exponential.
        beta: f32,
    },
    /// Logarithm of the softmax over the last axis.
    LogSoftmax,
    /// Nearest-neighbour resize to `size` = `[h, w]`.
    ResizeNearest {
        /// Output height and width.
        size: [usize; 2],
        /// Corner pixels are aligned.
        align_corners: bool,
        /// Half-pixel centres.
        half_pixel_centers: bool,
    },
    /// Inputs: x NHWC, gamma, beta, running mean, running variance, each `[C]`.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Changes the quantisation (float or integer input, integer output); the output tensor has the parameters.
    Quantize,
    /// Integer input, float output.
    Dequantize,
}

impl Op {
    /// The operator's name as users read it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv2d { .. } => "Conv2D",
            Op::DepthwiseConv2d { .. } => "DepthwiseConv2D",
            Op::FullyConnected { .. } => "FullyConnected",
            Op::Add { .. } => "Add",
            Op::Sub { .. } => "Sub",
            Op::Mul { .. } => "Mul",
            Op::Concat { .. } => "Concat",
            Op::MaxPool { .. } => "MaxPool",
            Op::AveragePool { .. } => "AveragePool",
            Op::Mean { .. } => "Mean",
            Op::Reshape { .. } => "Reshape",
            Op::Transpose { .. } => "Transpose",
            Op::Slice { .. } => "Slice",
            Op::Pad { .. } => "Pad",
            Op::Relu => "Relu",
            Op::Clip { .. } => "Clip",
            Op::LeakyRelu { .. } => "LeakyRelu",
            Op::HardSwish => "HardSwish",
            Op::Sigmoid => "Sigmoid",
            Op::Tanh => "Tanh",
            Op::Softmax { .. } => "Softmax",
            Op::LogSoftmax => "LogSoftmax",
            Op::ResizeNearest { .. } => "ResizeNearest",
            Op::BatchNorm { .. } => "BatchNorm",
            Op::Quantize => "Quantize",
            Op::Dequantize => "Dequantize",
        }
    }

    /// True for the operators whose second input is a weight tensor.
    pub fn has_weights(&self) -> bool {
        matches!(self, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. })
    }

    /// The fused activation of the operators that have one.
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Op::Conv2d { activation, .. }
            | Op::DepthwiseConv2d { activation, .. }
            | Op::FullyConnected { activation }
            | Op::Add { activation }
            | Op::Sub { activation }
            | Op::Mul { activation }
            | Op::MaxPool { activation, .. }
            | Op::AveragePool { activation, .. } => Some(*activation),
            _ => None,
        }
    }

    /// The fused activation, to change it in place.
    pub fn activation_mut(&mut self) -> Option<&mut Activation> {
        match self {
            Op::Conv2d { activation, .. }
            | Op::DepthwiseConv2d { activation, .. }
            | Op::FullyConnected { activation }
            | Op::Add { activation }
            | Op::Sub { activation }
            | Op::Mul { activation }
            | Op::MaxPool { activation, .. }
            | Op::AveragePool { activation, .. } => Some(activation),
            _ => None,
        }
    }
}
