//! Damaged and impossible packages are refused with the right reason, and never cause a panic.

use dtmm_format::{
    Clamp, FormatError, Layer, Linear, NO_TENSOR, Package, Params, Place, Rescale, Rule, Scratch, Shape,
    Tensor, Weights, Window, WriteError, Writer, header, layer, le32, tensor,
};
use proptest::prelude::*;

const ARENA: u32 = 256;

fn tensor_at(h: u16, w: u32, c: u32, offset: u32) -> Tensor<'static> {
    let shape = Shape { h, w, c };
    Tensor { shape, zero_point: 0, scale_bits: 0, place: Place::Arena(offset) }
}

/// One layer from `x` to `y`, with the given parameters and scratch memory.
fn one_layer(
    x: Tensor<'_>,
    y: Tensor<'_>,
    params: Params<'_>,
    scratch: Scratch,
) -> Result<Vec<u8>, WriteError> {
    let mut w = Writer::new(ARENA);
    let (input, output) = (w.tensor(&x)?, w.tensor(&y)?);
    w.layer(&Layer { inputs: [input, NO_TENSOR], output, scratch, params })?;
    w.inputs(&[input]);
    w.outputs(&[output]);
    w.finish()
}

fn rule(result: Result<Vec<u8>, WriteError>) -> Option<Rule> {
    match result {
        Err(WriteError::Invalid(FormatError::Layer(0, rule))) => Some(rule),
        Err(other) => panic!("another reason: {other}"),
        Ok(_) => None,
    }
}

const WINDOW: Window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1; 4] };

/// A 3x3 convolution from 4x4x2 to 4x4x3 with dense weights.
struct Conv {
    bias: Vec<[u8; 4]>,
    multiplier: Vec<[u8; 4]>,
    weights: Vec<i8>,
}

impl Conv {
    fn new() -> Self {
        Conv { bias: le32(&[0; 3]), multiplier: le32(&[1 << 30; 3]), weights: vec![1; 54] }
    }

    fn linear(&self) -> Linear<'_> {
        Linear {
            clamp: Clamp::NONE,
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &[0; 3],
            weights: Weights::Dense(&self.weights),
        }
    }

    fn pack(window: Window, linear: Linear<'_>) -> Option<Rule> {
        let params = Params::Conv2d { window, linear };
        rule(one_layer(tensor_at(4, 4, 2, 0), tensor_at(4, 4, 3, 32), params, Scratch::default()))
    }
}

#[test]
fn a_convolution_must_be_consistent() {
    let conv = Conv::new();
    let good = conv.linear();
    assert_eq!(Conv::pack(WINDOW, good), None);
    let with = |weights| Conv::pack(WINDOW, Linear { weights, ..good });
    assert_eq!(with(Weights::Dense(&conv.weights[1..])), Some(Rule::Data));
    assert_eq!(Conv::pack(Window { stride: [2, 1], ..WINDOW }, good), Some(Rule::Shape));
    assert_eq!(Conv::pack(Window { stride: [0, 1], ..WINDOW }, good), Some(Rule::Window));
    assert_eq!(Conv::pack(Window { kernel: [0, 3], ..WINDOW }, good), Some(Rule::Window));
    assert_eq!(Conv::pack(Window { dilation: [9, 1], ..WINDOW }, good), Some(Rule::Window));
    let clamp = Clamp { min: 1, max: 0 };
    assert_eq!(Conv::pack(WINDOW, Linear { clamp, ..good }), Some(Rule::Quantization));
    assert_eq!(Conv::pack(WINDOW, Linear { shift: &[0, 31, 0], ..good }), Some(Rule::Quantization));
    let negative = le32(&[1, 2, -1]);
    assert_eq!(Conv::pack(WINDOW, Linear { multiplier: &negative, ..good }), Some(Rule::Quantization));
}

#[test]
fn run_indexes_must_fit_the_runs() {
    let conv = Conv::new();
    let with = |weights| Conv::pack(WINDOW, Linear { weights, ..conv.linear() });
    // 3 filters, 9 positions, 1 run of 2 weights: 27 bits.
    let bitmap = |bytes, runs| with(Weights::Bitmap { group: 2, bitmap: bytes, runs });
    assert_eq!(bitmap(&[1, 0, 0, 4], &[1; 4]), None);
    assert_eq!(bitmap(&[1, 0, 0, 8], &[1; 4]), Some(Rule::Data), "a bit beyond the last run");
    assert_eq!(bitmap(&[1, 0, 0, 4], &[1; 3]), Some(Rule::Data), "too few weights");
    assert_eq!(bitmap(&[1, 0, 4], &[1; 4]), Some(Rule::Data), "a short bitmap");
    let gaps = |bytes, runs| with(Weights::Gaps { group: 2, gaps: bytes, runs });
    assert_eq!(gaps(&[0, 25], &[1; 4]), None);
    assert_eq!(gaps(&[0, 26], &[1; 4]), Some(Rule::Data), "a run beyond the last one");
    assert_eq!(gaps(&[255, 0], &[1; 2]), Some(Rule::Data), "a long gap beyond the last run");
    for group in [0, 3, u32::MAX] {
        let weights = Weights::Bitmap { group, bitmap: &[0; 4], runs: &[] };
        assert_eq!(with(weights), Some(Rule::Data), "group {group}");
    }
}

#[test]
fn memory_must_not_overlap() {
    let rescale = Params::Requantize(Rescale { multiplier: 1, shift: 0, clamp: Clamp::NONE });
    let pack = |x, y, params, offset, len| rule(one_layer(x, y, params, Scratch { offset, len }));
    let (x, y) = (tensor_at(1, 4, 4, 0), tensor_at(1, 4, 4, 16));
    assert_eq!(pack(x, y, rescale, 0, 0), None);
    assert_eq!(pack(x, x, rescale, 0, 0), None, "in place");
    assert_eq!(pack(x, tensor_at(1, 4, 4, 8), rescale, 0, 0), Some(Rule::Overlap), "half in place");
    let perm = Params::Transpose { perm: [0, 1, 2] };
    assert_eq!(pack(x, x, perm, 0, 0), Some(Rule::Overlap), "transpose cannot work in place");
    assert_eq!(pack(x, y, rescale, 32, 16), None);
    assert_eq!(pack(x, y, rescale, 12, 8), Some(Rule::Overlap), "scratch over the input");
    assert_eq!(pack(x, y, rescale, 28, 8), Some(Rule::Overlap), "scratch over the output");
    assert_eq!(pack(x, y, rescale, ARENA, 4), Some(Rule::Overlap), "scratch outside the arena");
    let outside = one_layer(x, tensor_at(1, 4, 4, ARENA - 12), rescale, Scratch::default());
    assert_eq!(outside, Err(WriteError::Invalid(FormatError::Tensor(1))));
    let odd = one_layer(x, tensor_at(1, 4, 4, 17), rescale, Scratch::default());
    assert_eq!(odd, Err(WriteError::Invalid(FormatError::Tensor(1))), "not aligned");
    let empty = one_layer(x, tensor_at(1, 0, 4, 16), rescale, Scratch::default());
    assert_eq!(empty, Err(WriteError::Invalid(FormatError::Tensor(1))), "no elements");
}

fn sample() -> Vec<u8> {
    let conv = Conv::new();
    let runs = Weights::Bitmap { group: 2, bitmap: &[1, 0, 0, 4], runs: &[1; 4] };
    let params = Params::Conv2d { window: WINDOW, linear: Linear { weights: runs, ..conv.linear() } };
    one_layer(tensor_at(4, 4, 2, 0), tensor_at(4, 4, 3, 32), params, Scratch::default()).unwrap()
}

#[test]
fn damaged_headers_are_refused() {
    let good = sample();
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Package::check(&bytes).err()
    };
    assert_eq!(refused(&|_| ()), None);
    assert_eq!(refused(&|b| b.extend([1; 5])), None, "bytes behind the package are not its own");
    assert_eq!(refused(&|b| b[0] = b'X'), Some(FormatError::Magic));
    assert_eq!(refused(&|b| b[4] = 9), Some(FormatError::Version(9)));
    assert_eq!(refused(&|b| b.truncate(b.len() - 1)), Some(FormatError::Truncated));
    assert_eq!(refused(&|b| b.clear()), Some(FormatError::Truncated));
    assert_eq!(refused(&|b| b[100] ^= 1), Some(FormatError::Checksum));
    assert_eq!(refused(&|b| b[8..12].fill(0)), Some(FormatError::Header));
}

#[test]
fn tables_outside_the_blob_are_refused() {
    let refused = |at: usize, value: u32| {
        let mut bytes = sample();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        header::seal(&mut bytes).unwrap();
        Package::check(&bytes).err()
    };
    let len = sample().len() as u32;
    for value in [len, len - tensor::LEN as u32, u32::MAX - 3] {
        assert_eq!(refused(header::field::TENSORS.start, value), Some(FormatError::Header));
    }
    assert_eq!(refused(header::field::LAYERS.start, u32::MAX), Some(FormatError::Header));
    assert_eq!(refused(header::field::PORTS.start, len - 3), Some(FormatError::Header));
    assert_eq!(refused(header::field::NAMES.start, u32::MAX), Some(FormatError::HostSection));
    let params = header::LEN + 2 * tensor::LEN + layer::field::PARAMS.start;
    assert_eq!(refused(params, u32::MAX), Some(FormatError::Layer(0, Rule::Record)));
    assert_eq!(refused(params, len - 8), Some(FormatError::Layer(0, Rule::Record)));
}

/// Reads everything there is.
fn read_all(package: &Package<'_>) {
    assert_eq!(package.tensors().count(), usize::from(package.header().tensor_count));
    assert_eq!(package.layers().count(), usize::from(package.header().layer_count));
    for layer in package.layers() {
        assert!(layer.input_tensors().all(|t| package.tensor(t).is_some()));
    }
    let ports = package.inputs().chain(package.outputs());
    assert!(ports.into_iter().all(|t| package.tensor(t).is_some_and(|t| t.arena_range().is_some())));
    let _ = (package.preprocessing(), package.model_name(), package.port_info().count());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 20 } else { 4000 }))]

    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((16usize..400, prop_oneof![any::<u8>(), Just(0), Just(255), Just(1)]), 1..6),
    ) {
        let mut bytes = sample();
        for (at, value) in changes {
            let at = 16 + at % (bytes.len() - 16);
            bytes[at] = value;
        }
        header::seal(&mut bytes).unwrap();
        if let Ok(package) = Package::check(&bytes) {
            read_all(&package);
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = sample();
        let start = bytes.len().saturating_sub(noise.len()).max(16);
        for (to, from) in bytes[start..].iter_mut().zip(&noise) {
            *to = *from;
        }
        header::seal(&mut bytes).unwrap();
        if let Ok(package) = Package::check(&bytes) {
            read_all(&package);
        }
    }
}
