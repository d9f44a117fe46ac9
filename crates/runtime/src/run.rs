//! Runs one layer.

use dtmm_format::{Elementwise, Opcode, Package, Params, Record, Tensor};
use dtmm_kernels::{Axes, Conv2d, KernelError, LogSoftmax, Mean, Softmax, active as kernel, needs};

use crate::convert::{elementwise, linear, pool, product, rescale, shape, window};
use crate::memory::{Memory, Single};

/// Runs layer `i` in the arena.
#[inline(always)]
pub(crate) fn layer(package: &Package<'_>, i: u16, arena: &mut [i8]) -> Result<(), KernelError> {
    match with_weights(package, i, arena) {
        Err(None) => without_weights(package, i, arena),
        Err(Some(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// The operators with weights; without an error when layer `i` has none.
///
/// They have the deepest stack: what they are decoded from is gone when their kernel runs.
#[inline(never)]
fn with_weights(package: &Package<'_>, i: u16, arena: &mut [i8]) -> Result<(), Option<KernelError>> {
    let Some(Job { opcode, p, memory: Single { x, y, scratch } }) = &mut decode(package, i, arena) else {
        return Err(None);
    };
    match opcode {
        Opcode::Conv2d if Opcode::Conv2d.is_built() => kernel::conv2d_s8(p, scratch, x, y),
        Opcode::DepthwiseConv2d if Opcode::DepthwiseConv2d.is_built() => {
            kernel::depthwise_conv2d_s8(p, scratch, x, y)
        }
        Opcode::FullyConnected if Opcode::FullyConnected.is_built() => {
            kernel::fully_connected_s8(p, scratch, x, y)
        }
        _ => Err(KernelError::Shape),
    }
    .map_err(Some)
}

/// Whether layer `i` was planned with the scratch memory that its kernel needs.
#[inline(never)]
pub(crate) fn has_scratch(package: &Package<'_>, i: u16, arena: &mut [i8]) -> bool {
    let Some(Job { opcode, p, memory }) = &decode(package, i, arena) else { return true };
    let needed = match opcode {
        Opcode::DepthwiseConv2d if Opcode::DepthwiseConv2d.is_built() => needs::depthwise_conv2d(p),
        _ => needs::conv2d(p, *opcode == Opcode::FullyConnected),
    };
    memory.scratch.len() >= needed
}

/// A layer with weights.
struct Job<'a> {
    opcode: Opcode,
    p: Conv2d<'a>,
    memory: Single<'a>,
}

/// Layer `i`, if it has weights. What is borrowed here would take code and stack if it was copied.
#[inline(never)]
fn decode<'a>(package: &Package<'a>, i: u16, arena: &'a mut [i8]) -> Option<Job<'a>> {
    let Some(layer) = &package.record(i) else { return None };
    if !layer.opcode.has_weights() {
        return None;
    }
    let Some(x) = &package.tensor(layer.inputs[0]) else { return None };
    let Some(y) = &package.tensor(layer.output) else { return None };
    let Some(w) = &package.window(layer) else { return None };
    let Some(l) = &package.linear(layer, y.shape) else { return None };
    let memory = Single::cut(arena, &layer.scratch, x, y)?;
    let (input, output) = (shape(x.shape), shape(y.shape));
    let p = Conv2d { input, output, window: window(w), linear: linear(l, x, y) };
    Some(Job { opcode: layer.opcode, p, memory })
}

fn input<'a>(package: &Package<'a>, layer: &Record, k: usize) -> Result<Tensor<'a>, KernelError> {
    package.input_of(layer, k).and_then(|i| package.tensor(i)).ok_or(KernelError::Shape)
}

/// The operators without weights.
#[inline(never)]
fn without_weights(package: &Package<'_>, i: u16, arena: &mut [i8]) -> Result<(), KernelError> {
    let Some(layer) = &package.record(i) else { return Err(KernelError::Shape) };
    let Some(y) = &package.tensor(layer.output) else { return Err(KernelError::Shape) };
    if Opcode::Concat.is_built() && layer.opcode == Opcode::Concat {
        return concat(package, layer, (y, arena));
    }
    let elementwise = matches!(layer.opcode, Opcode::Add | Opcode::Sub | Opcode::Mul);
    if Opcode::Add.is_built() && elementwise {
        return binary(package, layer, (y, arena));
    }
    one_input(package, layer, (y, arena))
}

/// In a frame of its own: operators with two inputs have deeper stacks.
#[inline(never)]
fn one_input(
    package: &Package<'_>,
    layer: &Record,
    (y, arena): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    let Some(x) = &package.tensor(layer.inputs[0]) else { return Err(KernelError::Shape) };
    let Some(memory) = Single::cut(arena, &layer.scratch, x, y) else {
        return Err(KernelError::ActivationLength);
    };
    if layer.opcode.pools() {
        return pooled(package, layer, (x, y), memory);
    }
    let Some(params) = &package.params(layer) else { return Err(KernelError::Shape) };
    unary(params, (x, y), memory)
}

#[inline(always)]
fn pooled(
    package: &Package<'_>,
    layer: &Record,
    (x, y): (&Tensor<'_>, &Tensor<'_>),
    memory: Single<'_>,
) -> Result<(), KernelError> {
    let Some(window) = &package.window(layer) else { return Err(KernelError::Shape) };
    let Some((clamp, count_include_pad)) = package.pool(layer) else { return Err(KernelError::Shape) };
    let p = &pool(window, clamp, x, y);
    match layer.opcode {
        Opcode::MaxPool if Opcode::MaxPool.is_built() => kernel::max_pool_s8(p, memory.x, memory.y),
        _ if !Opcode::AveragePool.is_built() => Err(KernelError::Shape),
        _ => {
            let padding = count_include_pad.then_some(x.zero_point);
            kernel::average_pool_s8(p, padding, memory.x, memory.y)
        }
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
    match params {
        Params::Reshape => kernel::reshape_s8(operand, out),
        Params::Requantize(p) if Opcode::Requantize.is_built() => {
            kernel::requantize_s8(&rescale(p), [x.zero_point, y.zero_point], operand, out)
        }
        Params::Lut(table) if Opcode::Lut.is_built() => kernel::lut_s8(table, operand, out),
        &Params::Mean { axes, multiplier, shift } if Opcode::Mean.is_built() => {
            let axes = Axes { h: axes & 1 != 0, w: axes & 2 != 0, c: axes & 4 != 0 };
            let (input_zero_point, output_zero_point) = (x.zero_point, y.zero_point);
            let p = Mean { input, axes, input_zero_point, output_zero_point, multiplier, shift };
            kernel::mean_s8(&p, values, out)
        }
        &Params::Transpose { perm } if Opcode::Transpose.is_built() => {
            kernel::transpose_s8(&input, &output, perm, values, out)
        }
        &Params::Slice { begin, stride } if Opcode::Slice.is_built() => {
            kernel::slice_s8(&input, &output, begin, stride, values, out)
        }
        &Params::Pad { before, value } if Opcode::Pad.is_built() => {
            kernel::pad_s8(&input, &output, before, value, values, out)
        }
        Params::ResizeNearest { rows, columns } if Opcode::ResizeNearest.is_built() => {
            kernel::resize_nearest_s8(&input, &output, rows, columns, values, out)
        }
        &Params::Softmax { multiplier, shift, diff_min } if Opcode::Softmax.is_built() => {
            let p = Softmax { channels: input.c, multiplier, shift, diff_min };
            kernel::softmax_s8(&p, values, out)
        }
        &Params::LogSoftmax { multiplier, shift, reverse_multiplier, reverse_shift, diff_min }
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
    layer: &Record,
    (y, arena): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    let inputs = [&input(package, layer, 0)?, &input(package, layer, 1)?];
    let (memory, out) = Memory::cut(arena, y).ok_or(KernelError::ActivationLength)?;
    let [a, b] = [memory.operand(inputs[0])?, memory.operand(inputs[1])?];
    let p = &elementwise(&scaling(package, layer)?, inputs, y);
    match layer.opcode {
        Opcode::Add => kernel::add_s8(p, a, b, out),
        Opcode::Sub => kernel::sub_s8(p, a, b, out),
        _ => kernel::mul_s8(p, a, b, out),
    }
}

/// In a frame of its own, which is gone when the kernel runs.
#[inline(never)]
fn scaling(package: &Package<'_>, layer: &Record) -> Result<Elementwise, KernelError> {
    match &package.params(layer) {
        Some(Params::Add(scaling) | Params::Sub(scaling)) => Ok(*scaling),
        Some(Params::Mul(rescale)) => Ok(product(rescale)),
        _ => Err(KernelError::Shape),
    }
}

#[inline(never)]
fn concat(
    package: &Package<'_>,
    layer: &Record,
    (y, arena): (&Tensor<'_>, &mut [i8]),
) -> Result<(), KernelError> {
    let (memory, out) = Memory::cut(arena, y).ok_or(KernelError::ActivationLength)?;
    let Some(Params::Concat { axis, .. }) = package.params(layer) else { return Err(KernelError::Shape) };
    let axis = usize::from(axis).checked_sub(1).ok_or(KernelError::Shape)?;
    let mut before = 0usize;
    for index in (0..).map_while(|k| package.input_of(layer, k)) {
        let x = package.tensor(index).ok_or(KernelError::Shape)?;
        let values = memory.read(&x).ok_or(KernelError::ActivationLength)?;
        kernel::concat_s8(&shape(x.shape), &shape(y.shape), axis, before, values, out)?;
        before = before.saturating_add(x.shape.dims().get(axis).copied().unwrap_or(0));
    }
    Ok(())
}
