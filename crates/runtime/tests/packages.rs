//! Packages written by hand, run in guarded arenas.

use std::collections::BTreeSet;

use dtmm_format::{
    Clamp, Elementwise, Layer, Linear, NO_TENSOR, Opcode, Package, Params, Place, Rescale, Scratch, Shape,
    Tensor, Weights, Window, Writer, header, le16, le32,
};
use dtmm_kernels::{Operand, reference as kernel, requantize::multiply};
use dtmm_runtime::{RunError, Runtime};
use proptest::prelude::*;

const IDENTITY: Rescale = Rescale { multiplier: 1 << 30, shift: 1, clamp: Clamp::NONE };

fn arena_tensor([h, w, c]: [u32; 3], zero_point: i8, offset: u32) -> Tensor<'static> {
    let shape = Shape { h: h as u16, w, c };
    Tensor { shape, zero_point, scale_bits: 1f32.to_bits(), place: Place::Arena(offset) }
}

fn plain(input: u16, output: u16, params: Params<'_>) -> Layer<'_> {
    Layer { inputs: [input, NO_TENSOR], output, scratch: Scratch::default(), params }
}

/// A package in the making, whose tensors follow one another in the arena.
struct Draft {
    writer: Writer,
    next: u32,
}

impl Draft {
    const ARENA: u32 = 2048;

    fn new() -> Self {
        Draft { writer: Writer::new(Self::ARENA), next: 0 }
    }

    fn tensor(&mut self, dims: [u32; 3], zero_point: i8) -> u16 {
        let offset = self.next;
        self.next += dims.iter().product::<u32>().next_multiple_of(4);
        self.writer.tensor(&arena_tensor(dims, zero_point, offset)).unwrap()
    }

    fn layer(&mut self, input: u16, dims: [u32; 3], zero_point: i8, params: Params<'_>) -> u16 {
        let output = self.tensor(dims, zero_point);
        self.writer.layer(&plain(input, output, params)).unwrap();
        output
    }

    fn finish(mut self, inputs: &[u16], outputs: &[u16]) -> Vec<u8> {
        self.writer.inputs(inputs);
        self.writer.outputs(outputs);
        self.writer.finish().unwrap()
    }
}

/// Runs a package with its inputs filled by `fill(input, element)`; all outputs.
fn run(bytes: &[u8], fill: impl Fn(usize, usize) -> i8) -> Vec<Vec<i8>> {
    let package = Package::check(bytes).unwrap();
    let mut memory = vec![0x5A; package.arena_bytes() + 16];
    let end = package.arena_bytes() + 8;
    let mut runtime = Runtime::new(package, &mut memory[8..end]).unwrap();
    for i in 0..package.inputs().count() {
        runtime.input_mut(i).iter_mut().enumerate().for_each(|(at, x)| *x = fill(i, at));
    }
    runtime.run().unwrap();
    let outputs = (0..package.outputs().count()).map(|i| runtime.output(i).to_vec()).collect();
    assert!(memory[..8].iter().chain(&memory[end..]).all(|b| *b == 0x5A), "written outside the arena");
    outputs
}

const ELEMENTWISE: Elementwise =
    Elementwise { multiplier: [1 << 30; 3], shift: [0, 0, -18], left_shift: 20, clamp: Clamp::NONE };
const WINDOW: Window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], padding: [0; 4] };

/// A package with every operator, one after the other where shapes allow.
fn every_operator() -> Vec<u8> {
    let (bias, multiplier) = (le32(&[10, -20]), le32(&[1 << 30]));
    let values: Vec<i8> = (0..36i32).map(|i| (i * 5 - 90) as i8).collect();
    let linear = Linear {
        clamp: Clamp::NONE,
        bias: &bias,
        multiplier: &multiplier,
        shift: &[-6],
        weights: Weights::Dense(&values),
    };
    let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1; 4] };
    let mut d = Draft::new();
    let x = d.tensor([4, 6, 2], -3);
    let dense = d.layer(x, [4, 6, 2], 5, Params::Conv2d { window, linear });
    // Runs of one channel, every third one stored.
    let (bitmap, gaps) = ([0b0100_1001, 0b1001_0010, 0b0010_0100, 0b0100_1001, 2], [0, 3, 27]);
    let bitmap = Weights::Bitmap { group: 1, bitmap: &bitmap, runs: &values[..12] };
    let sparse =
        d.layer(dense, [4, 6, 2], 5, Params::Conv2d { window, linear: Linear { weights: bitmap, ..linear } });
    let gaps = Weights::Gaps { group: 1, gaps: &gaps, runs: &values[..3] };
    let sparse =
        d.layer(sparse, [4, 6, 2], 5, Params::Conv2d { window, linear: Linear { weights: gaps, ..linear } });
    let weights = Weights::Dense(&values[..18]);
    let depthwise = Params::DepthwiseConv2d { window, linear: Linear { weights, ..linear } };
    let depthwise = d.layer(sparse, [4, 6, 2], 5, depthwise);
    let sum = d.tensor([4, 6, 2], 0);
    for (params, a, b) in [
        (Params::Add(ELEMENTWISE), dense, depthwise),
        (Params::Sub(ELEMENTWISE), dense, sum),
        (Params::Mul(Rescale { shift: -6, ..IDENTITY }), sum, sparse),
    ] {
        d.writer.layer(&Layer { inputs: [a, b], ..plain(a, sum, params) }).unwrap();
    }
    let list = le16(&[sum, sum]);
    let joined = d.tensor([4, 12, 2], 0);
    let concat =
        Layer { inputs: [NO_TENSOR; 2], ..plain(0, joined, Params::Concat { axis: 2, inputs: &list }) };
    d.writer.layer(&concat).unwrap();
    let t = d.layer(joined, [2, 6, 2], 0, Params::MaxPool { window: WINDOW, clamp: Clamp::NONE });
    let average = Params::AveragePool { window: WINDOW, clamp: Clamp::NONE, count_include_pad: true };
    let average = d.layer(t, [1, 3, 2], 0, average);
    let t = d.layer(average, [2, 3, 1], 0, Params::Transpose { perm: [2, 1, 0] });
    let t = d.layer(t, [4, 4, 1], 0, Params::Pad { before: [1, 0, 0], value: 7 });
    let t = d.layer(t, [2, 2, 1], 0, Params::Slice { begin: [0, 1, 0], stride: [2, 2, 1] });
    let (rows, columns) = (le16(&[0, 0, 1]), le16(&[1, 0, 1, 1]));
    let t = d.layer(t, [3, 4, 1], 0, Params::ResizeNearest { rows: &rows, columns: &columns });
    let t = d.layer(t, [1, 1, 12], 0, Params::Reshape);
    let table: Vec<i8> = (0..=255u8).map(|b| !b as i8).collect();
    let t = d.layer(t, [1, 1, 12], 0, Params::Lut(&table));
    let t = d.layer(t, [1, 1, 12], 4, Params::Requantize(IDENTITY));
    let product = Linear { weights: Weights::Dense(&values[..24]), ..linear };
    let logits = d.layer(t, [1, 1, 2], 1, Params::FullyConnected { linear: product });
    let mean = d.layer(joined, [1, 1, 2], 0, Params::Mean { axes: 3, multiplier: 1 << 30, shift: -4 });
    let softmax = Params::Softmax { multiplier: 1 << 30, shift: 22, diff_min: -255 };
    let softmax = d.layer(logits, [1, 1, 2], -128, softmax);
    let log = Params::LogSoftmax {
        multiplier: 1 << 30,
        shift: 22,
        reverse_multiplier: 1 << 30,
        reverse_shift: -20,
        diff_min: -255,
    };
    let log = d.layer(logits, [1, 1, 2], 127, log);
    d.finish(&[x], &[mean, softmax, log, sum])
}

#[test]
fn every_operator_runs_and_repeats() {
    let bytes = every_operator();
    let package = Package::check(&bytes).unwrap();
    let used: BTreeSet<u8> = package.layers().map(|l| l.params.opcode().byte()).collect();
    assert_eq!(used.len(), Opcode::ALL.len(), "an operator is missing in the package");
    let fill = |_, at: usize| (at * 37) as i8;
    let outputs = run(&bytes, fill);
    assert_eq!(run(&bytes, fill), outputs);
    assert_ne!(run(&bytes, |_, at| (at * 91) as i8), outputs);
    let [p0, p1] = outputs[1][..] else { panic!("two classes") };
    assert!(
        (i32::from(p0) + i32::from(p1)).abs() <= 1,
        "probabilities {p0} {p1} do not sum to 256 - 2 * 128"
    );
}

/// Both outputs come out of two inputs and a constant, by hand.
#[test]
fn several_inputs_constants_and_outputs() {
    let mut d = Draft::new();
    let (a, b) = (d.tensor([1, 2, 2], 0), d.tensor([1, 2, 2], 0));
    let data = [10, 20];
    let constant = Tensor { place: Place::Constant(&data), ..arena_tensor([1, 1, 2], 0, 0) };
    let constant = d.writer.tensor(&constant).unwrap();
    let (scaled, joined) = (d.tensor([1, 2, 2], 0), d.tensor([1, 2, 6], 0));
    d.writer.layer(&Layer { inputs: [a, constant], ..plain(a, scaled, Params::Mul(IDENTITY)) }).unwrap();
    let inputs = le16(&[b, scaled, a]);
    let concat =
        Layer { inputs: [NO_TENSOR; 2], ..plain(0, joined, Params::Concat { axis: 3, inputs: &inputs }) };
    d.writer.layer(&concat).unwrap();
    let bytes = d.finish(&[a, b], &[joined, scaled]);
    let outputs = run(&bytes, |input, at| (input * 50 + at) as i8);
    assert_eq!(outputs[1], [0, 20, 20, 60]);
    assert_eq!(outputs[0], [50, 51, 0, 20, 0, 1, 52, 53, 20, 60, 2, 3]);
}

#[test]
fn works_in_place_and_around_scratch() {
    let pack = |output: u32, scratch: u32| {
        let mut w = Writer::new(64);
        let x = w.tensor(&arena_tensor([1, 1, 8], 3, 16)).unwrap();
        let y = w.tensor(&arena_tensor([1, 1, 8], -5, output)).unwrap();
        let scratch = Scratch { offset: scratch, len: 8 };
        let params =
            Params::Requantize(Rescale { multiplier: 1 << 30, shift: 0, clamp: Clamp { min: -60, max: 60 } });
        w.layer(&Layer { scratch, ..plain(x, y, params) }).unwrap();
        w.inputs(&[x]);
        w.outputs(&[y]);
        w.finish().unwrap()
    };
    let expected: Vec<i8> =
        (0..8).map(|at| (multiply(at * 30 - 125, 1 << 30, 0) - 5).clamp(-60, 60) as i8).collect();
    // Output in place, before and behind the input; scratch before, between and behind.
    for (output, scratch) in [(16, 0), (16, 24), (0, 8), (0, 24), (40, 0), (40, 24), (40, 56), (24, 32)] {
        let outputs = run(&pack(output, scratch), |_, at| (at as i32 * 30 - 122) as i8);
        assert_eq!(outputs[0], expected, "output at {output}, scratch at {scratch}");
    }
}

#[test]
fn the_hook_sees_every_layer() {
    let bytes = every_operator();
    let package = Package::check(&bytes).unwrap();
    let mut arena = vec![0; package.arena_bytes()];
    let mut runtime = Runtime::new(package, &mut arena).unwrap();
    let mut seen = Vec::new();
    runtime.run_with(&mut |index: u16, output: &[i8]| seen.push((index, output.len()))).unwrap();
    let expected: Vec<(u16, usize)> = (0..)
        .zip(package.layers())
        .map(|(i, l)| (i, package.tensor(l.output).unwrap().shape.elements().unwrap()))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_short_arena_is_refused() {
    let bytes = every_operator();
    let package = Package::check(&bytes).unwrap();
    let (needed, given) = (package.arena_bytes(), package.arena_bytes() - 1);
    let refused = Runtime::new(package, &mut vec![0; given]).err();
    assert_eq!(refused, Some(RunError::ArenaTooSmall { needed, given }));
}

/// The whole chain against the kernels called directly.
#[test]
fn layers_equal_direct_kernel_calls() {
    let mut d = Draft::new();
    let x = d.tensor([2, 2, 3], 0);
    let y = d.layer(x, [2, 2, 3], 9, Params::Requantize(Rescale { shift: 0, ..IDENTITY }));
    let table: Vec<i8> = (0..=255u8).map(|b| (b >> 1) as i8).collect();
    let z = d.layer(y, [2, 2, 3], 0, Params::Lut(&table));
    let bytes = d.finish(&[x], &[z]);
    let found = run(&bytes, |_, at| (at as i32 * 11 - 60) as i8);
    let mut values: Vec<i8> = (0..12i32).map(|at| (at * 11 - 60) as i8).collect();
    let rescale = dtmm_kernels::Rescale { multiplier: 1 << 30, shift: 0, clamp: dtmm_kernels::Clamp::NONE };
    kernel::requantize_s8(&rescale, [0, 9], Operand::Output, &mut values).unwrap();
    kernel::lut_s8(&table, Operand::Output, &mut values).unwrap();
    assert_eq!(found[0], values);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 3000 }))]

    /// A changed package is refused, or runs inside its arena; it never panics and no kernel refuses a layer.
    #[test]
    fn changed_packages_stay_inside_their_memory(
        changes in prop::collection::vec((any::<usize>(), prop_oneof![any::<u8>(), Just(0), Just(255), Just(1)]), 1..4),
    ) {
        let mut bytes = every_operator();
        for (at, value) in changes {
            let at = 16 + at % (bytes.len() - 16);
            bytes[at] = value;
        }
        header::seal(&mut bytes).unwrap();
        let Ok(package) = Package::check(&bytes) else { return Ok(()) };
        prop_assume!(package.arena_bytes() < 1 << 20);
        run(&bytes, |_, at| at as i8);
    }
}
