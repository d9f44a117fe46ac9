//! A package of one layer, its input, and the right output.

use dtmm_format::{ALIGNMENT, Layer, NO_TENSOR, Package, Params, Place, Scratch, Shape, Tensor, Writer};
use dtmm_runtime::Runtime;

/// A package of one layer with an input and the output that the reference kernels give for it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What it computes, in words.
    pub name: String,
    /// The package.
    pub package: Vec<u8>,
    /// The values of all inputs, NHWC int8, one input after another.
    pub input: Vec<i8>,
    /// The right output, NHWC int8.
    pub expected: Vec<i8>,
    /// Multiplications of the layer when dense; 0 for operators without weights.
    pub dense_macs: u64,
}

/// A tensor's `[h, w, c]` and zero point.
pub(crate) type Activation = ([usize; 3], i8);

/// The layer before it is a package.
pub(crate) struct Draft<'a> {
    pub name: String,
    pub inputs: Vec<(Activation, Vec<i8>)>,
    pub output: Activation,
    pub params: Params<'a>,
    /// Scratch memory that the layer's fastest kernel needs.
    pub scratch: usize,
    pub dense_macs: u64,
}

impl Draft<'_> {
    /// Writes the package; without scratch memory the reference kernels run, whose output is the right one.
    pub fn finish(self) -> Problem {
        let package = self.package(self.scratch);
        let input: Vec<i8> = self.inputs.iter().flat_map(|(_, values)| values).copied().collect();
        let expected = run(&self.package(0), &input);
        Problem { name: self.name, package, input, expected, dense_macs: self.dense_macs }
    }

    fn package(&self, scratch: usize) -> Vec<u8> {
        let places: Vec<&Activation> = self.inputs.iter().map(|(a, _)| a).chain([&self.output]).collect();
        let mut at = 0;
        let mut offsets = vec![];
        for activation in &places {
            offsets.push(at);
            at = next(at, activation);
        }
        let mut writer = Writer::new((at + scratch) as u32);
        for (&(shape, zero_point), &offset) in places.iter().zip(&offsets) {
            let tensor = tensor(*shape, *zero_point, offset);
            writer.tensor(&tensor).expect("few tensors");
        }
        let last = self.inputs.len() as u16;
        let concat = matches!(self.params, Params::Concat { .. });
        let input = |i: u16| if i < last && !concat { i } else { NO_TENSOR };
        let scratch = Scratch { offset: if scratch > 0 { at as u32 } else { 0 }, len: scratch as u32 };
        let layer = Layer { inputs: [input(0), input(1)], output: last, scratch, params: self.params };
        writer.layer(&layer).expect("one layer");
        writer.inputs(&(0..last).collect::<Vec<_>>());
        writer.outputs(&[last]);
        writer.finish().unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

/// Where the next tensor begins.
fn next(at: usize, (shape, _): &Activation) -> usize {
    (at + shape.iter().product::<usize>()).next_multiple_of(ALIGNMENT)
}

fn tensor([h, w, c]: [usize; 3], zero_point: i8, offset: usize) -> Tensor<'static> {
    let shape = Shape { h: h as u16, w: w as u32, c: c as u32 };
    Tensor { shape, zero_point, scale_bits: 1f32.to_bits(), place: Place::Arena(offset as u32) }
}

/// The package's first output.
fn run(package: &[u8], input: &[i8]) -> Vec<i8> {
    let package = Package::check(package).expect("the writer has checked it");
    let mut arena = vec![0; package.arena_bytes()];
    let mut runtime = Runtime::new(package, &mut arena).expect("the arena has its size");
    let mut rest = input;
    for i in 0..package.inputs().count() {
        let place = runtime.input_mut(i);
        let (values, after) = rest.split_at(place.len());
        place.copy_from_slice(values);
        rest = after;
    }
    runtime.run().expect("a checked package runs");
    runtime.output(0).to_vec()
}
