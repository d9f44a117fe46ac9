//! Convolutions in every storage form against an oracle written straight from the definition.

use dtmm_kernels::{
    Clamp, Conv2d, KernelError, Linear, Shape, Weights, Window, reference as kernel, requantize, scratch,
};
use proptest::prelude::*;

/// A convolution with a mask on its runs, from a few numbers.
#[derive(Clone, Debug)]
struct Problem {
    input: Shape,
    filters: usize,
    window: Window,
    behind: [usize; 2],
    group: usize,
    zero_points: [i8; 2],
    clamp: Clamp,
    per_channel: bool,
    keep: f64,
    /// All inputs and weights are -128: the largest products.
    lowest: bool,
    seed: u64,
}

impl Problem {
    fn output(&self) -> Shape {
        let size = |axis: usize, n: usize| {
            let reach = (self.window.kernel[axis] - 1) * self.window.dilation[axis] + 1;
            (n + self.window.padding[axis] + self.behind[axis] - reach) / self.window.stride[axis] + 1
        };
        Shape { h: size(0, self.input.h), w: size(1, self.input.w), c: self.filters }
    }

    fn fits(&self) -> bool {
        (0..2).all(|a| {
            let n = [self.input.h, self.input.w][a] + self.window.padding[a] + self.behind[a];
            n > (self.window.kernel[a] - 1) * self.window.dilation[a]
        })
    }

    fn runs_per_filter(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.input.c.div_ceil(self.group)
    }
}

prop_compose! {
    fn problem()(
        (h, w, c, filters) in (1usize..8, 1usize..12, prop_oneof![1usize..14, Just(16), Just(32)], 1usize..6),
        kernel in prop::array::uniform2(1usize..5),
        stride in prop::array::uniform2(1usize..4),
        dilation in prop::array::uniform2(1usize..3),
        (padding, behind) in (prop::array::uniform2(0usize..4), prop::array::uniform2(0usize..4)),
        group in 1usize..16,
        zero_points in prop::array::uniform2(prop_oneof![any::<i8>(), Just(-128i8), Just(127i8)]),
        clamp in (any::<i8>(), any::<i8>()),
        (per_channel, keep) in (any::<bool>(), prop_oneof![Just(0.0), Just(1.0), 0.0..1.0]),
        (lowest, seed) in (prop::bool::weighted(0.1), any::<u64>()),
    ) -> Problem {
        let window = Window { kernel, stride, dilation, padding };
        let clamp = Clamp { min: clamp.0.min(clamp.1), max: clamp.0.max(clamp.1) };
        let input = Shape { h, w, c };
        let group = group.min(c);
        Problem { input, filters, window, behind, group, zero_points, clamp, per_channel, keep, lowest, seed }
    }
}

/// A small generator of test values, so that a failing case is one number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ (z >> 31)
    }

    fn bytes(&mut self, n: usize, lowest: bool) -> Vec<i8> {
        (0..n).map(|_| if lowest { i8::MIN } else { self.next() as i8 }).collect()
    }

    fn mask(&mut self, n: usize, keep: f64) -> Vec<bool> {
        (0..n).map(|_| (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= keep && keep > 0.0).collect()
    }
}

/// Dense weights with masked runs zeroed, the mask, the biases (not folded) and the scales.
struct Data {
    x: Vec<i8>,
    weights: Vec<i8>,
    mask: Vec<bool>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i8>,
}

fn data(p: &Problem) -> Data {
    let mut random = Random(p.seed);
    let positions = p.window.kernel[0] * p.window.kernel[1];
    let mut weights = random.bytes(p.filters * positions * p.input.c, p.lowest);
    let mask = random.mask(p.filters * p.runs_per_filter(), p.keep);
    for (pixel, of_pixel) in weights.chunks_mut(p.input.c).enumerate() {
        for (g, run) in of_pixel.chunks_mut(p.group).enumerate() {
            if !mask[pixel * p.input.c.div_ceil(p.group) + g] {
                run.fill(0);
            }
        }
    }
    let scales = if p.per_channel { p.filters } else { 1 };
    Data {
        x: random.bytes(p.input.elements(), p.lowest),
        weights,
        mask,
        bias: (0..p.filters).map(|_| random.next() as i32 >> 14).collect(),
        multiplier: (0..scales).map(|_| (random.next() as i32 & i32::MAX) | 1 << 30).collect(),
        shift: (0..scales).map(|_| -((random.next() % 14) as i8)).collect(),
    }
}

/// Sum over the padded image of `(x - zero_point) * w`, in i64.
fn oracle(p: &Problem, d: &Data) -> Vec<i8> {
    let (out, k) = (p.output(), p.window.kernel);
    let mut y = Vec::new();
    for at in 0..out.elements() {
        let (row, column, o) = (at / out.c / out.w, at / out.c % out.w, at % out.c);
        let mut sum = i64::from(d.bias[o]);
        for (i, w) in d.weights[o * k[0] * k[1] * p.input.c..][..k[0] * k[1] * p.input.c].iter().enumerate() {
            let (ky, kx, c) = (i / p.input.c / k[1], i / p.input.c % k[1], i % p.input.c);
            let iy =
                (row * p.window.stride[0] + ky * p.window.dilation[0]) as i64 - p.window.padding[0] as i64;
            let ix =
                (column * p.window.stride[1] + kx * p.window.dilation[1]) as i64 - p.window.padding[1] as i64;
            let inside = (0..p.input.h as i64).contains(&iy) && (0..p.input.w as i64).contains(&ix);
            if inside {
                let x = d.x[(iy as usize * p.input.w + ix as usize) * p.input.c + c];
                sum += (i64::from(x) - i64::from(p.zero_points[0])) * i64::from(*w);
            }
        }
        let scale = if p.per_channel { o } else { 0 };
        let scaled = requantize::multiply(sum as i32, d.multiplier[scale], d.shift[scale]);
        let value = scaled.saturating_add(i32::from(p.zero_points[1]));
        y.push(value.clamp(i32::from(p.clamp.min), i32::from(p.clamp.max)) as i8);
    }
    y
}

fn le(values: &[i32]) -> Vec<[u8; 4]> {
    values.iter().map(|v| v.to_le_bytes()).collect()
}

type Kernel = fn(&Conv2d<'_>, &mut [i8], &[i8], &mut [i8]) -> Result<(), KernelError>;

/// Every kernel that hosts can run.
const KERNELS: [(&str, Kernel); 4] = [
    ("reference", |p, _, x, y| kernel::conv2d_s8(p, x, y)),
    ("portable", dtmm_kernels::portable::conv2d_s8),
    ("dsp", dtmm_kernels::cortex_m::dsp::conv2d_s8),
    ("pairs", dtmm_kernels::cortex_m::pairs::conv2d_s8),
];

/// Runs all kernels with the given weights; what they agree on.
fn run(p: &Problem, d: &Data, weights: Weights<'_>) -> Vec<i8> {
    let results = KERNELS.map(|(name, kernel)| (name, run_kernel(kernel, p, d, weights)));
    for (name, result) in &results[1..] {
        assert_eq!(*result, results[0].1, "{name}");
    }
    results[0].1.clone().expect("the reference takes everything")
}

/// Runs a kernel with the given weights between guard bytes and with dirty scratch memory of just the right size.
fn run_kernel(kernel: Kernel, p: &Problem, d: &Data, weights: Weights<'_>) -> Option<Vec<i8>> {
    let per_filter = d.weights.len() / p.filters;
    let sums = d.weights.chunks(per_filter).map(|f| f.iter().map(|w| i32::from(*w)).sum::<i32>());
    let folded: Vec<i32> =
        d.bias.iter().zip(sums).map(|(b, sum)| b.wrapping_sub(i32::from(p.zero_points[0]) * sum)).collect();
    let (bias, multiplier) = (le(&folded), le(&d.multiplier));
    let linear = Linear {
        clamp: p.clamp,
        bias: &bias,
        multiplier: &multiplier,
        shift: &d.shift,
        weights,
        input_zero_point: p.zero_points[0],
        output_zero_point: p.zero_points[1],
    };
    let conv = Conv2d { input: p.input, output: p.output(), window: p.window, linear };
    let n = conv.output.elements();
    let mut memory = vec![77; n + 16];
    let group = match weights {
        Weights::Dense(_) => 0,
        Weights::Bitmap { group, .. } | Weights::Gaps { group, .. } => group,
    };
    let len = scratch::conv2d(&conv.input, &conv.output, &conv.window, group);
    let mut words = vec![0x5A5A_5A5Au32; len / 4 + 2];
    let done = kernel(
        &conv,
        &mut bytemuck::cast_slice_mut::<u32, i8>(&mut words)[4..4 + len],
        &d.x,
        &mut memory[8..8 + n],
    );
    assert!(memory[..8].iter().chain(&memory[8 + n..]).all(|b| *b == 77), "guard bytes were written");
    assert!(words[0] == 0x5A5A_5A5A && words[len / 4 + 1] == 0x5A5A_5A5A, "bytes beside the scratch memory");
    match done {
        Err(KernelError::Scratch) => None,
        done => done.map(|()| Some(memory[8..8 + n].to_vec())).expect("a valid problem"),
    }
}

/// The stored runs of the masked weights.
fn stored_runs(p: &Problem, d: &Data) -> Vec<i8> {
    let runs = d.weights.chunks(p.input.c).flat_map(|pixel| pixel.chunks(p.group));
    runs.zip(&d.mask).filter(|(_, kept)| **kept).flat_map(|(run, _)| run.to_vec()).collect()
}

fn bitmap(mask: &[bool]) -> Vec<u8> {
    mask.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, kept| byte << 1 | u8::from(*kept))).collect()
}

fn gaps(mask: &[bool]) -> Vec<u8> {
    let (mut out, mut gap) = (Vec::new(), 0usize);
    for kept in mask {
        if *kept {
            out.extend(std::iter::repeat_n(255, gap / 255));
            out.push((gap % 255) as u8);
            gap = 0;
        } else {
            gap += 1;
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 1000 }))]

    #[test]
    fn every_storage_form_equals_the_definition(p in problem().prop_filter("the kernel fits", Problem::fits)) {
        let d = data(&p);
        let expected = oracle(&p, &d);
        prop_assert_eq!(run(&p, &d, Weights::Dense(&d.weights)), expected.clone(), "dense");
        let (runs, group) = (stored_runs(&p, &d), p.group);
        let (bitmap, gaps) = (bitmap(&d.mask), gaps(&d.mask));
        prop_assert_eq!(run(&p, &d, Weights::Bitmap { group, bitmap: &bitmap, runs: &runs }), expected.clone(), "bitmap");
        prop_assert_eq!(run(&p, &d, Weights::Gaps { group, gaps: &gaps, runs: &runs }), expected, "gaps");
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let p = Problem {
        input: Shape { h: 4, w: 4, c: 6 },
        filters: 3,
        window: Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1, 1] },
        behind: [1, 1],
        group: 4,
        zero_points: [0, 0],
        clamp: Clamp::NONE,
        per_channel: true,
        keep: 0.5,
        lowest: false,
        seed: 1,
    };
    let d = data(&p);
    let (bias, multiplier) = (le(&d.bias), le(&d.multiplier));
    let (runs, bitmap) = (stored_runs(&p, &d), bitmap(&d.mask));
    let good = Linear {
        clamp: p.clamp,
        bias: &bias,
        multiplier: &multiplier,
        shift: &d.shift,
        weights: Weights::Dense(&d.weights),
        input_zero_point: 0,
        output_zero_point: 0,
    };
    let refused = |linear: Linear<'_>, x: &[i8], len: usize| {
        let conv = Conv2d { input: p.input, output: p.output(), window: p.window, linear };
        kernel::conv2d_s8(&conv, x, &mut vec![0; len]).is_err()
    };
    let n = p.output().elements();
    assert!(!refused(good, &d.x, n));
    assert!(refused(good, &d.x[1..], n), "short input");
    assert!(refused(good, &d.x, n - 1), "short output");
    assert!(refused(Linear { bias: &bias[1..], ..good }, &d.x, n), "short bias");
    assert!(refused(Linear { shift: &d.shift[1..], ..good }, &d.x, n), "short shifts");
    assert!(refused(Linear { weights: Weights::Dense(&d.weights[1..]), ..good }, &d.x, n), "short weights");
    let bad = [
        Weights::Bitmap { group: 4, bitmap: &bitmap, runs: &runs[1..] },
        Weights::Bitmap { group: 4, bitmap: &bitmap[1..], runs: &runs },
        Weights::Bitmap { group: 0, bitmap: &bitmap, runs: &runs },
        Weights::Gaps { group: 4, gaps: &[0; 99], runs: &runs },
    ];
    for weights in bad {
        assert!(refused(Linear { weights, ..good }, &d.x, n), "{weights:?}");
    }
}
