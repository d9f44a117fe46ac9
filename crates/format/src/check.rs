//! The rules that a package must keep, checked once at load.

use core::ops::Range;

use crate::layer::Storage;
use crate::tensor::ARENA_ALIGNMENT;
use crate::{
    Clamp, Elementwise, FormatError, Layer, Linear, NO_TENSOR, Package, Params, Place, Rescale, Rule, Shape,
    Tensor, Window,
};

/// Checks everything but the header.
pub(crate) fn check(package: &Package<'_>) -> Result<(), FormatError> {
    if !package.has_tables() || !package.has_port_table() {
        return Err(FormatError::Header);
    }
    let header = package.header();
    (0..header.tensor_count).try_for_each(|i| check_tensor(package, i).ok_or(FormatError::Tensor(i)))?;
    for (i, tensor) in (0..).zip(package.inputs().chain(package.outputs())) {
        let in_arena = package.tensor(tensor).is_some_and(|t| matches!(t.place, Place::Arena(_)));
        in_arena.then_some(()).ok_or(FormatError::Port(i))?;
    }
    (0..header.layer_count)
        .try_for_each(|i| check_layer(package, i).map_err(|rule| FormatError::Layer(i, rule)))?;
    check_host_sections(package).ok_or(FormatError::HostSection)
}

fn check_tensor(package: &Package<'_>, index: u16) -> Option<()> {
    let tensor = package.tensor(index)?;
    match tensor.place {
        Place::Arena(_) => (tensor.arena_range()?.end <= package.arena_bytes()).then_some(()),
        Place::Constant(_) => Some(()),
    }
}

fn check_host_sections(package: &Package<'_>) -> Option<()> {
    let h = package.header();
    let ports = usize::from(h.input_count) + usize::from(h.output_count);
    let preprocessing = h.preprocessing == 0 || package.preprocessing().is_some();
    let port_info = h.port_info == 0 || package.port_info().count() == ports;
    let names = h.names == 0 || package.names().count() == usize::from(h.layer_count) + 1;
    (preprocessing && port_info && names).then_some(())
}

fn check_layer(package: &Package<'_>, index: u16) -> Result<(), Rule> {
    let layer = package.try_layer(index)?.ok_or(Rule::Record)?;
    let output = package.tensor(layer.output).ok_or(Rule::Tensors)?;
    check_inputs(package, &layer)?;
    check_memory(package, &layer, &output)?;
    let first = layer.input_tensors().next().ok_or(Rule::Tensors)?;
    let input = package.tensor(first).ok_or(Rule::Tensors)?;
    check_params(package, &layer, &input, &output)
}

/// Every input exists, and there are as many as the operator takes.
fn check_inputs(package: &Package<'_>, layer: &Layer<'_>) -> Result<(), Rule> {
    let arity = layer.params.opcode().arity();
    let named = [arity > 0, arity > 1];
    let fits = layer.inputs.iter().zip(named).all(|(&t, named)| (t != NO_TENSOR) == named);
    let exist = layer.input_tensors().all(|t| package.tensor(t).is_some());
    (fits && exist).then_some(()).ok_or(Rule::Tensors)
}

/// Output and scratch overlap nothing else, except that some operators work in place.
fn check_memory(package: &Package<'_>, layer: &Layer<'_>, output: &Tensor<'_>) -> Result<(), Rule> {
    let written = output.arena_range().ok_or(Rule::Tensors)?;
    let scratch = scratch_range(package, layer).ok_or(Rule::Overlap)?;
    let mut in_place = 0;
    for input in layer.input_tensors().filter_map(|t| package.tensor(t)) {
        let Some(read) = input.arena_range() else { continue };
        if overlap(&read, &scratch) {
            return Err(Rule::Overlap);
        }
        if overlap(&read, &written) {
            in_place += 1;
            let same = read == written && layer.params.opcode().works_in_place();
            let shape = input.shape == output.shape || matches!(layer.params, Params::Reshape);
            if !same || !shape || in_place > 1 {
                return Err(Rule::Overlap);
            }
        }
    }
    if overlap(&written, &scratch) { Err(Rule::Overlap) } else { Ok(()) }
}

fn scratch_range(package: &Package<'_>, layer: &Layer<'_>) -> Option<Range<usize>> {
    let start = layer.scratch.offset as usize;
    let end = start.checked_add(layer.scratch.len as usize)?;
    (end <= package.arena_bytes() && start.is_multiple_of(ARENA_ALIGNMENT)).then_some(start..end)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end
}

fn check_params(p: &Package<'_>, layer: &Layer<'_>, x: &Tensor<'_>, y: &Tensor<'_>) -> Result<(), Rule> {
    match layer.params {
        Params::Conv2d { window, linear } => {
            let positions = check_window(&window, x.shape, y.shape)?;
            check_linear(&linear, positions, x.shape.c as usize)
        }
        Params::DepthwiseConv2d { window, linear } => {
            let positions = check_window(&window, x.shape, y.shape)?;
            shape_rule(y.shape.c.is_multiple_of(x.shape.c))?;
            data_rule(linear.weights.storage() == Storage::Dense)?;
            check_linear(&linear, positions, 1)
        }
        Params::FullyConnected { linear } => {
            shape_rule(x.shape.h == y.shape.h && x.shape.w == y.shape.w)?;
            check_linear(&linear, 1, x.shape.c as usize)
        }
        Params::Add(e) | Params::Sub(e) => {
            check_elementwise(&e)?;
            check_broadcast(p, layer, y.shape)
        }
        Params::Mul(rescale) => {
            check_rescale(&rescale)?;
            check_broadcast(p, layer, y.shape)
        }
        Params::Concat { axis, .. } => check_concat(p, layer, axis, y),
        Params::MaxPool { window, clamp } | Params::AveragePool { window, clamp, .. } => {
            check_pool(&window, clamp, x.shape, y.shape)
        }
        Params::Mean { axes, multiplier, shift } => {
            let kept = [0, 1, 2].map(|a| axes >> a & 1 == 0);
            let dims = zip3(x.shape.dims(), kept).map(|(d, keep)| if keep { d } else { 1 });
            shape_rule(axes < 8 && dims == y.shape.dims())?;
            scale_rule(multiplier, shift)
        }
        _ => check_movement(layer, x.shape, y.shape),
    }
}

/// The operators with one input that neither weigh nor pool.
fn check_movement(layer: &Layer<'_>, x: Shape, y: Shape) -> Result<(), Rule> {
    match layer.params {
        Params::Reshape => shape_rule(x.elements() == y.elements()),
        Params::Transpose { perm } => {
            let seen = perm.iter().fold(0, |seen, &a| seen | if a < 3 { 1u8 << a } else { 0 });
            data_rule(seen == 7)?;
            let dims = perm.map(|a| x.dims().get(usize::from(a)).copied());
            shape_rule(dims == y.dims().map(Some))
        }
        Params::Slice { begin, stride } => {
            let last = zip3(zip3(begin, stride), y.dims()).map(|((b, s), n)| last_index(b, s, n));
            let inside = zip3(last, x.dims()).iter().all(|(last, n)| last.is_some_and(|l| l < *n));
            shape_rule(inside)
        }
        Params::Pad { before, .. } => {
            let fits = |((b, n), m): ((u32, usize), usize)| n.checked_add(b as usize).is_some_and(|e| e <= m);
            shape_rule(zip3(zip3(before, x.dims()), y.dims()).into_iter().all(fits))
        }
        Params::Requantize(rescale) => {
            check_rescale(&rescale)?;
            shape_rule(x == y)
        }
        Params::Softmax { multiplier, shift, .. } => {
            data_rule(shift >= 0)?;
            scale_rule(multiplier, shift)?;
            shape_rule(x == y)
        }
        Params::LogSoftmax { multiplier, shift, reverse_multiplier, reverse_shift, .. } => {
            scale_rule(multiplier, shift)?;
            scale_rule(reverse_multiplier, reverse_shift)?;
            shape_rule(x == y)
        }
        Params::ResizeNearest { rows, columns } => {
            let below = |table: &[[u8; 2]], n| table.iter().all(|i| usize::from(u16::from_le_bytes(*i)) < n);
            let [h, w, c] = x.dims();
            data_rule(below(rows, h) && below(columns, w))?;
            shape_rule(c == y.c as usize)
        }
        _ => shape_rule(x == y),
    }
}

/// Index of the last of `count` elements; `None` for a zero stride.
fn last_index(begin: u32, stride: u32, count: usize) -> Option<usize> {
    let steps = count.checked_sub(1)?.checked_mul(stride as usize)?;
    steps.checked_add(begin as usize).filter(|_| stride > 0)
}

fn check_window(window: &Window, x: Shape, y: Shape) -> Result<usize, Rule> {
    let [h, w, _] = x.dims();
    let [oh, ow, _] = y.dims();
    let size = window.output_size([h, w]).ok_or(Rule::Window)?;
    shape_rule(size == [oh, ow])?;
    let [kh, kw] = window.kernel.map(usize::from);
    kh.checked_mul(kw).ok_or(Rule::Window)
}

/// Every window covers at least one pixel of the input.
fn check_pool(window: &Window, clamp: Clamp, x: Shape, y: Shape) -> Result<(), Rule> {
    check_window(window, x, y)?;
    let ([kh, kw], [top, bottom, left, right]) = (window.kernel, window.padding);
    let padding_fits = top.max(bottom) < kh && left.max(right) < kw;
    if !padding_fits || window.dilation != [1, 1] {
        return Err(Rule::Window);
    }
    shape_rule(x.c == y.c)?;
    clamp_rule(clamp)
}

fn check_linear(linear: &Linear<'_>, positions: usize, channels: usize) -> Result<(), Rule> {
    clamp_rule(linear.clamp)?;
    let scales = linear.multiplier.iter().zip(linear.shift);
    scales.into_iter().try_for_each(|(m, &s)| scale_rule(i32::from_le_bytes(*m), s))?;
    data_rule(linear.weights.fits(linear.bias.len(), positions, channels))
}

fn check_elementwise(e: &Elementwise) -> Result<(), Rule> {
    clamp_rule(e.clamp)?;
    zip3(e.multiplier, e.shift).into_iter().try_for_each(|(m, s)| scale_rule(m, s))?;
    if e.left_shift < 23 { Ok(()) } else { Err(Rule::Quantization) }
}

fn check_rescale(rescale: &Rescale) -> Result<(), Rule> {
    clamp_rule(rescale.clamp)?;
    scale_rule(rescale.multiplier, rescale.shift)
}

/// Each axis of both inputs is the output's or 1, and one of them is the output's.
fn check_broadcast(package: &Package<'_>, layer: &Layer<'_>, y: Shape) -> Result<(), Rule> {
    let [a, b] = layer.inputs.map(|t| package.tensor(t).map(|t| t.shape.dims()));
    let (Some(a), Some(b)) = (a, b) else { return Err(Rule::Tensors) };
    let fits = |((a, b), y)| (a == y && (b == y || b == 1)) || (b == y && a == 1);
    shape_rule(zip3(zip3(a, b), y.dims()).into_iter().all(fits))
}

/// The inputs agree on all axes but one, add up along it and have the output's quantisation.
fn check_concat(package: &Package<'_>, layer: &Layer<'_>, axis: u8, y: &Tensor<'_>) -> Result<(), Rule> {
    let joined = usize::from(axis).checked_sub(1).filter(|&a| a < 3).ok_or(Rule::Data)?;
    let mut total = 0usize;
    for x in layer.input_tensors().filter_map(|t| package.tensor(t)) {
        for (a, (n, m)) in zip3(x.shape.dims(), y.shape.dims()).into_iter().enumerate() {
            if a == joined {
                total = total.checked_add(n).ok_or(Rule::Shape)?;
            } else {
                shape_rule(n == m)?;
            }
        }
        if (x.zero_point, x.scale_bits) != (y.zero_point, y.scale_bits) {
            return Err(Rule::Quantization);
        }
    }
    shape_rule(y.shape.dims().get(joined) == Some(&total))
}

fn zip3<A: Copy, B: Copy>(a: [A; 3], b: [B; 3]) -> [(A, B); 3] {
    let ([a0, a1, a2], [b0, b1, b2]) = (a, b);
    [(a0, b0), (a1, b1), (a2, b2)]
}

fn shape_rule(holds: bool) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(Rule::Shape) }
}

fn data_rule(holds: bool) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(Rule::Data) }
}

fn clamp_rule(clamp: Clamp) -> Result<(), Rule> {
    if clamp.min <= clamp.max { Ok(()) } else { Err(Rule::Quantization) }
}

fn scale_rule(multiplier: i32, shift: i8) -> Result<(), Rule> {
    if multiplier >= 0 && (-31..=30).contains(&shift) { Ok(()) } else { Err(Rule::Quantization) }
}
