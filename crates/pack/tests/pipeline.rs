//! Float graph → int8 → package → runtime, against the naive float evaluator; and predicted against written sizes.

use dtmm_graph::reference::{evaluate, evaluate_outputs};
use dtmm_graph::{Activation, Data, Graph, GraphBuilder, Masks, Op, Padding, TensorId, Window, transform};
use dtmm_pack::{HostModel, PackError, SizeModel, StorageForm, pack, pack_fast, package_size, plan};
use dtmm_quant::{Clipping, Observer, QuantOptions, quantize};
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

struct Net {
    b: GraphBuilder,
    seed: u32,
}

impl Net {
    fn new() -> Self {
        Net { b: GraphBuilder::new("net"), seed: 1 }
    }

    /// Weights that int8 never rounds to zero.
    fn weights(&mut self, name: &str, shape: &[usize], fan_in: usize) -> TensorId {
        self.seed += 1;
        let n = shape.iter().product();
        let scale = 1.0 / (fan_in as f32).sqrt();
        let v = values(n, self.seed).iter().map(|v| (v + v.signum() * 0.2) * scale).collect();
        self.b.constant(name, shape, v)
    }

    fn conv(&mut self, name: &str, x: TensorId, o: usize, k: usize, stride: usize) -> TensorId {
        let i = self.b.shape(x)[3];
        let w = self.weights(&format!("{name}.w"), &[o, k, k, i], k * k * i);
        let bias = self.b.constant(&format!("{name}.b"), &[o], values(o, self.seed + 50));
        self.b.conv2d(name, x, w, Some(bias), [stride, stride], true, Activation::Relu)
    }

    fn depthwise(&mut self, name: &str, x: TensorId, k: usize) -> TensorId {
        let c = self.b.shape(x)[3];
        let w = self.weights(&format!("{name}.w"), &[1, k, k, c], k * k);
        let window = self.b.window(x, w, [1, 1], true);
        self.b.op(name, Op::DepthwiseConv2d { window, activation: Activation::Relu6 }, &[x, w])
    }

    fn dense(&mut self, name: &str, x: TensorId, o: usize) -> TensorId {
        let i = self.b.shape(x)[3];
        let w = self.weights(&format!("{name}.w"), &[o, i], i);
        let bias = self.b.constant(&format!("{name}.b"), &[o], values(o, self.seed + 50));
        self.b.op(name, Op::FullyConnected { activation: Activation::None }, &[x, w, bias])
    }
}

/// A residual net with nearly every operator.
fn everything() -> Graph {
    let mut n = Net::new();
    let none = Activation::None;
    let x = n.b.input("x", [1, 12, 10, 3]);
    let a = n.conv("a", x, 8, 3, 1);
    let c = n.conv("c", a, 8, 3, 1);
    let sum = n.b.op("sum", Op::Add { activation: Activation::Relu }, &[c, a]);
    let d = n.depthwise("d", sum, 3);
    let pool_window = Window { stride: [2, 2], ..Window::new([2, 2]) };
    let pool = n.b.op("pool", Op::MaxPool { window: pool_window, activation: none }, &[d]);
    let e = n.conv("e", pool, 12, 1, 1);
    let gate = n.b.op("gate", Op::Sigmoid, &[e]);
    let gated = n.b.op("gated", Op::Mul { activation: none }, &[e, gate]);
    let swish = n.b.op("swish", Op::HardSwish, &[e]);
    let leaky = n.b.op("leaky", Op::LeakyRelu { alpha: 0.1 }, &[swish]);
    let cat = n.b.op("cat", Op::Concat { axis: 3 }, &[gated, leaky, gate]);
    let f = n.conv("f", cat, 16, 3, 2);
    let padded = n.b.op("pad", Op::Pad { before: [0, 1, 0, 0], after: [0, 0, 1, 0], value: 0.0 }, &[f]);
    let slice =
        n.b.op("slice", Op::Slice { begin: [0, 1, 0, 0], end: [1, 4, 3, 16], stride: [1; 4] }, &[padded]);
    let up = n.b.op(
        "up",
        Op::ResizeNearest { size: [6, 6], align_corners: false, half_pixel_centers: false },
        &[slice],
    );
    let padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let window = Window { padding, ..Window::new([3, 3]) };
    let average = n.b.op("avg", Op::AveragePool { window, count_include_pad: true, activation: none }, &[up]);
    let moved = n.b.op("t", Op::Transpose { perm: [0, 2, 1, 3] }, &[average]);
    let shift = n.b.constant("shift", &[1, 1, 1, 16], values(16, 9));
    let moved = n.b.op("sub", Op::Sub { activation: none }, &[moved, shift]);
    let mean = n.b.op("mean", Op::Mean { axes: vec![1, 2] }, &[moved]);
    let flat = n.b.op("flat", Op::Reshape { shape: [1, 1, 1, 16] }, &[mean]);
    let t = n.b.op("tanh", Op::Tanh, &[flat]);
    let logits = n.dense("fc", t, 5);
    let y = n.b.op("softmax", Op::Softmax { beta: 1.0 }, &[logits]);
    n.b.finish(&[y, logits]).unwrap()
}

fn quantized(float: &Graph) -> Graph {
    let mut observer = Observer::new();
    for s in 0..16 {
        let x = values(float.tensor(float.inputs[0].tensor).len(), 1000 + s);
        let all = evaluate(float, &[&x]).unwrap();
        Observer::tensors(float).into_iter().for_each(|t| observer.observe(t, &all[t.index()]));
    }
    let ranges = observer.ranges(float, Clipping::MinMax).unwrap();
    quantize(float, &ranges, &QuantOptions::default()).unwrap()
}

fn largest_difference(float: &Graph, bytes: &[u8], output: usize) -> f32 {
    let host = HostModel::new(bytes).unwrap();
    let mut session = host.session().unwrap();
    let x = values(float.tensor(float.inputs[0].tensor).len(), 1003);
    let expected = &evaluate_outputs(float, &[&x]).unwrap()[output];
    let found = &session.run_f32(&[&x]).unwrap()[output];
    assert_eq!(session.run_f32(&[&x]).unwrap()[output], *found, "a second run gives the same");
    expected.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_package_computes_what_the_float_graph_computes() {
    let float = everything();
    let packed = pack(&quantized(&float)).unwrap();
    let (softmax, logits) =
        (largest_difference(&float, &packed.bytes, 0), largest_difference(&float, &packed.bytes, 1));
    assert!(softmax < 0.03 && logits < 0.1, "softmax off by {softmax}, logits by {logits}");
    assert!(packed.plan.arena_bytes >= packed.plan.lower_bound);
    assert_eq!(packed.plan.layers.len(), packed.layers.len());
    assert!(!packed.layers.iter().any(|l| l.op == "Reshape"), "reshapes are views");
    let host = HostModel::new(&packed.bytes).unwrap();
    assert_eq!(
        host.layers().unwrap().iter().map(|l| l.bytes).sum::<usize>(),
        packed.layers.iter().map(|l| l.bytes).sum()
    );
    assert_eq!(host.arena_bytes().unwrap(), packed.plan.arena_bytes);
}

#[test]
fn the_same_graph_gives_the_same_bytes() {
    let int8 = quantized(&everything());
    assert_eq!(pack(&int8).unwrap(), pack(&int8).unwrap());
    assert_eq!(plan(&int8).unwrap(), pack(&int8).unwrap().plan);
}

#[test]
fn a_float_graph_is_planned_and_sized_as_its_int8_form() {
    let float = everything();
    let packed = pack(&quantized(&float)).unwrap();
    assert_eq!(plan(&float).unwrap(), packed.plan);
    assert_eq!(package_size(&float, &Masks::new()).unwrap().total, packed.bytes.len());
}

#[test]
fn batch_norms_do_not_change_the_predicted_size() {
    let mut n = Net::new();
    let x = n.b.input("x", [1, 6, 6, 3]);
    let w = n.weights("w", &[8, 3, 3, 3], 27);
    let y = n.b.conv2d("c", x, w, None, [1, 1], true, Activation::None);
    let p: Vec<TensorId> = (0..4).map(|i| n.b.constant(&format!("bn{i}"), &[8], vec![0.5; 8])).collect();
    let y = n.b.op("bn", Op::BatchNorm { epsilon: 1e-3 }, &[y, p[0], p[1], p[2], p[3]]);
    let y = n.b.op("relu", Op::Relu, &[y]);
    let float = n.b.finish(&[y]).unwrap();
    let mut folded = float.clone();
    transform::for_inference(&mut folded);
    let masks = Masks::from([(w, (0..216).map(|i| i % 27 < 9).collect())]);
    let predicted = package_size(&float, &masks).unwrap();
    assert_eq!(predicted, package_size(&folded, &masks).unwrap());
    apply(&mut folded, &masks);
    assert_eq!(predicted.total, pack(&quantized(&folded)).unwrap().bytes.len());
}

fn apply(graph: &mut Graph, masks: &Masks) {
    for (&id, mask) in masks {
        let weights = graph.tensor_mut(id).f32_data_mut().unwrap();
        weights.iter_mut().zip(mask).filter(|(_, keep)| !**keep).for_each(|(w, _)| *w = 0.0);
    }
}

#[test]
fn the_fastest_form_is_taken_where_flash_allows_it() {
    let mut n = Net::new();
    let x = n.b.input("x", [1, 6, 6, 32]);
    let a = n.conv("a", x, 32, 3, 1);
    let y = n.conv("b", a, 32, 3, 1);
    let mut float = n.b.finish(&[y]).unwrap();
    let half = |w: TensorId| (w, (0..9216).map(|i| i / 32 % 2 == 0).collect());
    let masks = Masks::from([half(float.nodes[0].inputs[1]), half(float.nodes[1].inputs[1])]);
    apply(&mut float, &masks);
    let int8 = quantized(&float);
    let smallest = pack(&int8).unwrap();
    assert!(smallest.layers.iter().all(|l| l.storage == StorageForm::Bitmap));
    // Dense is faster for both, by more for b.
    let time = |name: &str, c: &dtmm_pack::StorageChoice| {
        let slower = if name == "a" { 11.0 } else { 20.0 };
        Some(if c.form == StorageForm::Dense { 10.0 } else { slower })
    };
    let forms = |limit| {
        let packed = pack_fast(&int8, limit, &time).unwrap();
        dtmm_pack::check(&packed.bytes).unwrap();
        (packed.bytes.len(), packed.layers.iter().map(|l| l.storage).collect::<Vec<_>>())
    };
    let (bytes, all) = forms(None);
    assert_eq!(all, [StorageForm::Dense; 2]);
    assert_eq!(forms(Some(bytes - 1)).1, [StorageForm::Bitmap, StorageForm::Dense]);
    assert_eq!(forms(Some(0)), (smallest.bytes.len(), vec![StorageForm::Bitmap; 2]));
    // A layer of which no time is known takes its smallest form.
    assert_eq!(pack_fast(&int8, None, &|_, _| None).unwrap().bytes, smallest.bytes);
}

#[test]
fn float_graphs_and_floating_tails_are_refused_by_name() {
    let float = everything();
    let error = pack(&float).unwrap_err();
    assert!(matches!(&error, PackError::Port { port, .. } if port == "x"), "{error}");
    let mut int8 = quantized(&float);
    let id = int8.nodes[3].output;
    int8.tensor_mut(id).element_type = dtmm_graph::ElementType::F32;
    let error = pack(&int8).unwrap_err();
    assert!(error.to_string().contains(&int8.nodes[3].name), "{error}");
}

#[test]
fn scales_along_the_wrong_axis_are_refused_by_name() {
    let mut int8 = quantized(&everything());
    let weights = int8.tensor_mut(int8.nodes[1].inputs[1]);
    weights.quant.as_mut().unwrap().axis = 3;
    let error = pack(&int8).unwrap_err();
    assert!(matches!(&error, PackError::Node { node, .. } if node == "c"), "{error}");
}

#[test]
fn samples_in_source_layout_are_checked_and_converted() {
    let mut float = everything();
    float.inputs[0].source_shape = vec![1, 3, 12, 10];
    float.inputs[0].perm = vec![0, 2, 3, 1];
    let mut int8 = quantized(&float);
    int8.inputs[0].element_type = dtmm_graph::ElementType::F32;
    int8.inputs[0].quant = None;
    let host = HostModel::new(&pack(&int8).unwrap().bytes).unwrap();
    let mut session = host.session().unwrap();
    let nhwc = values(360, 3);
    let planes: Vec<f32> = (0..360).map(|i| nhwc[i % 120 * 3 + i / 120]).collect();
    let port = &host.inputs()[0];
    let int8: Vec<i8> = nhwc.iter().map(|&v| port.quantize(v)).collect();
    let Data::I8(a) = session.run_source(&[Data::F32(planes)]).unwrap().remove(1) else { panic!("not int8") };
    assert_eq!(a, session.run_i8(&[&int8]).unwrap()[1]);
    assert!(matches!(session.run_source(&[Data::F32(vec![0.0; 359])]), Err(PackError::Sample { .. })));
    assert!(matches!(session.run_source(&[Data::I8(vec![0; 360])]), Err(PackError::Sample { .. })));
    assert!(matches!(session.run_i8(&[]), Err(PackError::Sample { .. })));
}

#[test]
fn convolutions_may_pad_by_more_than_their_kernel() {
    let mut n = Net::new();
    let x = n.b.input("x", [1, 4, 5, 3]);
    let w = n.weights("w", &[4, 1, 1, 3], 3);
    let padding = Padding { top: 2, bottom: 1, left: 1, right: 3 };
    let window = Window { padding, ..Window::new([1, 1]) };
    let y = n.b.op("c", Op::Conv2d { window, activation: Activation::None }, &[x, w]);
    let float = n.b.finish(&[y]).unwrap();
    let difference = largest_difference(&float, &pack(&quantized(&float)).unwrap().bytes, 0);
    assert!(difference < 0.05, "off by {difference}");
}

#[test]
fn an_output_that_the_last_layer_reads_survives_it() {
    let mut n = Net::new();
    let x = n.b.input("x", [1, 4, 4, 3]);
    let a = n.conv("a", x, 4, 3, 1);
    let b = n.b.op("b", Op::LeakyRelu { alpha: -2.0 }, &[a]);
    let c = n.b.op("c", Op::Clip { min: 0.1, max: 0.3 }, &[a]);
    let float = n.b.finish(&[a, b, c]).unwrap();
    let packed = pack(&quantized(&float)).unwrap();
    for output in 0..3 {
        let difference = largest_difference(&float, &packed.bytes, output);
        assert!(difference < 0.05, "output {output} off by {difference}");
    }
}

/// Bits of a mask that repeats over the runs of `group` weights.
fn mask(n: usize, group: usize, bits: u64) -> Vec<bool> {
    (0..n).map(|i| bits >> (i / group * 7 % 64) & 1 == 1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn predicted_bytes_are_the_written_bytes(
        c in 1usize..24, o in 1usize..12, k in 1usize..4, group in 1usize..20, bits: u64, classes in 1usize..9,
    ) {
        let mut n = Net::new();
        let x = n.b.input("x", [1, 5, 5, c]);
        let y = n.conv("a", x, o, k, 1);
        let y = n.depthwise("d", y, 3);
        let y = n.b.op("mean", Op::Mean { axes: vec![1, 2] }, &[y]);
        let y = n.dense("fc", y, classes);
        let mut float = n.b.finish(&[y]).unwrap();
        let model = SizeModel::new(&float).unwrap();
        let mut masks = Masks::new();
        for node in float.nodes.iter().filter(|node| node.op.has_weights()) {
            masks.insert(node.inputs[1], mask(float.tensor(node.inputs[1]).len(), group, bits));
        }
        let predicted = model.size(&masks);
        apply(&mut float, &masks);
        let packed = pack(&quantized(&float)).unwrap();
        prop_assert_eq!(predicted.total, packed.bytes.len());
        let rows: Vec<_> = packed.layers.iter().filter(|l| l.weights > 0).collect();
        for (size, row) in predicted.layers.iter().zip(rows) {
            prop_assert_eq!((size.bytes, size.dense_bytes, size.storage), (row.bytes, row.dense_bytes, row.storage));
            prop_assert!(size.storage != StorageForm::Dense || size.bytes == size.dense_bytes);
        }
        let difference = largest_difference(&float, &packed.bytes, 0);
        prop_assert!(difference < 0.12, "off by {difference}");
    }
}
