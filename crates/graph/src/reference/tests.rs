use super::*;
use crate::{Activation, GraphBuilder, Padding, TensorId, Window};

/// The output of one operator for inputs given as (shape, values).
fn run(op: Op, inputs: &[(&[usize], &[f32])]) -> Vec<f32> {
    let mut b = GraphBuilder::new("one");
    let x = b.input("x", inputs[0].0.try_into().unwrap());
    let rest = inputs[1..].iter().map(|(shape, v)| b.constant("c", shape, v.to_vec()));
    let ids: Vec<TensorId> = rest.collect();
    let ids: Vec<TensorId> = [x].into_iter().chain(ids).collect();
    let y = b.op("y", op, &ids);
    let graph = b.finish(&[y]).unwrap();
    evaluate_outputs(&graph, &[inputs[0].1]).unwrap().remove(0)
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{found:?} {expected:?}"));
}

const NONE: Activation = Activation::None;
const SQUARE: &[usize] = &[1, 2, 2, 1];

#[test]
fn windows_pad_dilate_and_stride() {
    let x = (SQUARE, &[1.0, 2.0, 3.0, 4.0][..]);
    let ones = (&[1, 3, 3, 1][..], &[1.0; 9][..]);
    let padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let window = Window { padding, ..Window::new([3, 3]) };
    let conv = |window, activation| run(Op::Conv2d { window, activation }, &[x, ones, (&[1], &[0.5])]);
    close(&conv(window, NONE), &[10.5; 4]);
    close(&conv(window, Activation::Relu6), &[6.0; 4]);
    close(&conv(Window { stride: [2, 2], ..window }, NONE), &[10.5]);
    let wide = Padding { top: 2, bottom: 2, left: 2, right: 2 };
    let dilated = Window { dilation: [2, 2], padding: wide, ..window };
    close(&conv(dilated, NONE), &[1.5, 2.5, 3.5, 4.5]);
    let pool = Window { padding, ..Window::new([2, 2]) };
    let average = |count_include_pad| Op::AveragePool { window: pool, count_include_pad, activation: NONE };
    close(&run(average(false), &[x])[..3], &[1.0, 1.5, 2.0]);
    close(&run(average(true), &[x])[..3], &[0.25, 0.75, 0.5]);
    let negative = (SQUARE, &[-1.0, -2.0, -3.0, -4.0][..]);
    close(&run(Op::MaxPool { window: pool, activation: NONE }, &[negative])[..3], &[-1.0, -1.0, -2.0]);
}

#[test]
fn depthwise_reads_the_channel_of_its_multiplier() {
    let x = (&[1, 1, 1, 2][..], &[3.0, 5.0][..]);
    let w = (&[1, 1, 1, 4][..], &[1.0, 2.0, 3.0, 4.0][..]);
    let op = Op::DepthwiseConv2d { window: Window::new([1, 1]), activation: NONE };
    close(&run(op, &[x, w]), &[3.0, 6.0, 15.0, 20.0]);
}

#[test]
fn rows_times_weights_and_broadcasts() {
    let x = (&[1, 1, 2, 2][..], &[1.0, 2.0, 3.0, 4.0][..]);
    let w = (&[1, 2][..], &[10.0, 1.0][..]);
    close(&run(Op::FullyConnected { activation: NONE }, &[x, w]), &[12.0, 34.0]);
    let k = (&[1, 1, 1, 2][..], &[1.0, -1.0][..]);
    close(&run(Op::Add { activation: NONE }, &[x, k]), &[2.0, 1.0, 4.0, 3.0]);
    close(&run(Op::Sub { activation: NONE }, &[x, k]), &[0.0, 3.0, 2.0, 5.0]);
    close(&run(Op::Mul { activation: Activation::Relu }, &[x, k]), &[1.0, 0.0, 3.0, 0.0]);
    let bn: Vec<(&[usize], &[f32])> =
        [&[2.0, 1.0], &[0.5, 0.0], &[1.0, 2.0], &[4.0, 1.0]].iter().map(|v| (&[2][..], &v[..])).collect();
    let inputs: Vec<(&[usize], &[f32])> = [x].into_iter().chain(bn).collect();
    close(&run(Op::BatchNorm { epsilon: 0.0 }, &inputs), &[0.5, 0.0, 2.5, 2.0]);
}

#[test]
fn elements_move_where_they_should() {
    let x = (&[1, 2, 3, 1][..], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..]);
    close(&run(Op::Transpose { perm: [0, 2, 1, 3] }, &[x]), &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    close(&run(Op::Mean { axes: vec![1] }, &[x]), &[2.5, 3.5, 4.5]);
    close(&run(Op::Concat { axis: 1 }, &[x, (&[1, 1, 3, 1], &[7.0, 8.0, 9.0])])[5..], &[6.0, 7.0, 8.0, 9.0]);
    let slice = Op::Slice { begin: [0, 0, 0, 0], end: [1, 2, 3, 1], stride: [1, 1, 2, 1] };
    close(&run(slice, &[x]), &[1.0, 3.0, 4.0, 6.0]);
    let pad = Op::Pad { before: [0, 1, 0, 0], after: [0, 0, 1, 0], value: -1.0 };
    let m = -1.0;
    close(&run(pad, &[x]), &[m, m, m, m, 1.0, 2.0, 3.0, m, 4.0, 5.0, 6.0, m]);
    let resize = Op::ResizeNearest { size: [2, 6], align_corners: false, half_pixel_centers: false };
    close(&run(resize, &[x])[..6], &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
}

#[test]
fn functions_of_one_value_and_of_a_row() {
    let x = (&[1, 1, 1, 3][..], &[-4.0, 0.0, 2.0][..]);
    close(&run(Op::HardSwish, &[x]), &[0.0, 0.0, 10.0 / 6.0]);
    close(&run(Op::LeakyRelu { alpha: 0.5 }, &[x]), &[-2.0, 0.0, 2.0]);
    close(&run(Op::Clip { min: -1.0, max: 1.0 }, &[x]), &[-1.0, 0.0, 1.0]);
    close(&run(Op::Sigmoid, &[x])[1..2], &[0.5]);
    close(&run(Op::Tanh, &[x])[2..], &[0.964_027_6]);
    let softmax = run(Op::Softmax { beta: 1.0 }, &[x]);
    assert!((softmax.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    close(&[softmax[2] / softmax[1]], &[2f32.exp()]);
    let logs: Vec<f32> = softmax.iter().map(|p| p.ln()).collect();
    close(&run(Op::LogSoftmax, &[x]), &logs);
}

#[test]
fn wrong_inputs_and_integers_are_refused() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 1, 1, 3]);
    let y = b.op("r", Op::Relu, &[x]);
    let mut g = b.finish(&[y]).unwrap();
    assert!(matches!(evaluate(&g, &[&[0.0; 2]]), Err(EvaluateError::Input { expected: 3, found: 2, .. })));
    let id = g.add_tensor(crate::Tensor {
        name: "q".into(),
        shape: vec![1, 1, 1, 3],
        element_type: crate::ElementType::I8,
        quant: Some(crate::QuantParams::per_tensor(1.0, 0)),
        data: Some(crate::Data::I8(vec![1, 2, 3])),
    });
    g.nodes[0].inputs[0] = id;
    assert!(matches!(evaluate(&g, &[&[0.0; 3]]), Err(EvaluateError::NotFloat { .. })));
}
