//! Sliding windows: strides, dilation, SAME and VALID.

use dtmm_graph::{Padding, Window};

use crate::error::NodeError;
use crate::flat::FlatError;
use crate::importer::{Activation, Importer, Options};

/// Field numbers of a window's options in an operator's table.
pub struct Fields {
    pub padding: usize,
    pub stride_w: usize,
    pub stride_h: usize,
    /// Width and height; operators without dilation have none.
    pub dilation: Option<[usize; 2]>,
}

/// Larger strides and kernels are no images' and only make arithmetic overflow.
const MAX_STEP: i32 = 1 << 16;

/// The window of `kernel` = `[h, w]` over an input of size `[h, w]`.
pub fn window(
    options: &Options<'_>,
    fields: &Fields,
    size: [usize; 2],
    kernel: [usize; 2],
) -> Result<Window, NodeError> {
    let stride = [options.i32(fields.stride_h, 0)?, options.i32(fields.stride_w, 0)?];
    let stride = [step(stride[0], "stride_h")?, step(stride[1], "stride_w")?];
    let dilation = dilation(options, fields.dilation)?;
    let dilation = [step(dilation[0], "dilation_h")?, step(dilation[1], "dilation_w")?];
    if kernel.iter().any(|&k| k == 0 || k > MAX_STEP as usize) {
        return NodeError::invalid(format!("kernel size {kernel:?} is out of range"));
    }
    let padding = match options.i8(fields.padding)? {
        0 => Padding::same(size, kernel, stride, dilation),
        1 => Padding::default(),
        other => return NodeError::invalid(format!("unknown padding {other}")),
    };
    Ok(Window { kernel, stride, dilation, padding })
}

fn dilation(options: &Options<'_>, fields: Option<[usize; 2]>) -> Result<[i32; 2], FlatError> {
    let Some([w, h]) = fields else { return Ok([1, 1]) };
    Ok([options.i32(h, 1)?, options.i32(w, 1)?])
}

/// A stride, dilation or kernel size within bounds.
pub fn step(value: i32, what: &str) -> Result<usize, NodeError> {
    if (1..=MAX_STEP).contains(&value) {
        return Ok(value as usize);
    }
    NodeError::invalid(format!("{what} is {value}, expected 1..={MAX_STEP}"))
}

/// The `[h, w]` of an image `[N, H, W, C]`; other shapes are an error.
pub fn image_size(importer: &Importer<'_>, x: &Activation) -> Result<[usize; 2], NodeError> {
    match x.dims[..] {
        [_, h, w, _] if importer.layout(&x.dims)?.has_batch() => Ok([h, w]),
        _ => NodeError::invalid(format!("the input must be [N, H, W, C], found shape {:?}", x.dims)),
    }
}
