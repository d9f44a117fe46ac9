//! Quantisation-aware training.

mod numbers;

use std::collections::BTreeMap;

use dtmm_data::{Dataset, Samples};
use dtmm_graph::{Activation, Graph, GraphBuilder, Op};
use dtmm_train::{Augmentation, ExecOptions, Executor, FakeQuant, FitOptions, Mode, TrainError, fit};

/// `y = W x` with `W` of 3 rows.
fn linear() -> Graph {
    let mut b = GraphBuilder::new("linear");
    let x = b.input("x", [1, 1, 1, 2]);
    let w = b.constant("w", &[3, 2], vec![1.27, 0.004, -0.5, 2.54, 0.3, 0.1]);
    let y = b.op("y", Op::FullyConnected { activation: Activation::None }, &[x, w]);
    b.finish(&[y]).unwrap()
}

#[test]
fn rounds_forward_and_passes_straight_through_backward() {
    let graph = linear();
    let (x, w, y) = (graph.inputs[0].tensor, graph.nodes[0].inputs[1], graph.outputs[0].tensor);
    let mut e = Executor::new(&graph, ExecOptions::default()).unwrap();
    e.set_fake_quant(FakeQuant {
        weights: true,
        per_channel_fully_connected: true,
        activations: BTreeMap::from([(x, (0.5, 0)), (y, (0.25, -120))]),
    })
    .unwrap();
    let out = e.forward(2, &[&[1.1, 2.1, -3.0, -1.0]], Mode::Training).unwrap();
    // Inputs round to 1, 2 and -3, -1; rows of W to (1.27, 0), (-0.5, 2.54), (0.3, 0.1); results to quarters >= -2.
    assert_eq!(out, [1.25, 4.5, 0.5, -2.0, -1.0, -1.0]);
    e.backward(y, &[1.0; 6]).unwrap();
    // The first result of the second sample lies below the range: no gradient.
    assert_eq!(e.gradient(w).unwrap(), [1.0, 2.0, -2.0, 1.0, -2.0, 1.0]);
    let mut stored = graph.clone();
    e.store(&mut stored);
    assert_eq!(stored, graph, "training keeps the weights before rounding");
}

#[test]
fn training_repairs_what_rounding_broke() {
    // One huge weight per matrix makes the others round to coarse steps.
    let mut b = GraphBuilder::new("coarse");
    let x = b.input("x", [1, 1, 1, 8]);
    let mut first = numbers::values(16 * 8, 3);
    first[0] = 30.0;
    let w = b.constant("w", &[16, 8], first);
    let h = b.op("h", Op::FullyConnected { activation: Activation::Relu }, &[x, w]);
    let w = b.constant("v", &[2, 16], numbers::values(32, 4));
    let y = b.op("y", Op::FullyConnected { activation: Activation::None }, &[h, w]);
    let graph = b.finish(&[y]).unwrap();
    let inputs = numbers::values(256 * 8, 5);
    let labels = inputs.chunks(8).map(|x| u32::from(x[1] + x[2] > x[3] * x[4])).collect();
    let classes = vec!["a".to_owned(), "b".to_owned()];
    let data = Dataset { name: "d".into(), shape: [1, 1, 8], samples: Samples::F32(inputs), labels, classes };
    let fake =
        FakeQuant { weights: true, activations: BTreeMap::from([(h, (0.05, -128))]), ..FakeQuant::default() };
    let options = FitOptions {
        epochs: 12,
        batch: 32,
        lr: 0.02,
        augmentation: Augmentation::none(),
        fake_quant: Some(fake),
        ..FitOptions::default()
    };
    let fitted = fit(&graph, &data, Some(&data), &options, &mut ()).unwrap();
    let (before, after) = (fitted.history[0].loss, fitted.history[11].loss);
    assert!(after < 0.7 * before, "loss {before} to {after}");
    assert_eq!(fitted.graph, fit(&graph, &data, Some(&data), &options, &mut ()).unwrap().graph);
}

#[test]
fn unknown_tensors_and_bad_scales_are_errors() {
    let graph = linear();
    let (w, y) = (graph.nodes[0].inputs[1], graph.outputs[0].tensor);
    for (t, quant) in [(w, (0.5, 0)), (y, (0.0, 0)), (y, (f32::NAN, 0)), (y, (0.5, 200))] {
        let mut e = Executor::new(&graph, ExecOptions::default()).unwrap();
        let activations = BTreeMap::from([(t, quant)]);
        let error = e.set_fake_quant(FakeQuant { activations, ..FakeQuant::default() }).unwrap_err();
        assert!(matches!(error, TrainError::Option { option: "fake_quant", .. }));
    }
}
