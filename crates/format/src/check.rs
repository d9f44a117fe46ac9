//! The rules that a package must keep, checked once at load.

use core::ops::Range;

use crate::layer::{Opcode, Storage};
use crate::tensor::ARENA_ALIGNMENT;
use crate::{
    Clamp, Elementwise, FormatError, Linear, NO_TENSOR, Package, Params, Place, Record, Rescale, Rule, Shape,
    Tensor, Window,
};

/// Checks everything but the header.
pub(crate) fn check(package: &Package<'_>) -> Result<(), FormatError> {
    if !package.has_tables() || !package.has_port_table() {
        return Err(FormatError::Header);
    }
    let header = package.header();
    for i in 0..header.tensor_count {
        check_tensor(package, i).ok_or(FormatError::Tensor(i))?;
    }
    let mut i = 0;
    while let Some(port) = package.port(usize::from(i)) {
        if !matches!(&package.tensor(port), Some(Tensor { place: Place::Arena(_), .. })) {
            return Err(FormatError::Port(i));
        }
        i = i.saturating_add(1);
    }
    for i in 0..header.layer_count {
        if package.record(i).is_some_and(|layer| !layer.opcode.is_built()) {
            return Err(FormatError::Operator(i));
        }
        check_layer(package, i).map_err(|rule| FormatError::Layer(i, rule))?;
    }
    if cfg!(feature = "host") { check_host_sections(package) } else { Ok(()) }
}

fn check_tensor(package: &Package<'_>, index: u16) -> Option<()> {
    let Some(tensor) = &package.tensor(index) else { return None };
    match tensor.arena_range() {
        Some(range) => (range.end <= package.arena_bytes()).then_some(()),
        None => matches!(tensor.place, Place::Constant(_)).then_some(()),
    }
}

fn check_host_sections(package: &Package<'_>) -> Result<(), FormatError> {
    let h = package.header();
    let ports = usize::from(h.input_count) + usize::from(h.output_count);
    let preprocessing = h.preprocessing == 0 || package.preprocessing().is_some();
    let port_info = h.port_info == 0 || package.port_info().count() == ports;
    let names = h.names == 0 || package.names().count() == usize::from(h.layer_count) + 1;
    if preprocessing && port_info && names { Ok(()) } else { Err(FormatError::HostSection) }
}

#[inline(never)]
fn check_layer(package: &Package<'_>, index: u16) -> Result<(), Rule> {
    // Borrowed where they are: copies would take code and stack.
    let Some(layer) = &package.record(index) else { return Err(Rule::Opcode) };
    let Some(y) = &package.tensor(layer.output) else { return Err(Rule::Tensors) };
    check_memory(package, layer, y)?;
    let Some(x) = &package.input_of(layer, 0).and_then(|x| package.tensor(x)) else {
        return Err(Rule::Tensors);
    };
    if layer.opcode.has_weights() || layer.opcode.pools() {
        return check_windowed(package, layer, x.shape, y.shape);
    }
    let Some(params) = &package.params(layer) else { return Err(Rule::Record) };
    check_params(package, (layer, params), x, y)
}

/// There are as many inputs as the operator takes, and output and scratch overlap nothing else, except that some
/// operators work in place.
#[inline(never)]
fn check_memory(package: &Package<'_>, layer: &Record, y: &Tensor<'_>) -> Result<(), Rule> {
    let opcode = layer.opcode;
    let arity = opcode.arity();
    let [a, b] = layer.inputs;
    if (a == NO_TENSOR) != (arity == 0) || (b == NO_TENSOR) != (arity < 2) {
        return Err(Rule::Tensors);
    }
    let written = y.arena_range().ok_or(Rule::Tensors)?;
    let scratch = scratch_range(package, layer).ok_or(Rule::Overlap)?;
    if overlap(&written, &scratch) {
        return Err(Rule::Overlap);
    }
    let (mut k, mut in_place) = (0, opcode.works_in_place());
    while let Some(index) = package.input_of(layer, k) {
        let Some(x) = &package.tensor(index) else { return Err(Rule::Tensors) };
        k += 1;
        let Some(read) = x.arena_range() else { continue };
        if overlap(&read, &scratch) {
            return Err(Rule::Overlap);
        }
        if overlap(&read, &written) {
            // One input at most, and all of it.
            let shape = same(x.shape, y.shape) || opcode == Opcode::Reshape;
            if !in_place || read != written || !shape {
                return Err(Rule::Overlap);
            }
            in_place = false;
        }
    }
    Ok(())
}

fn same(a: Shape, b: Shape) -> bool {
    a.h == b.h && a.w == b.w && a.c == b.c
}

fn scratch_range(package: &Package<'_>, layer: &Record) -> Option<Range<usize>> {
    let start = layer.scratch.offset as usize;
    let end = start.checked_add(layer.scratch.len as usize)?;
    (end <= package.arena_bytes() && start.is_multiple_of(ARENA_ALIGNMENT)).then_some(start..end)
}

#[inline(never)]
fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end
}

/// The operators with weights or a window; a fully connected layer has a window of one pixel.
#[inline(always)]
fn check_windowed(p: &Package<'_>, layer: &Record, x: Shape, y: Shape) -> Result<(), Rule> {
    let Some(window) = &p.window(layer) else { return Err(Rule::Record) };
    let positions = check_window(window, x, y)?;
    if layer.opcode.pools() {
        let Some((clamp, _)) = p.pool(layer) else { return Err(Rule::Record) };
        check_pool(window, clamp)?;
        return shape_rule(x.c == y.c);
    }
    let Some(linear) = &p.linear(layer, y) else { return Err(Rule::Record) };
    let mut channels = x.c as usize;
    if Opcode::DepthwiseConv2d.is_built() && layer.opcode == Opcode::DepthwiseConv2d {
        shape_rule(y.c.is_multiple_of(x.c))?;
        data_rule(linear.weights.storage() == Storage::Dense)?;
        channels = 1;
    }
    check_linear(linear, positions, channels)
}

/// The other operators.
#[inline]
fn check_params(
    p: &Package<'_>,
    (layer, params): (&Record, &Params<'_>),
    x: &Tensor<'_>,
    y: &Tensor<'_>,
) -> Result<(), Rule> {
    match params {
        Params::Reshape => shape_rule(x.shape.elements() == y.shape.elements()),
        Params::Add(e) | Params::Sub(e) if Opcode::Add.is_built() => {
            check_elementwise(e)?;
            check_broadcast(p, layer, y.shape)
        }
        Params::Mul(rescale) if Opcode::Mul.is_built() => {
            check_rescale(rescale)?;
            check_broadcast(p, layer, y.shape)
        }
        Params::Concat { axis, .. } if Opcode::Concat.is_built() => check_concat(p, layer, *axis, y),
        &Params::Mean { axes, multiplier, shift } if Opcode::Mean.is_built() => {
            let kept = [0, 1, 2].map(|a| axes >> a & 1 == 0);
            let dims = zip3(x.shape.dims(), kept).map(|(d, keep)| if keep { d } else { 1 });
            shape_rule(axes < 8 && dims == y.shape.dims())?;
            scale_rule(multiplier, shift)
        }
        Params::Requantize(rescale) if Opcode::Requantize.is_built() => {
            check_rescale(rescale)?;
            shape_rule(same(x.shape, y.shape))
        }
        Params::Lut(_) if Opcode::Lut.is_built() => shape_rule(same(x.shape, y.shape)),
        &Params::Softmax { multiplier, shift, .. } if Opcode::Softmax.is_built() => {
            data_rule(shift >= 0)?;
            scale_rule(multiplier, shift)?;
            shape_rule(same(x.shape, y.shape))
        }
        &Params::LogSoftmax { multiplier, shift, reverse_multiplier, reverse_shift, .. }
            if Opcode::LogSoftmax.is_built() =>
        {
            scale_rule(multiplier, shift)?;
            scale_rule(reverse_multiplier, reverse_shift)?;
            shape_rule(same(x.shape, y.shape))
        }
        params if Opcode::Transpose.is_built() => check_movement(params, x.shape, y.shape),
        _ => Err(Rule::Opcode),
    }
}

/// The operators that move elements.
fn check_movement(params: &Params<'_>, x: Shape, y: Shape) -> Result<(), Rule> {
    match *params {
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
        Params::ResizeNearest { rows, columns } => {
            let below = |table: &[[u8; 2]], n| table.iter().all(|i| usize::from(u16::from_le_bytes(*i)) < n);
            let [h, w, c] = x.dims();
            data_rule(below(rows, h) && below(columns, w))?;
            shape_rule(c == y.c as usize)
        }
        _ => Err(Rule::Opcode),
    }
}

/// Index of the last of `count` elements; `None` for a zero stride.
fn last_index(begin: u32, stride: u32, count: usize) -> Option<usize> {
    let steps = count.checked_sub(1)?.checked_mul(stride as usize)?;
    steps.checked_add(begin as usize).filter(|_| stride > 0)
}

#[inline(never)]
fn check_window(window: &Window, x: Shape, y: Shape) -> Result<usize, Rule> {
    let [h, w, _] = x.dims();
    let (oh, ow) = (window.rows(h).ok_or(Rule::Window)?, window.columns(w).ok_or(Rule::Window)?);
    shape_rule(oh == usize::from(y.h) && ow == y.w as usize)?;
    let [kh, kw] = window.kernel.map(usize::from);
    kh.checked_mul(kw).ok_or(Rule::Window)
}

/// Every window covers at least one pixel of the input.
#[inline(always)]
fn check_pool(window: &Window, clamp: Clamp) -> Result<(), Rule> {
    let ([kh, kw], [top, bottom, left, right]) = (window.kernel, window.padding);
    let ([dh, dw], padding_fits) = (window.dilation, top.max(bottom) < kh && left.max(right) < kw);
    if !padding_fits || dh != 1 || dw != 1 {
        return Err(Rule::Window);
    }
    clamp_rule(clamp)
}

#[inline(never)]
fn check_linear(linear: &Linear<'_>, positions: usize, channels: usize) -> Result<(), Rule> {
    clamp_rule(linear.clamp)?;
    for (m, s) in linear.multiplier.iter().zip(linear.shift) {
        scale_rule(i32::from_le_bytes(*m), *s)?;
    }
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
fn check_broadcast(package: &Package<'_>, layer: &Record, y: Shape) -> Result<(), Rule> {
    let [a, b] = layer.inputs.map(|t| package.tensor(t).map(|t| t.shape.dims()));
    let (Some(a), Some(b)) = (a, b) else { return Err(Rule::Tensors) };
    let fits = |((a, b), y)| (a == y && (b == y || b == 1)) || (b == y && a == 1);
    shape_rule(zip3(zip3(a, b), y.dims()).into_iter().all(fits))
}

/// The inputs agree on all axes but one, add up along it and have the output's quantisation.
fn check_concat(package: &Package<'_>, layer: &Record, axis: u8, y: &Tensor<'_>) -> Result<(), Rule> {
    let joined = usize::from(axis).checked_sub(1).filter(|&a| a < 3).ok_or(Rule::Data)?;
    let mut total = 0usize;
    let inputs = (0..).map_while(|k| package.input_of(layer, k));
    for x in inputs.filter_map(|t| package.tensor(t)) {
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
