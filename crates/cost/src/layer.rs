//! A layer as the device runs it, and which of its weights are stored.

use crate::stored::{Form, Stored};
use crate::{Kernel, Work, depthwise, plain, scalar, turn, vector};

/// How a kernel slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel height, width.
    pub kernel: [usize; 2],
    /// Step between outputs.
    pub stride: [usize; 2],
    /// Step between kernel positions.
    pub dilation: [usize; 2],
    /// Padding above and on the left.
    pub padding: [usize; 2],
}

impl Window {
    /// One pixel.
    pub const POINT: Window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };

    /// Kernel positions.
    pub fn positions(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// How many of the kernel positions of an output lie inside `size` on `axis`.
    pub(crate) fn covered(&self, axis: usize, output: usize, size: usize) -> usize {
        let first = (output * self.stride[axis]) as isize - self.padding[axis] as isize;
        let inside = |k: &usize| {
            let at = first + (k * self.dilation[axis]) as isize;
            (0..size as isize).contains(&at)
        };
        (0..self.kernel[axis]).filter(inside).count()
    }
}

/// A layer as the device runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its kernel, for dense weights where it has any.
    pub kernel: Kernel,
    /// Each input's `[h, w, c]`; weights are no inputs.
    pub inputs: Vec<[usize; 3]>,
    /// The output's `[h, w, c]`.
    pub output: [usize; 3],
    /// The window of convolutions and pools, [`Window::POINT`] for others.
    pub window: Window,
}

impl Layer {
    /// The first input's `[h, w, c]`.
    pub(crate) fn input(&self) -> [usize; 3] {
        self.inputs.first().copied().unwrap_or([1; 3])
    }

    /// Output pixels.
    pub fn pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Filters, kernel positions and channels of a layer whose weights can be stored in runs.
    pub fn dims(&self) -> [usize; 3] {
        [self.output[2], self.window.positions(), self.input()[2]]
    }

    /// The kernel for weights stored in runs; `None` when the layer has none.
    pub fn runs_kernel(&self) -> Option<Kernel> {
        match self.kernel {
            Kernel::Conv => Some(Kernel::ConvRuns),
            Kernel::Dense => Some(Kernel::DenseRuns),
            _ => None,
        }
    }

    /// The kernel and what it does, with the weights that are stored.
    pub fn work(&self, stored: &Stored) -> (Kernel, Work) {
        let kernel = self.runs_kernel().filter(|_| stored.form != Form::Dense).unwrap_or(self.kernel);
        let mut work = Work::call();
        match self.kernel {
            Kernel::Conv => {
                scalar::conv(self, stored, &mut work);
                vector::conv(self, stored, &mut work);
            }
            Kernel::Dense => {
                scalar::fully_connected(self, stored, &mut work);
                vector::fully_connected(self, stored, &mut work);
            }
            Kernel::Depthwise | Kernel::DepthwiseMultiplied => {
                depthwise::depthwise(self, &mut work);
                turn::depthwise(self, &mut work);
            }
            _ => plain::plain(self, &mut work),
        }
        (kernel, work)
    }

    /// [`Layer::work`] with dense weights.
    pub fn dense_work(&self) -> Work {
        self.work(&Stored::dense(self)).1
    }
}
