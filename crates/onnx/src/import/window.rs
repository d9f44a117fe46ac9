//! Kernel, stride, dilation and padding attributes of convolutions and pools.

use dtmm_graph::{Padding, Window};

use super::context::NodeImport;
use crate::error::{Fault, bad, unsupported};

/// Puts one (1-D) or two spatial values into `[h, w]`; `fill` for the missing height.
pub(crate) fn spatial(values: &[usize], fill: usize) -> [usize; 2] {
    match values {
        [w] => [fill, *w],
        [h, w] => [*h, *w],
        _ => [fill, fill],
    }
}

impl NodeImport<'_> {
    /// The window over an image `[h, w]` with `kernel` (1 or 2 spatial axes).
    pub(crate) fn window(&self, kernel: &[usize], size: [usize; 2]) -> Result<Window, Fault> {
        let axes = kernel.len();
        if !(1..=2).contains(&axes) {
            return unsupported(format!("it has {axes} spatial axes, 1 or 2 are supported"));
        }
        let stride = spatial(&self.attributes.sizes("strides", axes, 1)?, 1);
        let dilation = spatial(&self.attributes.sizes("dilations", axes, 1)?, 1);
        let kernel = spatial(kernel, 1);
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return bad("kernel, strides and dilations must be positive");
        }
        let mut window = Window { kernel, stride, dilation, padding: Padding::default() };
        window.padding = self.padding(axes, &window, size)?;
        Ok(window)
    }

    fn padding(&self, axes: usize, window: &Window, size: [usize; 2]) -> Result<Padding, Fault> {
        let same = Padding::same(size, window.kernel, window.stride, window.dilation);
        match self.attributes.string("auto_pad", "NOTSET")? {
            "SAME_UPPER" => Ok(same),
            "SAME_LOWER" => {
                Ok(Padding { top: same.bottom, bottom: same.top, left: same.right, right: same.left })
            }
            "VALID" => Ok(Padding::default()),
            "NOTSET" | "" => {
                let pads = self.attributes.sizes("pads", 2 * axes, 0)?;
                let before = spatial(&pads[..axes], 0);
                let after = spatial(&pads[axes..], 0);
                Ok(Padding { top: before[0], bottom: after[0], left: before[1], right: after[1] })
            }
            other => bad(format!("auto_pad '{other}' is not known")),
        }
    }
}
