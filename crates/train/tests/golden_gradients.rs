//! Gradients of a small network against float64 PyTorch (`scripts/golden_training.py` makes the numbers).

mod numbers;

use std::collections::BTreeMap;

use dtmm_data::{Dataset, Samples};
use dtmm_graph::{Activation, Graph, GraphBuilder, Op, Padding, TensorId, Window};
use dtmm_train::{Augmentation, ExecOptions, Executor, FitOptions, Loss, Mode, Optimizer, Schedule, fit};
use serde::Deserialize;

const BATCH: usize = 6;
const SHAPE: [usize; 3] = [9, 7, 3];

#[derive(Deserialize)]
struct Golden {
    loss: f64,
    logits: Vec<f64>,
    gradients: BTreeMap<String, Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/gradients.json")).unwrap()
}

struct Net {
    b: GraphBuilder,
    parameters: u32,
}

impl Net {
    fn parameter(&mut self, name: &str, shape: &[usize], (offset, scale): (f32, f32)) -> TensorId {
        let v = numbers::values(shape.iter().product(), 100 + self.parameters);
        self.parameters += 1;
        self.b.constant(name, shape, v.into_iter().map(|v| v * scale + offset).collect())
    }

    fn conv(&mut self, x: TensorId, name: &str, k: usize, activation: Activation) -> TensorId {
        let c = self.b.shape(x)[3];
        let w = self.parameter(name, &[8, k, k, c], (0.0, 0.4));
        let p = k / 2;
        let padding = Padding { top: p, bottom: p, left: p, right: p };
        let window = Window { padding, ..Window::new([k, k]) };
        let y = self.b.op(name, Op::Conv2d { window, activation: Activation::None }, &[x, w]);
        self.norm(y, name, activation)
    }

    fn norm(&mut self, x: TensorId, name: &str, activation: Activation) -> TensorId {
        let gamma = self.parameter(&format!("{name}/gamma"), &[8], (1.2, 0.5));
        let beta = self.parameter(&format!("{name}/beta"), &[8], (0.0, 0.5));
        let mean = self.b.constant("mean", &[8], vec![0.0; 8]);
        let variance = self.b.constant("variance", &[8], vec![1.0; 8]);
        let y = self.b.op("norm", Op::BatchNorm { epsilon: 1e-5 }, &[x, gamma, beta, mean, variance]);
        match activation {
            Activation::Relu => self.b.op("relu", Op::Relu, &[y]),
            Activation::Relu6 => self.b.op("relu6", Op::Clip { min: 0.0, max: 6.0 }, &[y]),
            _ => y,
        }
    }
}

/// The network of the script, layer by layer.
fn network() -> Graph {
    let mut n = Net { b: GraphBuilder::new("golden"), parameters: 0 };
    let x = n.b.input("x", [1, SHAPE[0], SHAPE[1], SHAPE[2]]);
    let x = n.conv(x, "stem", 3, Activation::Relu);
    let w = n.parameter("depthwise", &[1, 3, 3, 8], (0.0, 0.6));
    let padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let window = Window { stride: [2, 2], padding, ..Window::new([3, 3]) };
    let x = n.b.op("depthwise", Op::DepthwiseConv2d { window, activation: Activation::None }, &[x, w]);
    let x = n.norm(x, "depthwise", Activation::Relu);
    let left = n.conv(x, "left", 3, Activation::Relu6);
    let right = n.conv(left, "right", 1, Activation::None);
    let x = n.b.op("add", Op::Add { activation: Activation::Relu }, &[right, x]);
    let window = Window { stride: [2, 2], ..Window::new([2, 2]) };
    let x = n.b.op("pool", Op::MaxPool { window, activation: Activation::None }, &[x]);
    let len = n.b.shape(x).iter().product();
    let x = n.b.op("flatten", Op::Reshape { shape: [1, 1, 1, len] }, &[x]);
    let w = n.parameter("dense", &[4, len], (0.0, 0.5));
    let b = n.parameter("bias", &[4], (0.0, 1.0));
    let x = n.b.op("dense", Op::FullyConnected { activation: Activation::None }, &[x, w, b]);
    let y = n.b.op("softmax", Op::Softmax { beta: 1.0 }, &[x]);
    n.b.finish(&[y]).unwrap()
}

fn data() -> Dataset {
    Dataset {
        name: "golden".into(),
        shape: SHAPE,
        samples: Samples::F32(numbers::values(BATCH * SHAPE.iter().product::<usize>(), 1)),
        labels: (0..BATCH).map(|i| (i % 4) as u32).collect(),
        classes: ["a", "b", "c", "d"].map(String::from).to_vec(),
    }
}

/// Largest difference relative to the largest value.
fn difference(found: &[f32], want: &[f64]) -> f64 {
    assert_eq!(found.len(), want.len());
    let top = want.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    let d = found.iter().zip(want).map(|(f, w)| (f64::from(*f) - w).abs());
    d.fold(0.0, f64::max) / top
}

#[test]
fn logits_agree_with_pytorch() {
    let mut executor = Executor::new(&network(), ExecOptions::default()).unwrap();
    let Samples::F32(x) = data().samples else { unreachable!("made of floats above") };
    executor.forward(BATCH, &[&x], Mode::Training).unwrap();
    assert!(difference(executor.logits(), &golden().logits) < 5e-6);
}

/// One step of plain gradient descent with rate 1 moves each parameter by its gradient.
#[test]
fn loss_and_gradients_agree_with_pytorch() {
    let graph = network();
    let options = FitOptions {
        epochs: 1,
        batch: BATCH,
        lr: 1.0,
        schedule: Schedule::Constant,
        optimizer: Optimizer::Sgd { momentum: 0.0, nesterov: false },
        weight_decay: 0.0,
        loss: Loss::CrossEntropy { label_smoothing: 0.1 },
        augmentation: Augmentation::none(),
        ..FitOptions::default()
    };
    let fitted = fit(&graph, &data(), None, &options, &mut ()).unwrap();
    let golden = golden();
    let loss = f64::from(fitted.history[0].loss);
    assert!((loss - golden.loss).abs() < 1e-6 * golden.loss, "{loss} for {}", golden.loss);
    for (name, want) in &golden.gradients {
        let t = graph.tensors.iter().position(|t| t.name == *name && t.data.is_some()).unwrap();
        let values = |g: &Graph| g.tensors[t].f32_data().unwrap().to_vec();
        let moved: Vec<f32> = values(&graph).iter().zip(values(&fitted.graph)).map(|(a, b)| a - b).collect();
        let d = difference(&moved, want);
        assert!(d < 2e-5, "{name}: relative difference {d:.2e}");
    }
}
