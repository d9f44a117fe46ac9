//! What kernels take besides activations.

use core::fmt;

/// Why a kernel refuses to run. Never happens for a checked package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// An activation slice has another length than its shape.
    ActivationLength,
    /// Weights, biases, multipliers or tables have another length than the shapes ask for.
    ParameterLength,
    /// The shapes do not fit the operator.
    Shape,
    /// Less scratch memory than the kernel needs.
    Scratch,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KernelError::ActivationLength => "an activation has another length than its shape",
            KernelError::ParameterLength => "weights or tables have another length than the shapes ask for",
            KernelError::Shape => "the shapes do not fit the operator",
            KernelError::Scratch => "the scratch memory is too small",
        })
    }
}

impl core::error::Error for KernelError {}

/// Height, width and channels of an NHWC tensor with N = 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// Number of elements, saturating.
    #[inline(never)]
    pub const fn elements(&self) -> usize {
        self.h.saturating_mul(self.w).saturating_mul(self.c)
    }

    /// True when there are as many elements as this and the output's shape say, and not none.
    #[inline(never)]
    pub(crate) fn holds(&self, x: &[i8], output: &Self, y: &[i8]) -> bool {
        x.len() == self.elements() && y.len() == output.elements() && !x.is_empty() && !y.is_empty()
    }

    /// `[h, w, c]`.
    pub const fn dims(&self) -> [usize; 3] {
        [self.h, self.w, self.c]
    }

    /// Row, column and channel of element `at`.
    pub(crate) fn position(&self, at: usize) -> [usize; 3] {
        let (w, c) = (self.w.max(1), self.c.max(1));
        [at / c / w, at / c % w, at % c]
    }

    /// The channels of one pixel of `x`; `None` outside the image.
    pub(crate) fn pixel<'a>(&self, x: &'a [i8], row: isize, column: isize) -> Option<&'a [i8]> {
        let row = usize::try_from(row).ok().filter(|&r| r < self.h)?;
        let column = usize::try_from(column).ok().filter(|&c| c < self.w)?;
        let start = row.wrapping_mul(self.w).wrapping_add(column).wrapping_mul(self.c);
        x.get(start..start.wrapping_add(self.c))
    }
}

/// How a kernel slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel height, width.
    pub kernel: [usize; 2],
    /// Step between outputs.
    pub stride: [usize; 2],
    /// Step between kernel positions.
    pub dilation: [usize; 2],
    /// Padding above and to the left. Below and to the right, the output's size says how much there is.
    pub padding: [usize; 2],
}

impl Window {
    /// One pixel under each output.
    pub const POINT: Self = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };

    /// Row and column of the input under the kernel's first position, for the output at `row`, `column`.
    pub(crate) const fn corner(&self, row: usize, column: usize) -> [isize; 2] {
        let [top, left] = self.padding;
        let [down, right] = self.stride;
        let y = row.wrapping_mul(down).wrapping_sub(top) as isize;
        let x = column.wrapping_mul(right).wrapping_sub(left) as isize;
        [y, x]
    }
}

/// The interval that an output is clamped to, `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Lower end.
    pub min: i8,
    /// Upper end.
    pub max: i8,
}

impl Clamp {
    /// No clamp.
    pub const NONE: Self = Clamp { min: i8::MIN, max: i8::MAX };

    pub(crate) const fn apply(&self, value: i32) -> i8 {
        crate::requantize::clamp(value, self.min, self.max)
    }
}

/// The weights in one of the storage forms of the package format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights<'a> {
    /// All weights: OHWI, 1HWO or OI.
    Dense(&'a [i8]),
    /// Stored runs of `group` channels with a bitmap.
    Bitmap {
        /// Channels of a full run.
        group: usize,
        /// One bit per run.
        bitmap: &'a [u8],
        /// The stored runs.
        runs: &'a [i8],
    },
    /// Stored runs of `group` channels with a gap index.
    Gaps {
        /// Channels of a full run.
        group: usize,
        /// The gap index.
        gaps: &'a [u8],
        /// The stored runs.
        runs: &'a [i8],
    },
}

impl Weights<'_> {
    /// Channels of a full run; 0 in dense form.
    pub(crate) const fn group(&self) -> usize {
        match *self {
            Weights::Dense(_) => 0,
            Weights::Bitmap { group, .. } | Weights::Gaps { group, .. } => group,
        }
    }
}

/// Weights, biases and output scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear<'a> {
    /// Clamp of the output.
    pub clamp: Clamp,
    /// One i32 (little-endian) per filter, the input's zero point folded in.
    pub bias: &'a [[u8; 4]],
    /// One Q31 i32 (little-endian) for all filters, or one each.
    pub multiplier: &'a [[u8; 4]],
    /// As many as multipliers; positive to the left.
    pub shift: &'a [i8],
    /// The weights.
    pub weights: Weights<'a>,
    /// Zero point of the input: the value of a padded pixel.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
}

impl Linear<'_> {
    #[inline(never)]
    pub(crate) fn check(&self, filters: usize) -> Result<(), KernelError> {
        let scales = self.multiplier.len();
        let fits =
            self.bias.len() == filters && self.shift.len() == scales && (scales == 1 || scales == filters);
        if fits { Ok(()) } else { Err(KernelError::ParameterLength) }
    }

    /// The bias of filter `o`.
    pub(crate) fn bias(&self, o: usize) -> i32 {
        self.bias.get(o).map_or(0, |b| i32::from_le_bytes(*b))
    }

    /// Scales and clamps the sum of filter `o`, rounding twice.
    pub(crate) fn finish(&self, o: usize, sum: i32) -> i8 {
        self.finish_scaled(self.scale(o), sum, false)
    }

    /// Scales and clamps the sum of filter `o`, rounding once.
    pub(crate) fn finish_once(&self, o: usize, sum: i32) -> i8 {
        self.finish_scaled(self.scale(o), sum, true)
    }

    /// Scales and clamps the sum of a filter with this multiplier and shift.
    #[inline]
    pub(crate) fn finish_scaled(&self, (multiplier, shift): (i32, i8), sum: i32, once: bool) -> i8 {
        let scaled = if once {
            crate::requantize::multiply_once(sum, multiplier, shift)
        } else {
            crate::requantize::multiply(sum, multiplier, shift)
        };
        self.clamp.apply(scaled.saturating_add(i32::from(self.output_zero_point)))
    }

    pub(crate) fn scale(&self, o: usize) -> (i32, i8) {
        let at = if self.multiplier.len() == 1 { 0 } else { o };
        let multiplier = self.multiplier.get(at).map_or(0, |m| i32::from_le_bytes(*m));
        (multiplier, self.shift.get(at).copied().unwrap_or(0))
    }
}

/// A convolution or depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d<'a> {
    /// Input shape.
    pub input: Shape,
    /// Output shape.
    pub output: Shape,
    /// Sliding window.
    pub window: Window,
    /// Weights and output scaling.
    pub linear: Linear<'a>,
}

/// `clamp(output_zero_point + multiply(x - input_zero_point))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// Q31, not negative.
    pub multiplier: i32,
    /// Positive to the left.
    pub shift: i8,
    /// Clamp of the output.
    pub clamp: Clamp,
}

/// Add, Sub and Mul: shapes and zero points of both inputs and the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elementwise {
    /// Shapes of both inputs; an axis of size 1 is repeated.
    pub inputs: [Shape; 2],
    /// Output shape.
    pub output: Shape,
    /// Zero points of both inputs.
    pub input_zero_points: [i8; 2],
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Q31 multipliers of input 1, input 2 and the output (Mul: only the last is used).
    pub multiplier: [i32; 3],
    /// Their shifts.
    pub shift: [i8; 3],
    /// Left shift of both inputs (Mul: unused).
    pub left_shift: u8,
    /// Clamp of the output.
    pub clamp: Clamp,
}

/// The input of an operator that may work in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand<'a> {
    /// Another slice than the output.
    Slice(&'a [i8]),
    /// What the output slice holds before the call; same shape as the output.
    Output,
}

/// Which axes a mean runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    /// Height.
    pub h: bool,
    /// Width.
    pub w: bool,
    /// Channels.
    pub c: bool,
}

/// A mean over whole axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mean {
    /// Input shape.
    pub input: Shape,
    /// Axes to average over; they have size 1 in the output.
    pub axes: Axes,
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Q31, the division by the number of elements included.
    pub multiplier: i32,
    /// Positive to the left.
    pub shift: i8,
}

/// A pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Input shape.
    pub input: Shape,
    /// Output shape.
    pub output: Shape,
    /// Sliding window; the dilation is not used.
    pub window: Window,
    /// Clamp of the output.
    pub clamp: Clamp,
}

/// Softmax over channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Channels.
    pub channels: usize,
    /// Scales the difference to the maximum to Q5.26.
    pub multiplier: i32,
    /// Its shift, not negative.
    pub shift: i8,
    /// Differences below this give the smallest output.
    pub diff_min: i32,
}

/// Logarithm of the softmax over channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSoftmax {
    /// Channels.
    pub channels: usize,
    /// Scales the difference to the maximum to Q5.26.
    pub multiplier: i32,
    /// Its shift.
    pub shift: i8,
    /// Scales Q5.26 back to the input's steps.
    pub reverse_multiplier: i32,
    /// Its shift (negative to the right).
    pub reverse_shift: i8,
    /// Differences below this give the smallest output.
    pub diff_min: i32,
}
