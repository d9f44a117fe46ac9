//! Float graph → ranges → int8 graph → float graph, against the naive evaluator.

use dtmm_graph::reference::evaluate;
use dtmm_graph::{Activation, ElementType, Graph, GraphBuilder, Op, Padding, TensorId, Window};
use dtmm_quant::{Clipping, Observer, QuantError, QuantOptions, Ranges, dequantize, quantize};
use proptest::prelude::*;

/// Deterministic values in [-1, 1).
fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn conv(b: &mut GraphBuilder, name: &str, x: TensorId, o: usize, kernel: usize) -> TensorId {
    let i = b.shape(x)[3];
    let n = o * kernel * kernel * i;
    let scaled = values(n, o as u32 + 7).iter().map(|v| v / ((kernel * kernel * i) as f32).sqrt()).collect();
    let w = b.constant(&format!("{name}.w"), &[o, kernel, kernel, i], scaled);
    let bias = b.constant(&format!("{name}.b"), &[o], values(o, 5));
    b.conv2d(name, x, w, Some(bias), [1, 1], true, Activation::Relu)
}

/// Branches, a concat with a fixed-scale input, pooling, a classifier.
fn branched(channels: usize) -> Graph {
    let mut b = GraphBuilder::new("branched");
    let x = b.input("x", [1, 8, 8, 3]);
    let a = conv(&mut b, "a", x, channels, 3);
    let c = conv(&mut b, "c", a, channels, 1);
    let sum = b.op("sum", Op::Add { activation: Activation::Relu }, &[a, c]);
    let gate = b.op("gate", Op::Sigmoid, &[a]);
    let cat = b.op("cat", Op::Concat { axis: 3 }, &[sum, gate]);
    let window = Window { stride: [2, 2], ..Window::new([2, 2]) };
    let pool = b.op("pool", Op::MaxPool { window, activation: Activation::None }, &[cat]);
    let mean = b.op("mean", Op::Mean { axes: vec![1, 2] }, &[pool]);
    let w = b.constant("fc.w", &[5, 2 * channels], values(10 * channels, 77));
    let y = b.op("fc", Op::FullyConnected { activation: Activation::None }, &[mean, w]);
    let y = b.op("softmax", Op::Softmax { beta: 1.0 }, &[y]);
    b.finish(&[y]).unwrap()
}

fn calibrate(graph: &Graph, samples: u32, clipping: Clipping) -> Ranges {
    let mut observer = Observer::new();
    for s in 0..samples {
        let x = values(graph.tensor(graph.inputs[0].tensor).len(), 1000 + s);
        let all = evaluate(graph, &[&x]).unwrap();
        for t in Observer::tensors(graph) {
            observer.observe(t, &all[t.index()]);
        }
    }
    observer.ranges(graph, clipping).unwrap()
}

#[test]
fn the_int8_graph_is_valid_and_close_to_the_float_graph() {
    let float = branched(6);
    let int8 = quantize(&float, &calibrate(&float, 8, Clipping::Mse), &QuantOptions::default()).unwrap();
    int8.verify().unwrap();
    assert!(int8.is_int8());
    assert_eq!(int8.inputs[0].element_type, ElementType::I8);
    assert_eq!(int8.inputs[0].quant, int8.tensor(int8.inputs[0].tensor).quant);
    // The weights' rounding alone, seen through the float evaluator.
    let (back, _) = dequantize(&int8).unwrap();
    back.verify().unwrap();
    assert_eq!(back.nodes.len(), float.nodes.len());
    let x = values(8 * 8 * 3, 3);
    let (a, b) = (evaluate(&float, &[&x]).unwrap(), evaluate(&back, &[&x]).unwrap());
    let (a, b) = (&a[float.outputs[0].tensor.index()], &b[back.outputs[0].tensor.index()]);
    a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 0.02, "{a} {b}"));
}

#[test]
fn tensors_that_only_move_share_parameters_and_fixed_ones_are_requantized() {
    let float = branched(4);
    let int8 = quantize(&float, &calibrate(&float, 4, Clipping::MinMax), &QuantOptions::default()).unwrap();
    let node = |name: &str| int8.nodes.iter().find(|n| n.name == name).unwrap();
    let quant = |t: TensorId| int8.tensor(t).quant.clone().unwrap();
    let cat = node("cat");
    for &t in cat.inputs.iter().chain([&node("pool").output]) {
        assert_eq!(quant(t), quant(cat.output));
    }
    assert_eq!(int8.nodes.iter().filter(|n| n.op == Op::Quantize).count(), 1);
    let gate = quant(node("gate").output);
    assert_eq!((gate.scale[0], gate.zero_point[0]), (1.0 / 256.0, -128));
    let softmax = quant(node("softmax").output);
    assert_eq!((softmax.scale[0], softmax.zero_point[0]), (1.0 / 256.0, -128));
}

#[test]
fn a_quantized_graph_survives_the_way_through_float() {
    let float = branched(5);
    let ranges = calibrate(&float, 4, Clipping::Mse);
    let int8 = quantize(&float, &ranges, &QuantOptions::default()).unwrap();
    let (back, ranges) = dequantize(&int8).unwrap();
    let again = quantize(&back, &ranges, &QuantOptions::default()).unwrap();
    for (a, b) in int8
        .nodes
        .iter()
        .filter(|n| n.op.has_weights())
        .zip(again.nodes.iter().filter(|n| n.op.has_weights()))
    {
        assert_eq!(int8.tensor(a.inputs[1]).data, again.tensor(b.inputs[1]).data, "{}", a.name);
        let (p, q) =
            (int8.tensor(a.output).quant.as_ref().unwrap(), again.tensor(b.output).quant.as_ref().unwrap());
        assert_eq!(p.zero_point, q.zero_point);
        assert!((p.scale[0] - q.scale[0]).abs() <= p.scale[0] * 1e-6);
    }
}

#[test]
fn bad_graphs_are_refused_with_advice() {
    let mut float = branched(4);
    let ranges = calibrate(&float, 2, Clipping::MinMax);
    let options = QuantOptions::default();
    assert_eq!(Observer::new().ranges(&float, Clipping::Mse), Err(QuantError::EmptyCalibration));
    assert_eq!(quantize(&float, &Ranges::default(), &options), Err(QuantError::EmptyCalibration));
    let mut partial = ranges.clone();
    partial.0.remove(&float.nodes[1].output);
    assert!(matches!(quantize(&float, &partial, &options), Err(QuantError::MissingRange { .. })));
    let int8 = quantize(&float, &ranges, &options).unwrap();
    assert!(matches!(quantize(&int8, &ranges, &options), Err(QuantError::Node { .. })));
    let mut observer = Observer::new();
    observer.observe(float.nodes[0].output, &[1.0, f32::NAN]);
    assert!(matches!(observer.ranges(&float, Clipping::Mse), Err(QuantError::ActivationNotFinite { .. })));
    let w = float.nodes[0].inputs[1];
    float.tensor_mut(w).f32_data_mut().unwrap()[3] = f32::INFINITY;
    let error = quantize(&float, &ranges, &options).unwrap_err();
    assert!(matches!(error, QuantError::NotFinite { index: 3, .. }), "{error}");
}

#[test]
fn a_filter_of_zeros_keeps_its_bias() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 2]);
    let w = b.constant("w", &[2, 1, 1, 2], vec![0.0, 0.0, 0.5, -0.25]);
    let bias = b.constant("b", &[2], vec![3.7, -100.0]);
    let y = b.conv2d("c", x, w, Some(bias), [1, 1], true, Activation::None);
    let float = b.finish(&[y]).unwrap();
    let int8 = quantize(&float, &calibrate(&float, 2, Clipping::MinMax), &QuantOptions::default()).unwrap();
    let (back, _) = dequantize(&int8).unwrap();
    let values = back.tensor(back.nodes[0].inputs[2]).f32_data().unwrap();
    assert!((values[0] - 3.7).abs() < 1e-3 && (values[1] + 100.0).abs() < 1e-3, "{values:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn weights_stay_within_half_a_step_and_zeros_stay_zero(
        o in 1usize..5, i in 1usize..6, k in 1usize..4, depthwise: bool, seed: u32, magnitude in -20i32..20,
    ) {
        let mut b = GraphBuilder::new("g");
        let x = b.input("x", [1, 5, 5, i]);
        let shape = if depthwise { [1, k, k, i] } else { [o, k, k, i] };
        let n: usize = shape.iter().product();
        let scale = 2f32.powi(magnitude);
        let weights: Vec<f32> = values(n, seed).iter().map(|v| if v.abs() < 0.4 { 0.0 } else { v * scale }).collect();
        let w = b.constant("w", &shape, weights.clone());
        let window = Window { padding: Padding::same([5, 5], [k, k], [1, 1], [1, 1]), ..Window::new([k, k]) };
        let activation = Activation::None;
        let op = if depthwise { Op::DepthwiseConv2d { window, activation } } else { Op::Conv2d { window, activation } };
        let y = b.op("c", op, &[x, w]);
        let float = b.finish(&[y]).unwrap();
        let int8 = quantize(&float, &calibrate(&float, 1, Clipping::Mse), &QuantOptions::default()).unwrap();
        int8.verify().unwrap();
        let tensor = int8.tensor(w);
        let (q, params) = (tensor.i8_data().unwrap(), tensor.quant.as_ref().unwrap());
        let inner: usize = shape[params.axis + 1..].iter().product();
        for (j, (&real, &q)) in weights.iter().zip(q).enumerate() {
            let s = params.scale[j / inner % params.scale.len()];
            prop_assert!(q != -128 && (real != 0.0 || q == 0));
            prop_assert!((real - s * f32::from(q)).abs() <= s * 0.5001, "{real} {q} {s}");
        }
    }
}
