//! Operators that move or average elements, against results worked out by hand.

use dtmm_kernels::{
    Clamp, Elementwise, KernelError, Operand, Pool, Rescale, Shape, Window, reference as kernel,
};

const fn shape(h: usize, w: usize, c: usize) -> Shape {
    Shape { h, w, c }
}

/// 0, 1, 2, …
fn ramp<const N: usize>() -> [i8; N] {
    std::array::from_fn(|i| i as i8)
}

#[test]
fn transpose_moves_axes() {
    // Two rows of three columns with two channels; channels come first, then columns, then rows.
    let mut y = [0; 12];
    kernel::transpose_s8(&shape(2, 3, 2), &shape(2, 3, 2), [2, 1, 0], &ramp::<12>(), &mut y).unwrap();
    assert_eq!(y, [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11]);
    let bad = kernel::transpose_s8(&shape(2, 3, 2), &shape(2, 3, 2), [3, 1, 0], &ramp::<12>(), &mut y);
    assert_eq!(bad, Err(KernelError::Shape));
}

#[test]
fn slice_takes_every_nth_element() {
    let mut y = [0; 4];
    kernel::slice_s8(&shape(4, 3, 2), &shape(2, 2, 1), [1, 0, 1], [2, 2, 1], &ramp::<24>(), &mut y).unwrap();
    assert_eq!(y, [7, 11, 19, 23]);
    let outside =
        kernel::slice_s8(&shape(4, 3, 2), &shape(2, 2, 1), [1, 0, 1], [3, 2, 1], &ramp::<24>(), &mut y);
    assert_eq!(outside, Err(KernelError::Shape));
}

#[test]
fn pad_puts_a_border_around() {
    let mut y = [0; 24];
    kernel::pad_s8(&shape(1, 2, 2), &shape(3, 4, 2), [1, 1, 0], -5, &[1, 2, 3, 4], &mut y).unwrap();
    let mut expected = [-5; 24];
    expected[10..14].copy_from_slice(&[1, 2, 3, 4]);
    assert_eq!(y, expected);
}

#[test]
fn resize_reads_its_tables() {
    let table = |indexes: [u16; 3]| indexes.map(u16::to_le_bytes);
    let mut y = [0; 9];
    let (rows, columns) = (table([1, 0, 1]), table([0, 0, 1]));
    kernel::resize_nearest_s8(&shape(2, 2, 1), &shape(3, 3, 1), &rows, &columns, &ramp::<4>(), &mut y)
        .unwrap();
    assert_eq!(y, [2, 2, 3, 0, 0, 1, 2, 2, 3]);
    let beyond = table([2, 0, 1]);
    let refused =
        kernel::resize_nearest_s8(&shape(2, 2, 1), &shape(3, 3, 1), &beyond, &columns, &ramp::<4>(), &mut y);
    assert_eq!(refused, Err(KernelError::Shape));
}

#[test]
fn concat_joins_along_each_axis() {
    let (a, b) = ([1, 2, 3, 4], [5, 6, 7, 8]);
    let join = |axis, output: Shape| {
        let mut y = [0; 8];
        kernel::concat_s8(&shape(1, 2, 2), &output, axis, 0, &a, &mut y).unwrap();
        let before = [1, 2, 2][axis];
        kernel::concat_s8(&shape(1, 2, 2), &output, axis, before, &b, &mut y).unwrap();
        y
    };
    assert_eq!(join(0, shape(2, 2, 2)), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(join(1, shape(1, 4, 2)), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(join(2, shape(1, 2, 4)), [1, 2, 5, 6, 3, 4, 7, 8]);
    let beyond = kernel::concat_s8(&shape(1, 2, 2), &shape(1, 2, 4), 2, 3, &a, &mut [0; 8]);
    assert_eq!(beyond, Err(KernelError::Shape));
}

#[test]
fn averages_count_padding_only_when_told() {
    let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], padding: [1, 1] };
    let p = Pool { input: shape(3, 3, 1), output: shape(2, 2, 1), window, clamp: Clamp::NONE };
    let x = [10, 20, 30, 40, 50, 60, 70, 80, -90];
    let mut y = [0; 4];
    kernel::average_pool_s8(&p, None, &x, &mut y).unwrap();
    assert_eq!(y, [10, 25, 55, 25]);
    // Padding counts with the zero point 2: (10 + 3 * 2) / 4, (20 + 30 + 2 * 2) / 4 = 13.5, rounded away from zero, …
    kernel::average_pool_s8(&p, Some(2), &x, &mut y).unwrap();
    assert_eq!(y, [4, 14, 29, 25]);
    let negative = x.map(|v| -v);
    kernel::average_pool_s8(&p, Some(-2), &negative, &mut y).unwrap();
    assert_eq!(y, [-4, -14, -29, -25]);
    kernel::max_pool_s8(&p, &negative, &mut y).unwrap();
    assert_eq!(y, [-10, -20, -40, 90]);
}

#[test]
fn wrong_lengths_are_refused() {
    let mut y = [0; 4];
    assert_eq!(kernel::reshape_s8(Operand::Slice(&[1, 2, 3]), &mut y), Err(KernelError::ActivationLength));
    assert_eq!(kernel::lut_s8(&[0; 255], Operand::Output, &mut y), Err(KernelError::ParameterLength));
    let rescale = Rescale { multiplier: 1, shift: 0, clamp: Clamp::NONE };
    let short = kernel::requantize_s8(&rescale, [0, 0], Operand::Slice(&[0; 3]), &mut y);
    assert_eq!(short, Err(KernelError::ActivationLength));
    let p = Elementwise {
        inputs: [shape(1, 2, 2), shape(1, 1, 3)],
        output: shape(1, 2, 2),
        input_zero_points: [0; 2],
        output_zero_point: 0,
        multiplier: [1; 3],
        shift: [0; 3],
        left_shift: 0,
        clamp: Clamp::NONE,
    };
    let misfit = kernel::add_s8(&p, Operand::Slice(&[0; 4]), Operand::Slice(&[0; 3]), &mut y);
    assert_eq!(misfit, Err(KernelError::Shape));
    let in_place = kernel::add_s8(&p, Operand::Slice(&[0; 4]), Operand::Output, &mut y);
    assert_eq!(in_place, Err(KernelError::Shape), "a broadcast operand cannot be the output");
}
