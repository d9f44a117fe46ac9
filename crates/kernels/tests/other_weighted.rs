//! Depthwise convolutions and fully connected layers of every instruction set against the reference kernels.

use dtmm_kernels::{
    Clamp, Conv2d, KernelError, Linear, Shape, Weights, Window, cortex_m, portable, reference, scratch,
};
use proptest::prelude::*;

/// Bytes that follow from a seed.
fn bytes(seed: u64, n: usize) -> Vec<i8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 56) as i8
    };
    (0..n).map(|_| next()).collect()
}

/// Biases, multipliers and shifts of `filters` filters.
struct Scales {
    bias: Vec<[u8; 4]>,
    multiplier: Vec<[u8; 4]>,
    shift: Vec<i8>,
}

impl Scales {
    fn new(seed: u64, filters: usize, per_channel: bool) -> Self {
        let numbers: Vec<i32> = bytes(seed, 8 * filters)
            .chunks(4)
            .map(|b| i32::from_le_bytes([b[0] as u8, b[1] as u8, b[2] as u8, b[3] as u8]))
            .collect();
        let scales = if per_channel { filters } else { 1 };
        // Multipliers below 2^30 and shifts to the left are rare, but allowed.
        let multiplier = |n: &i32| ((n & i32::MAX) | if n % 8 == 0 { 0 } else { 1 << 30 }).to_le_bytes();
        Scales {
            bias: numbers[filters..].iter().map(|n| (n >> 12).to_le_bytes()).collect(),
            multiplier: numbers[..scales].iter().map(multiplier).collect(),
            shift: numbers[..scales].iter().map(|n| 2 - (n & 15) as i8).collect(),
        }
    }

    fn linear<'a>(&'a self, weights: Weights<'a>, zero_points: [i8; 2], clamp: Clamp) -> Linear<'a> {
        let [input_zero_point, output_zero_point] = zero_points;
        Linear {
            clamp,
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            weights,
            input_zero_point,
            output_zero_point,
        }
    }
}

/// Runs a kernel with dirty scratch memory of `len` bytes; its outputs, or `None` when it does not take the problem.
fn run(
    len: usize,
    outputs: usize,
    kernel: impl FnOnce(&mut [i8], &mut [i8]) -> Result<(), KernelError>,
) -> Option<Vec<i8>> {
    let mut words = vec![0x5A5A_5A5Au32; len / 4 + 2];
    let mut memory = vec![77; outputs + 16];
    let scratch = &mut bytemuck::cast_slice_mut::<u32, i8>(&mut words)[4..4 + len];
    let done = kernel(scratch, &mut memory[8..8 + outputs]);
    assert!(memory[..8].iter().chain(&memory[8 + outputs..]).all(|b| *b == 77), "guard bytes were written");
    assert!(words[0] == 0x5A5A_5A5A && words[len / 4 + 1] == 0x5A5A_5A5A, "bytes beside the scratch memory");
    match done {
        Err(KernelError::Scratch) => None,
        done => done.map(|()| Some(memory[8..8 + outputs].to_vec())).expect("a valid problem"),
    }
}

prop_compose! {
    fn common()(
        zero_points in prop::array::uniform2(prop_oneof![any::<i8>(), Just(-128i8), Just(127i8)]),
        clamp in (any::<i8>(), any::<i8>()),
        per_channel in any::<bool>(),
        seed in any::<u64>(),
    ) -> ([i8; 2], Clamp, bool, u64) {
        let clamp = Clamp { min: clamp.0.min(clamp.1), max: clamp.0.max(clamp.1) };
        (zero_points, clamp, per_channel, seed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 500 }))]

    #[test]
    fn depthwise_kernels_equal_the_reference(
        (h, w, c, multiplier) in (1usize..7, 1usize..9, 1usize..20, prop_oneof![4 => Just(1usize), 1 => Just(2)]),
        kernel in prop::array::uniform2(1usize..5),
        (stride, dilation) in (prop::array::uniform2(1usize..4), prop::array::uniform2(1usize..3)),
        (padding, behind) in (prop::array::uniform2(0usize..4), prop::array::uniform2(0usize..4)),
        (zero_points, clamp, per_channel, seed) in common(),
    ) {
        let window = Window { kernel, stride, dilation, padding };
        let size = |a: usize, n: usize| {
            (n + padding[a] + behind[a]).checked_sub((kernel[a] - 1) * dilation[a] + 1).map(|n| n / stride[a] + 1)
        };
        prop_assume!(size(0, h).is_some() && size(1, w).is_some());
        let (input, filters) = (Shape { h, w, c }, c * multiplier);
        let output = Shape { h: size(0, h).unwrap(), w: size(1, w).unwrap(), c: filters };
        let (x, weights) = (bytes(seed, input.elements()), bytes(!seed, kernel[0] * kernel[1] * filters));
        let scales = Scales::new(seed ^ 1, filters, per_channel);
        let linear = scales.linear(Weights::Dense(&weights), zero_points, clamp);
        let p = Conv2d { input, output, window, linear };
        let (len, n) = (scratch::depthwise_conv2d(&input, &output, &window), output.elements());
        let expected = run(0, n, |_, y| reference::depthwise_conv2d_s8(&p, &x, y));
        let kernels = [
            cortex_m::dsp::depthwise_conv2d_s8, cortex_m::pairs::depthwise_conv2d_s8, portable::depthwise_conv2d_s8,
        ];
        for kernel in kernels {
            let found = run(len, n, |scratch, y| kernel(&p, scratch, &x, y));
            prop_assert!(found.is_some() || multiplier > 1);
            prop_assert!(found.is_none() || found == expected);
            let short = run(0, n, |scratch, y| kernel(&p, scratch, &x, y));
            prop_assert!(short.is_none() || short == expected, "without scratch memory");
        }
    }

    #[test]
    fn fully_connected_kernels_equal_the_reference(
        (rows, channels, filters) in (1usize..4, 1usize..70, 1usize..6),
        (group, keep) in (1usize..20, prop_oneof![Just(0u8), Just(255), any::<u8>()]),
        (zero_points, clamp, per_channel, seed) in common(),
    ) {
        let group = group.min(channels);
        let mut dense = bytes(seed, channels * filters);
        let kept: Vec<bool> = bytes(!seed, channels.div_ceil(group) * filters).iter().map(|b| *b as u8 <= keep && keep > 0).collect();
        let mut bitmap = vec![0u8; kept.len().div_ceil(8)];
        kept.iter().enumerate().filter(|(_, kept)| **kept).for_each(|(i, _)| bitmap[i / 8] |= 1 << (i % 8));
        let mut runs = vec![];
        for (run, kept) in dense.chunks_mut(channels).flat_map(|filter| filter.chunks_mut(group)).zip(&kept) {
            if *kept { runs.extend_from_slice(run) } else { run.fill(0) }
        }
        let x = bytes(seed ^ 2, rows * channels);
        let scales = Scales::new(seed ^ 1, filters, per_channel);
        let n = rows * filters;
        for weights in [Weights::Dense(&dense), Weights::Bitmap { group, bitmap: &bitmap, runs: &runs }] {
            let stored = if matches!(weights, Weights::Dense(_)) { 0 } else { group };
            let (input, output) = (Shape { h: 1, w: rows, c: channels }, Shape { h: 1, w: rows, c: filters });
            let linear = scales.linear(weights, zero_points, clamp);
            let p = Conv2d { input, output, window: Window::POINT, linear };
            let len = scratch::fully_connected(&input, stored);
            let expected = run(0, n, |_, y| reference::fully_connected_s8(&p, &x, y));
            let kernels = [
                cortex_m::dsp::fully_connected_s8, cortex_m::pairs::fully_connected_s8, portable::fully_connected_s8,
            ];
            for kernel in kernels {
                let found = run(len, n, |scratch, y| kernel(&p, scratch, &x, y));
                let refused = found.is_none();
                prop_assert!(refused || found == expected);
                prop_assert!(!refused || stored % 4 != 0);
                let short = run(0, n, |scratch, y| kernel(&p, scratch, &x, y));
                prop_assert!(short.is_none(), "without scratch memory");
            }
        }
    }
}
