//! What the operators without weights do.

use crate::Kernel;
use crate::layer::Layer;
use crate::work::{Feature, Work};

/// Any operator without weights.
pub(crate) fn plain(layer: &Layer, work: &mut Work) {
    let [h, w, c] = layer.output;
    let (outputs, pixels) = ((h * w * c) as f64, (h * w) as f64);
    let inputs: usize = layer.inputs.iter().map(|i| i.iter().product::<usize>()).sum();
    work.add(Feature::Outputs, outputs);
    work.add(Feature::Inputs, inputs as f64);
    work.add(Feature::Positions, outputs * (2.0 + outputs).log2());
    work.add(Feature::Pixels, pixels);
    work.add(Feature::Tails, pixels * (c % 4) as f64);
    if layer.kernel != Kernel::Concat {
        work.add(Feature::Pieces, h as f64);
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
        Kernel::MaxPool | Kernel::AveragePool => pool(layer, work),
        Kernel::Mean => mean(layer, work),
        Kernel::Concat => concat(layer, work),
        _ => {}
    }
}

fn pool(layer: &Layer, work: &mut Work) {
    let ([h, w, c], [oh, ow, _], window) = (layer.input(), layer.output, &layer.window);
    let covered = |axis, n: usize, size| (0..n).map(|i| window.covered(axis, i, size)).sum::<usize>();
    let (rows, columns) = (covered(0, oh, h), covered(1, ow, w));
    let vectors = c.div_ceil(16);
    work.add(Feature::Vectors, (oh * ow * vectors) as f64);
    work.add(Feature::Quads, (oh * ow * c.div_ceil(4)) as f64);
    work.add(Feature::WindowRows, (rows * ow * c) as f64);
    work.add(Feature::WindowTaps, (rows * columns * c) as f64);
    work.add(Feature::PatchRows, (rows * ow) as f64);
    work.add(Feature::TurnedTaps, (rows * columns) as f64);
    work.add(Feature::TurnedVectors, (rows * columns * vectors) as f64);
    work.add(Feature::GroupPlanes, (rows * columns * c.div_ceil(4)) as f64);
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
