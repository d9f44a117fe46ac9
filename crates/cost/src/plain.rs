//! What the operators without weights do.

use crate::Kernel;
use crate::division::{self, Divisions};
use crate::layer::Layer;
use crate::work::{Feature, Work};

/// Any operator without weights.
pub(crate) fn plain(layer: &Layer, work: &mut Work) {
    let [h, w, c] = layer.output;
    let (outputs, pixels) = ((h * w * c) as f64, (h * w) as f64);
    work.add(Feature::Outputs, outputs);
    if !moves_elements(layer.kernel) {
        work.add(Feature::Pixels, pixels);
        work.add(
            Feature::Inputs,
            layer.inputs.iter().map(|i| i.iter().product::<usize>()).sum::<usize>() as f64,
        );
        work.add(Feature::Tails, pixels * (c % 4) as f64);
        if layer.kernel != Kernel::Concat {
            work.add(Feature::Pieces, h as f64);
        }
    }
    match layer.kernel {
        Kernel::Add | Kernel::Sub | Kernel::Mul => {
            work.add(Feature::Quads, (outputs / 4.0).ceil());
            if layer.inputs.iter().any(|i| *i != layer.output) {
                work.add(Feature::Repeated, outputs);
                work.add(Feature::RepeatedPixels, pixels);
                work.add(Feature::RepeatedQuads, pixels * c.div_ceil(4) as f64);
            }
        }
        Kernel::Requantize | Kernel::Lut => {
            work.add(Feature::Quads, (outputs / 4.0).ceil());
            work.add(Feature::Vectors, (outputs / 16.0).ceil());
        }
        Kernel::Transpose | Kernel::Slice | Kernel::ResizeNearest => division::positions(layer.output, work),
        Kernel::Pad => pad(layer, work),
        Kernel::MaxPool | Kernel::AveragePool => pool(layer, work),
        Kernel::Mean => mean(layer, work),
        Kernel::Concat => concat(layer, work),
        _ => {}
    }
}

/// Whether one element after the other finds its place, whatever the shape.
fn moves_elements(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Transpose | Kernel::Slice | Kernel::Pad | Kernel::ResizeNearest)
}

/// Elements of the border are known by their row before the column is looked at.
fn pad(layer: &Layer, work: &mut Work) {
    let ([ih, iw, ic], [oh, ow, oc]) = (layer.input(), layer.output);
    division::positions(layer.output, work);
    work.add(Feature::Inputs, (ih * iw * ic) as f64);
    let rows = oh.saturating_sub(ih) * ow * oc;
    work.add(Feature::BorderRows, rows as f64);
    work.add(Feature::BorderColumns, (oh * ow * oc).saturating_sub(rows + ih * iw * ic) as f64);
}

/// From so many bytes on, memory is filled by words.
const FILL_BY_WORDS: usize = 16;

fn pool(layer: &Layer, work: &mut Work) {
    let ([h, w, c], [oh, ow, _], window) = (layer.input(), layer.output, &layer.window);
    let covered = |axis, n: usize, size| (0..n).map(|i| window.covered(axis, i, size)).sum::<usize>();
    let (rows, columns) = (covered(0, oh, h), covered(1, ow, w));
    let (pixels, taps, vectors) = (oh * ow, rows * columns, c.div_ceil(16));
    work.add(Feature::Vectors, (pixels * vectors) as f64);
    work.add(Feature::Quads, (pixels * c.div_ceil(4)) as f64);
    work.add(Feature::WindowRows, (rows * ow * c) as f64);
    work.add(Feature::WindowTaps, (taps * c) as f64);
    work.add(Feature::WindowLines, (rows * ow) as f64);
    work.add(Feature::QuadRows, (rows * ow * c.div_ceil(4)) as f64);
    work.add(Feature::WindowPixels, taps as f64);
    work.add(Feature::WindowVectors, (taps * vectors) as f64);
    work.add(Feature::TapQuads, (taps * (c / 4)) as f64);
    work.add(Feature::TapTails, (taps * (c % 4)) as f64);
    if layer.kernel == Kernel::AveragePool {
        stretches((0..ow).map(|i| window.covered(1, i, w)), (rows * c) as f64, work);
        return Divisions::of(pixels, ow).add_to(work);
    }
    let (words, bytes) = if c < FILL_BY_WORDS { (0, c) } else { (c / 4, c % 4) };
    work.add(Feature::FilledWords, (pixels * words) as f64);
    work.add(Feature::FilledBytes, (pixels * bytes) as f64);
}

/// Sums of neighbouring pixels, four at a time.
fn stretches(lengths: impl Iterator<Item = usize>, times: f64, work: &mut Work) {
    for length in lengths {
        work.add(Feature::LongStretches, times * f64::from(u8::from(length >= 4)));
        work.add(Feature::StretchFours, times * (length / 4) as f64);
        work.add(Feature::StretchRests, times * (length % 4) as f64);
    }
}

fn mean(layer: &Layer, work: &mut Work) {
    let ([h, w, c], output) = (layer.input(), layer.output);
    let elements: usize = output.iter().product();
    let reduced = |axis: usize, size: usize| if output[axis] == 1 { size } else { 1 };
    let rows = elements * reduced(0, h);
    work.add(Feature::WindowRows, rows as f64);
    work.add(Feature::WindowTaps, (rows * reduced(1, w)) as f64);
    work.add(Feature::Operands, (h * w) as f64);
    work.add(Feature::Tails, (h * w * (c % 4)) as f64);
    work.add(Feature::Vectors, (h * w * c.div_ceil(16)) as f64);
    work.add(Feature::QuadRows, (h * c.div_ceil(4)) as f64);
    work.add(Feature::Quads, (h * w * c.div_ceil(4)) as f64);
}

/// Each input in stretches that lie together in the output, copied word by word where possible.
fn concat(layer: &Layer, work: &mut Work) {
    work.add(Feature::Operands, layer.inputs.len() as f64);
    let differs = |axis: &usize| layer.inputs.iter().any(|i| i[*axis] != layer.output[*axis]);
    let axis = (0..3).find(differs).unwrap_or(2);
    for input in &layer.inputs {
        let (pieces, len): (usize, usize) = (input[..axis].iter().product(), input[axis..].iter().product());
        work.add(Feature::Pieces, pieces as f64);
        work.add(Feature::Tails, (pieces * (len % 4)) as f64);
        work.add(Feature::Quads, (pieces * (len / 4)) as f64);
        work.add(Feature::Vectors, (pieces * (len / 16)) as f64);
    }
}
