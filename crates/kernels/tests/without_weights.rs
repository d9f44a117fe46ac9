//! Kernels without weights of the Cortex-M classes against the reference.

use dtmm_kernels::cortex_m::{elementwise as fast, pool};
use dtmm_kernels::{Clamp, Elementwise, Operand, Pool, Rescale, Shape, Window, reference};
use proptest::prelude::*;

type Binary = fn(&Elementwise, Operand<'_>, Operand<'_>, &mut [i8]) -> Result<(), dtmm_kernels::KernelError>;

/// Kernels of the same operator.
const BINARY: [[Binary; 2]; 3] =
    [[fast::add_s8, reference::add_s8], [fast::sub_s8, reference::sub_s8], [fast::mul_s8, reference::mul_s8]];

fn clamp() -> impl Strategy<Value = Clamp> {
    any::<[i8; 2]>().prop_map(|[a, b]| Clamp { min: a.min(b), max: a.max(b) })
}

fn multiplier() -> impl Strategy<Value = i32> {
    prop_oneof![Just(0), Just(1), Just(1 << 30), Just(i32::MAX), 0..=i32::MAX]
}

prop_compose! {
    fn elementwise()(
        output in [1usize..4, 1usize..4, 1usize..7],
        repeated in any::<[bool; 3]>(),
        [za, zb, zy] in any::<[i8; 3]>(),
        multiplier in [multiplier(), multiplier(), multiplier()],
        shift in [-31i8..=4, -31i8..=4, -31i8..=8],
        left_shift in prop_oneof![Just(20u8), 0u8..23],
        clamp in clamp(),
    ) -> Elementwise {
        let shape = |[h, w, c]: [usize; 3]| Shape { h, w, c };
        let second = std::array::from_fn(|i| if repeated[i] { 1 } else { output[i] });
        Elementwise {
            inputs: [shape(output), shape(second)],
            output: shape(output),
            input_zero_points: [za, zb],
            output_zero_point: zy,
            multiplier,
            shift,
            left_shift,
            clamp,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 2000 }))]

    #[test]
    fn pairs_of_elements(p in elementwise(), values in any::<[[i8; 54]; 2]>(), in_place: bool) {
        let [a, b] = [0, 1].map(|i| &values[i][..p.inputs[i].elements()]);
        for kernels in BINARY {
            let [found, expected] = kernels.map(|kernel| {
                let mut y = a.to_vec();
                let first = if in_place { Operand::Output } else { Operand::Slice(a) };
                kernel(&p, first, Operand::Slice(b), &mut y).map(|()| y)
            });
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn single_elements(
        (multiplier, shift, clamp) in (multiplier(), -31i8..=8, clamp()),
        zero_points in any::<[i8; 2]>(),
        x in any::<[i8; 20]>(),
        in_place: bool,
    ) {
        let p = Rescale { multiplier, shift, clamp };
        let [found, expected] = [fast::requantize_s8, reference::requantize_s8].map(|kernel| {
            let mut y = x;
            let x = if in_place { Operand::Output } else { Operand::Slice(&x) };
            kernel(&p, zero_points, x, &mut y).map(|()| y)
        });
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn pools(
        [h, w, c, kh, kw, sh, sw] in [1usize..5, 1usize..5, 1usize..11, 1usize..4, 1usize..4, 1usize..3, 1usize..3],
        padding in [0usize..3, 0usize..3],
        output in [1usize..5, 1usize..5],
        clamp in clamp(),
        padding_value in any::<Option<i8>>(),
        x in any::<[[i8; 16]; 10]>(),
    ) {
        let window = Window { kernel: [kh, kw], stride: [sh, sw], dilation: [1, 1], padding };
        let output = Shape { h: output[0], w: output[1], c };
        let p = Pool { input: Shape { h, w, c }, output, window, clamp };
        let x = &x.as_flattened()[..h * w * c];
        let [found, expected] = [pool::max_pool_s8, reference::max_pool_s8].map(|kernel| {
            let mut y = vec![0; output.elements()];
            kernel(&p, x, &mut y).map(|()| y)
        });
        prop_assert_eq!(found, expected);
        let [found, expected] = [pool::average_pool_s8, reference::average_pool_s8].map(|kernel| {
            let mut y = vec![0; output.elements()];
            kernel(&p, padding_value, x, &mut y).map(|()| y)
        });
        prop_assert_eq!(found, expected);
    }
}
