//! Runs one layer.

use dtmm_format::{Layer, Opcode, Package, Params, Tensor};
use dtmm_kernels::{Axes, KernelError, LogSoftmax, Mean, Softmax, active as kernel, needs};

use crate::convert::{Weighted, elementwise, pool, product, rescale, shape};
use crate::memory::{Memory, Single};

/// Runs `layer` in the arena.
#[inline(never)]
pub(crate) fn layer(package: &Package<'_>, layer: &Layer<'_>, arena: &mut [i8]) -> Result<(), KernelError> {
    let y = &package.tensor(layer.output).ok_or(KernelError::Shape)?;
    match layer.params {
        Params::Concat { axis, .. } if Opcode::Concat.is_built() => {
            concat(package, layer, usize::from(axis), (y, arena))
        }
        Params::Add(_) | Params::Sub(_) | Params::Mul(_) if Opcode::Add.is_built() => {
            binary(package, layer, (y, arena))
        }
        _ => {
            let x = &input(package, layer, 0)?;
            let memory = Single::cut(arena, layer, x, y)?;
            single(&layer.params, (x, y), memory)
        }
    }
}

/// Bytes of scratch memory, at a multiple of 4, without which the layer's kernel refuses to run.
pub(crate) fn scratch(package: &Package<'_>, layer: &Layer<'_>) -> usize {
    let (Ok(x), Some(y)) = (input(package, layer, 0), package.tensor(layer.output)) else { return 0 };
    match Weighted::new(&layer.params, &x, &y) {
        Some(Weighted::Conv2d(p)) if Opcode::Conv2d.is_built() => needs::conv2d(&p),
        Some(Weighted::DepthwiseConv2d(p)) if Opcode::DepthwiseConv2d.is_built() => needs::depthwise_conv2d(&p),
        Some(Weighted::FullyConnected(p)) if Opcode::FullyConnected.is_built() => needs::fully_connected(&p),
        _ => 0,
    }
}

fn input<'a>(package: &Package<'a>, layer: &Layer<'_>, k: usize) -> Result<Tensor<'a>, KernelError> {
    layer.input(k).and_then(|i| package.tensor(i)).ok_or(KernelError::Shape)
}

/// The operators with one input. Those without weights have a frame of their own, which the others do not pay for.
fn single(
    params: &Params<'_>,
    (x, y): (&Tensor<'_>, &Tensor<'_>),
    memory: Single<'_>,
) -> Result<(), KernelError> {
    match Weighted::new(params, x, y) {
        Some(weighted) => run_weighted(&weighted, memory),
        None => unary(params, (x, y), memory),
    }
}

/// The operators with weights.
fn run_weighted(weighted: &Weighted<'_>, Single { x, y, scratch }: Single<'_>) -> Result<(), KernelError> {
    match weighted {
        Weighted::Conv2d(p) if Opcode::Conv2d.is_built() => kernel::conv2d_s8(p, scratch, x, y),
        Weighted::DepthwiseConv2d(p) if Opcode::DepthwiseConv2d.is_built() => kernel::depthwise_conv2d_s8(p, scratch, x, y),
        Weighted::FullyConnected(p) if Opcode::FullyConnected.is_built() => kernel::fully_connected_s8(p, scratch, x, y),
        _ => Err(KernelError::Shape),
    }
}

/// The operators with one input and no weights.
#[inline(never)]
fn unary(
    params: &Params<'_>,
    (x, y): (&Tensor<'_>, &Tensor<'_>),
    memory: Single<'_>,
) -> Result<(), KernelError> {
    let (input, output) = (shape(x.shape), shape(y.shape));
    let (operand, values, out) = (memory.operand(), memory.x, memory.y);
    match *params {
        Params::MaxPool { window, clamp } if Opcode::MaxPool.is_built() => {
            kernel::max_pool_s8(&pool(&window, clamp, x, y), values, out)
        }
        Params::AveragePool { window, clamp, count_include_pad } if Opcode::AveragePool.is_built() => {
            let padding_value = count_include_pad.then_some(x.zero_point);
            kernel::average_pool_s8(&pool(&window, clamp, x, y), padding_value, values, out)
        }
        Params::Reshape => kernel::reshape_s8(operand, out),
        Params::Requantize(p) if Opcode::Requantize.is_built() => {
            kernel::requantize_s8(&rescale(&p), [x.zero_point, y.zero_point], operand, out)
        }
        Params::Lut(table) if Opcode::Lut.is_built() => kernel::lut_s8(table, operand, out),
        Params::Mean { axes, multiplier, shift } if Opcode::Mean.is_built() => {
            let axes = Axes { h: axes & 1 != 0, w: axes & 2 != 0, c: axes & 4 != 0 };
            let (input_zero_point, output_zero_point) = (x.zero_point, y.zero_point);
            let p = Mean { input, axes, input_zero_point, output_zero_point, multiplier, shift };
            kernel::mean_s8(&p, values, out)
        }
        Params::Transpose { perm } if Opcode::Transpose.is_built() => {
            kernel::transpose_s8(&input, &output, perm, values, out)
        }
        Params::Slice { begin, stride } if Opcode::Slice.is_built() => {
            kernel::slice_s8(&input, &output, begin, stride, values, out)
        }
        Params::Pad { before, value } if Opcode::Pad.is_built() => {
            kernel::pad_s8(&input, &output, before, value, values, out)
        }
        Params::ResizeNearest { rows, columns } if Opcode::ResizeNearest.is_built() => {
            kernel::resize_nearest_s8(&input, &output, rows, columns, values, out)
        }
        Params::Softmax { multiplier, shift, diff_min } if Opcode::Softmax.is_built() => {
            let p = Softmax { channels: input.c, multiplier, shift, diff_min };
            kernel::softmax_s8(&p, values, out)
        }
        Params::LogSoftmax { multiplier, shift, reverse_multiplier, reverse_shift, diff_min }
            if Opcode::LogSoftmax.is_built() =>
        {
            let channels = input.c;
            let p = LogSoftmax { channels, multiplier, shift, reverse_multiplier, reverse_shift, diff_min };
            kernel::log_softmax_s8(&p, values, out)
        }
        _ => Err(KernelError::Shape),
    }
}

#[inline(never)]
fn binary(
    package: &Package<'_>,
    layer: &Layer<'_>,
    (y, arena): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    let inputs = [&input(package, layer, 0)?, &input(package, layer, 1)?];
    let (memory, out) = Memory::cut(arena, y).ok_or(KernelError::ActivationLength)?;
    let [a, b] = [memory.operand(inputs[0])?, memory.operand(inputs[1])?];
    match &layer.params {
        Params::Add(p) => kernel::add_s8(&elementwise(p, inputs, y), a, b, out),
        Params::Sub(p) => kernel::sub_s8(&elementwise(p, inputs, y), a, b, out),
        Params::Mul(p) => kernel::mul_s8(&elementwise(&product(p), inputs, y), a, b, out),
        _ => Err(KernelError::Shape),
    }
}

#[inline(never)]
fn concat(
    package: &Package<'_>,
    layer: &Layer<'_>,
    axis: usize,
    (y, arena): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    let (memory, out) = Memory::cut(arena, y).ok_or(KernelError::ActivationLength)?;
    let axis = axis.checked_sub(1).ok_or(KernelError::Shape)?;
    let mut before = 0usize;
    for index in layer.input_tensors() {
        let x = package.tensor(index).ok_or(KernelError::Shape)?;
        let values = memory.read(&x).ok_or(KernelError::ActivationLength)?;
        kernel::concat_s8(&shape(x.shape), &shape(y.shape), axis, before, values, out)?;
        before = before.saturating_add(x.shape.dims().get(axis).copied().unwrap_or(0));
    }
    Ok(())
}
