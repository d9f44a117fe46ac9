//! Runs one layer.

use dtmm_format::{Layer, Opcode, Package, Params, Tensor};
use dtmm_kernels::{Axes, FullyConnected, KernelError, LogSoftmax, Mean, Operand, Softmax, active as kernel};

use crate::convert::{conv2d, elementwise, linear, pool, product, rescale, shape};
use crate::memory::{Memory, tensor};

/// Whether the operator is part of this build; the crate's features say so.
pub(crate) const fn has(opcode: Opcode) -> bool {
    match opcode {
        Opcode::Conv2d => cfg!(feature = "conv2d"),
        Opcode::DepthwiseConv2d => cfg!(feature = "depthwise"),
        Opcode::FullyConnected => cfg!(feature = "fully-connected"),
        Opcode::Add | Opcode::Sub | Opcode::Mul => cfg!(feature = "elementwise"),
        Opcode::Concat => cfg!(feature = "concat"),
        Opcode::MaxPool | Opcode::AveragePool => cfg!(feature = "pool"),
        Opcode::Mean => cfg!(feature = "mean"),
        Opcode::Reshape => true,
        Opcode::Transpose | Opcode::Slice | Opcode::Pad | Opcode::ResizeNearest => cfg!(feature = "movement"),
        Opcode::Requantize | Opcode::Lut => cfg!(feature = "activation"),
        Opcode::Softmax | Opcode::LogSoftmax => cfg!(feature = "softmax"),
    }
}

/// Runs `layer` in the arena.
pub(crate) fn layer(package: &Package<'_>, layer: &Layer<'_>, arena: &mut [i8]) -> Result<(), KernelError> {
    let y = package.tensor(layer.output).ok_or(KernelError::Shape)?;
    let mut memory = Memory::cut(arena, layer, &y).ok_or(KernelError::ActivationLength)?;
    let (out, scratch) = (core::mem::take(&mut memory.output), core::mem::take(&mut memory.scratch));
    if let Params::Concat { axis, .. } = layer.params
        && has(Opcode::Concat)
    {
        return concat(package, layer, usize::from(axis), &memory, (&y, out));
    }
    let x = tensor(package, layer.input_tensors().next()).ok_or(KernelError::Shape)?;
    match &layer.params {
        Params::Add(_) | Params::Sub(_) | Params::Mul(_) if has(Opcode::Add) => {
            let b = tensor(package, layer.input_tensors().nth(1)).ok_or(KernelError::Shape)?;
            binary(&layer.params, [&x, &b], &memory, (&y, out))
        }
        Params::Requantize(p) if has(Opcode::Requantize) => {
            let zero_points = [x.zero_point, y.zero_point];
            kernel::requantize_s8(&rescale(p), zero_points, operand(&memory, &x)?, out)
        }
        Params::Lut(table) if has(Opcode::Lut) => kernel::lut_s8(table, operand(&memory, &x)?, out),
        Params::Reshape => kernel::reshape_s8(operand(&memory, &x)?, out),
        params => {
            let values = memory.read(&x).ok_or(KernelError::ActivationLength)?;
            match *params {
                Params::Conv2d { .. } | Params::DepthwiseConv2d { .. } | Params::FullyConnected { .. } => {
                    weighted(params, scratch, (&x, values), (&y, out))
                }
                _ => unary(params, (&x, values), (&y, out)),
            }
        }
    }
}

/// The operators with weights.
fn weighted(
    params: &Params<'_>,
    scratch: &mut [i8],
    (x, values): (&Tensor<'_>, &[i8]),
    (y, out): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    match *params {
        Params::Conv2d { window, linear } if has(Opcode::Conv2d) => {
            kernel::conv2d_s8(&conv2d(&window, &linear, x, y), scratch, values, out)
        }
        Params::DepthwiseConv2d { window, linear } if has(Opcode::DepthwiseConv2d) => {
            kernel::depthwise_conv2d_s8(&conv2d(&window, &linear, x, y), scratch, values, out)
        }
        Params::FullyConnected { linear: l } if has(Opcode::FullyConnected) => {
            let input = shape(x.shape);
            let rows = input.h.saturating_mul(input.w);
            let p = FullyConnected { rows, input_channels: input.c, linear: linear(&l, x, y) };
            kernel::fully_connected_s8(&p, scratch, values, out)
        }
        _ => Err(KernelError::Shape),
    }
}

/// The operators with one input, no weights, that never work in place.
fn unary(
    params: &Params<'_>,
    (x, values): (&Tensor<'_>, &[i8]),
    (y, out): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    let (input, output) = (shape(x.shape), shape(y.shape));
    match *params {
        Params::MaxPool { window, clamp } if has(Opcode::MaxPool) => {
            kernel::max_pool_s8(&pool(&window, clamp, x, y), values, out)
        }
        Params::AveragePool { window, clamp, count_include_pad } if has(Opcode::AveragePool) => {
            let padding_value = count_include_pad.then_some(x.zero_point);
            kernel::average_pool_s8(&pool(&window, clamp, x, y), padding_value, values, out)
        }
        Params::Mean { axes, multiplier, shift } if has(Opcode::Mean) => {
            let axes = Axes { h: axes & 1 != 0, w: axes & 2 != 0, c: axes & 4 != 0 };
            let (input_zero_point, output_zero_point) = (x.zero_point, y.zero_point);
            let p = Mean { input, axes, input_zero_point, output_zero_point, multiplier, shift };
            kernel::mean_s8(&p, values, out)
        }
        Params::Transpose { perm } if has(Opcode::Transpose) => {
            kernel::transpose_s8(&input, &output, perm, values, out)
        }
        Params::Slice { begin, stride } if has(Opcode::Slice) => {
            kernel::slice_s8(&input, &output, begin, stride, values, out)
        }
        Params::Pad { before, value } if has(Opcode::Pad) => {
            kernel::pad_s8(&input, &output, before, value, values, out)
        }
        Params::ResizeNearest { rows, columns } if has(Opcode::ResizeNearest) => {
            kernel::resize_nearest_s8(&input, &output, rows, columns, values, out)
        }
        Params::Softmax { multiplier, shift, diff_min } if has(Opcode::Softmax) => {
            let p = Softmax { channels: input.c, multiplier, shift, diff_min };
            kernel::softmax_s8(&p, values, out)
        }
        Params::LogSoftmax { multiplier, shift, reverse_multiplier, reverse_shift, diff_min }
            if has(Opcode::LogSoftmax) =>
        {
            let channels = input.c;
            let p = LogSoftmax { channels, multiplier, shift, reverse_multiplier, reverse_shift, diff_min };
            kernel::log_softmax_s8(&p, values, out)
        }
        _ => Err(KernelError::Shape),
    }
}

fn binary(
    params: &Params<'_>,
    inputs: [&Tensor<'_>; 2],
    memory: &Memory<'_>,
    (y, out): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    let [a, b] = inputs.map(|t| operand(memory, t));
    match params {
        Params::Add(p) => kernel::add_s8(&elementwise(p, inputs, y), a?, b?, out),
        Params::Sub(p) => kernel::sub_s8(&elementwise(p, inputs, y), a?, b?, out),
        Params::Mul(p) => kernel::mul_s8(&elementwise(&product(p), inputs, y), a?, b?, out),
        _ => Err(KernelError::Shape),
    }
}

fn operand<'m>(memory: &'m Memory<'_>, x: &Tensor<'m>) -> Result<Operand<'m>, KernelError> {
    memory.operand(x).ok_or(KernelError::ActivationLength)
}

fn concat(
    package: &Package<'_>,
    layer: &Layer<'_>,
    axis: usize,
    memory: &Memory<'_>,
    (y, out): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
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
