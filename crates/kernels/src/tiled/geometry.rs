//! How a convolution is cut into rows of outputs, and how much memory that takes.

use crate::{Conv2d, Shape, Window};

/// Outputs that are summed together.
pub(crate) const LANES: usize = 4;
/// Channels that weights are grouped in.
pub(crate) const BLOCK: usize = 4;

/// A convolution as rows of outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// The window.
    pub window: Window,
    /// Input rows, columns, channels.
    pub input: Shape,
    /// Outputs in a row (fewer in the last row of a pointwise convolution).
    pub width: usize,
    /// Blocks of [`BLOCK`] channels.
    pub blocks: usize,
    /// Classes of input columns modulo the stride that the kernel reads.
    pub phases: usize,
    /// Columns of one phase beyond those of the outputs.
    pub overhang: usize,
    /// Rows have one output and room for no more.
    pub single: bool,
}

impl Geometry {
    /// Cuts up a convolution. A pointwise one sees its pixels as one long row, in pieces: of one pixel each where it is a
    /// fully connected layer.
    pub const fn new(input: &Shape, output: &Shape, window: &Window, fully_connected: bool) -> Self {
        let (mut input, mut width) = (*input, output.w);
        let pointwise = is_pointwise(&input, output, window);
        if pointwise {
            let pixels = input.h.saturating_mul(input.w);
            let piece = if fully_connected { 1 } else { piece(input.c) };
            width = if pixels < piece { pixels } else { piece };
            input = Shape { h: pixels.div_ceil(if width == 0 { 1 } else { width }), w: width, c: input.c };
        }
        let reach = window.kernel[1].saturating_sub(1).saturating_mul(window.dilation[1]);
        let stride = if window.stride[1] == 0 { 1 } else { window.stride[1] };
        let phases = if reach.saturating_add(1) < stride { reach.saturating_add(1) } else { stride };
        let blocks = input.c.div_ceil(BLOCK);
        Geometry {
            window: *window,
            input,
            width,
            blocks,
            phases,
            overhang: reach / stride,
            single: pointwise && fully_connected,
        }
    }

    /// The geometry of a kernel's problem.
    pub const fn of(p: &Conv2d<'_>, fully_connected: bool) -> Self {
        Geometry::new(&p.input, &p.output, &p.window, fully_connected)
    }

    /// Kernel positions.
    #[inline(never)]
    pub const fn positions(&self) -> usize {
        self.window.kernel[0].saturating_mul(self.window.kernel[1])
    }

    /// Phase and column within the phase of kernel column `kx`.
    pub const fn tap(&self, kx: usize) -> (usize, usize) {
        let column = kx.wrapping_mul(self.window.dilation[1]);
        match self.window.stride[1] {
            0 | 1 => (0, column),
            stride => (column % stride, column / stride),
        }
    }

    /// The channels of the pixel at `column` (counted from the padded left border) in a row of pixels.
    pub fn pixel<'a>(&self, row: &'a [i8], column: usize) -> Option<&'a [i8]> {
        let column = column.checked_sub(self.window.padding[1]).filter(|c| *c < self.input.w)?;
        let start = column.wrapping_mul(self.input.c);
        row.get(start..start.wrapping_add(self.input.c))
    }
}

/// True when every output reads the one pixel at its own place.
const fn is_pointwise(input: &Shape, output: &Shape, window: &Window) -> bool {
    let ([kh, kw], [sh, sw], [top, left]) = (window.kernel, window.stride, window.padding);
    kh == 1
        && kw == 1
        && sh == 1
        && sw == 1
        && top == 0
        && left == 0
        && input.h == output.h
        && input.w == output.w
}

/// Pixels of a pointwise convolution that are held widened at a time: enough to share what is done once for a filter.
const fn piece(channels: usize) -> usize {
    match channels {
        0..=64 => 32,
        65..=256 => 16,
        _ => 8,
    }
}
