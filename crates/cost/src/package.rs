//! The layers of a package, as they are stored.

use dtmm_format::fwcs::{RunShape, bitmap_runs, gap_runs};
use dtmm_format::{Linear, Opcode, Package, Params, Weights};

use crate::layer::{Layer, Window};
use crate::stored::{Form, Stored};
use crate::{Kernel, Work};

/// The kernel of each layer of a package and what it does, in execution order; `None` for a layer that takes no time.
pub fn package_work(package: &Package<'_>) -> Vec<Option<(Kernel, Work)>> {
    let work = |layer: dtmm_format::Layer<'_>| {
        let (shape, stored) = package_layer(package, &layer)?;
        Some(shape.work(&stored))
    };
    package.layers().map(work).collect()
}

/// A layer of a package and how its weights are stored.
pub fn package_layer(package: &Package<'_>, layer: &dtmm_format::Layer<'_>) -> Option<(Layer, Stored)> {
    let dims = |index: u16| package.tensor(index).map(|t| t.shape.dims());
    let shape = Layer {
        kernel: kernel(&layer.params)?,
        inputs: layer.input_tensors().filter_map(dims).collect(),
        output: dims(layer.output)?,
        window: window(&layer.params),
    };
    let kernel = match shape.kernel {
        Kernel::Depthwise if shape.input()[2] != shape.output[2] => Kernel::DepthwiseMultiplied,
        kernel => kernel,
    };
    let shape = Layer { kernel, ..shape };
    let stored = layer.params.linear().map_or_else(|| Stored::dense(&shape), |l| stored(l, &shape));
    Some((shape, stored))
}

fn kernel(params: &Params<'_>) -> Option<Kernel> {
    Some(match params.opcode() {
        Opcode::Conv2d => Kernel::Conv,
        Opcode::DepthwiseConv2d => Kernel::Depthwise,
        Opcode::FullyConnected => Kernel::Dense,
        Opcode::Add => Kernel::Add,
        Opcode::Sub => Kernel::Sub,
        Opcode::Mul => Kernel::Mul,
        Opcode::Concat => Kernel::Concat,
        Opcode::MaxPool => Kernel::MaxPool,
        Opcode::AveragePool => Kernel::AveragePool,
        Opcode::Mean => Kernel::Mean,
        Opcode::Reshape => return None,
        Opcode::Transpose => Kernel::Transpose,
        Opcode::Slice => Kernel::Slice,
        Opcode::Pad => Kernel::Pad,
        Opcode::ResizeNearest => Kernel::ResizeNearest,
        Opcode::Requantize => Kernel::Requantize,
        Opcode::Lut => Kernel::Lut,
        Opcode::Softmax => Kernel::Softmax,
        Opcode::LogSoftmax => Kernel::LogSoftmax,
    })
}

fn window(params: &Params<'_>) -> Window {
    let (Params::Conv2d { window, .. }
    | Params::DepthwiseConv2d { window, .. }
    | Params::MaxPool { window, .. }
    | Params::AveragePool { window, .. }) = params
    else {
        return Window::POINT;
    };
    let [top, _, left, _] = window.padding.map(usize::from);
    Window {
        kernel: window.kernel.map(usize::from),
        stride: window.stride.map(usize::from),
        dilation: window.dilation.map(usize::from),
        padding: [top, left],
    }
}

fn stored(linear: &Linear<'_>, shape: &Layer) -> Stored {
    let (dims, kernel) = (shape.dims(), shape.window.kernel);
    let [filters, positions, channels] = dims;
    let runs = |group: u32| RunShape { filters, positions, channels, group: group as usize }.runs();
    match linear.weights {
        Weights::Dense(_) => Stored::dense(shape),
        Weights::Bitmap { group, bitmap, .. } => {
            let kept = bitmap_runs(bitmap, runs(group));
            Stored::of(dims, kernel, (Form::Bitmap, group as usize), kept)
        }
        Weights::Gaps { group, gaps, .. } => {
            let mut kept = vec![false; runs(group)];
            gap_runs(gaps).for_each(|run| kept.get_mut(run).into_iter().for_each(|k| *k = true));
            Stored::of(dims, kernel, (Form::Gaps, group as usize), kept)
        }
    }
}
