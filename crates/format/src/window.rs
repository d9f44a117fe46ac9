//! The window of convolutions and pools: u16 kernel h, w; u16 stride h, w; u16 dilation h, w; u16 padding top,
//! bottom, left, right.

use crate::bytes::{Emitter, Reader};

/// Bytes of a window.
pub const WINDOW_LEN: usize = 20;

/// How a kernel slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Copied by words.
#[repr(align(4))]
pub struct Window {
    /// Kernel height, width.
    pub kernel: [u16; 2],
    /// Step between outputs.
    pub stride: [u16; 2],
    /// Step between kernel positions.
    pub dilation: [u16; 2],
    /// Padding above, below, left, right.
    pub padding: [u16; 4],
}

impl Window {
    /// One pixel under each output.
    pub const POINT: Self = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0; 4] };

    pub(crate) fn parse(r: &mut Reader<'_>) -> Option<Self> {
        let numbers = bytemuck::cast::<[u8; WINDOW_LEN], [u16; WINDOW_LEN / 2]>(r.array()?);
        let [kh, kw, sh, sw, dh, dw, padding @ ..] = numbers.map(u16::from_le);
        Some(Window { kernel: [kh, kw], stride: [sh, sw], dilation: [dh, dw], padding })
    }

    pub(crate) fn emit(&self, e: &mut Emitter<'_>) -> Option<()> {
        for pair in [self.kernel, self.stride, self.dilation] {
            e.numbers(&pair.map(u16::to_le_bytes))?;
        }
        e.numbers(&self.padding.map(u16::to_le_bytes))
    }

    /// Output height and width for an input of `size`; `None` when the window is impossible: a zero, or a kernel larger
    /// than the padded input.
    pub fn output_size(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let [h, w] = size;
        Some([self.rows(h)?, self.columns(w)?])
    }

    /// Output height for an input of this height.
    pub(crate) fn rows(&self, height: usize) -> Option<usize> {
        let ([kernel, _], [stride, _], [dilation, _]) = (self.kernel, self.stride, self.dilation);
        let [before, after, ..] = self.padding;
        axis_output(height, [kernel, stride, dilation], before.into(), after.into())
    }

    /// Output width for an input of this width.
    pub(crate) fn columns(&self, width: usize) -> Option<usize> {
        let ([_, kernel], [_, stride], [_, dilation]) = (self.kernel, self.stride, self.dilation);
        let [.., before, after] = self.padding;
        axis_output(width, [kernel, stride, dilation], before.into(), after.into())
    }
}

/// One axis of [`Window::output_size`]: kernel, stride, dilation; padding before and after.
#[inline(never)]
fn axis_output(
    size: usize,
    [kernel, stride, dilation]: [u16; 3],
    before: usize,
    after: usize,
) -> Option<usize> {
    let (kernel, stride, dilation) = (usize::from(kernel), usize::from(stride), usize::from(dilation));
    if kernel == 0 || stride == 0 || dilation == 0 {
        return None;
    }
    let reach = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
    let padded = size.checked_add(before)?.checked_add(after)?;
    Some(padded.checked_sub(reach)?.checked_div(stride)? + 1)
}
