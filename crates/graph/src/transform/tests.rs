use super::*;
use crate::reference::evaluate_outputs;
use crate::{Activation, GraphBuilder, Op, Window};

/// Deterministic values in [-1, 1) that differ per `seed`.
fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn batch_norm(b: &mut GraphBuilder, name: &str, x: TensorId, seed: u32) -> TensorId {
    let c = b.shape(x)[3];
    let variance = values(c, seed + 3).iter().map(|v| v.abs() + 0.1).collect();
    let gamma = b.constant(&format!("{name}.gamma"), &[c], values(c, seed));
    let beta = b.constant(&format!("{name}.beta"), &[c], values(c, seed + 1));
    let mean = b.constant(&format!("{name}.mean"), &[c], values(c, seed + 2));
    let variance = b.constant(&format!("{name}.var"), &[c], variance);
    b.op(name, Op::BatchNorm { epsilon: 1e-3 }, &[x, gamma, beta, mean, variance])
}

fn conv(b: &mut GraphBuilder, name: &str, x: TensorId, o: usize, bias: bool) -> TensorId {
    let i = b.shape(x)[3];
    let w = b.constant(&format!("{name}.w"), &[o, 3, 3, i], values(o * 9 * i, o as u32 + 7));
    let bias = bias.then(|| b.constant(&format!("{name}.b"), &[o], values(o, 5)));
    b.conv2d(name, x, w, bias, [1, 1], true, Activation::None)
}

fn assert_same(before: &Graph, after: &Graph) {
    after.verify().unwrap();
    let inputs: Vec<Vec<f32>> =
        before.inputs.iter().map(|p| values(before.tensor(p.tensor).len(), 99)).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let (a, b) = (evaluate_outputs(before, &inputs).unwrap(), evaluate_outputs(after, &inputs).unwrap());
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        assert!((a - b).abs() <= 1e-4 * (1.0 + a.abs()), "{a} became {b}");
    }
}

fn count(graph: &Graph, name: &str) -> usize {
    graph.nodes.iter().filter(|n| n.op.name() == name).count()
}

#[test]
fn batch_norms_fold_into_each_kind_of_producer() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 5, 6, 3]);
    let y = conv(&mut b, "a", x, 4, false);
    let y = batch_norm(&mut b, "bn1", y, 1);
    let y = conv(&mut b, "c", y, 6, true);
    let y = batch_norm(&mut b, "bn2", y, 11);
    let w = b.constant("dw", &[1, 3, 3, 12], values(108, 3));
    let window = b.window(y, w, [2, 2], true);
    let y = b.op("dw", Op::DepthwiseConv2d { window, activation: Activation::None }, &[y, w]);
    let y = batch_norm(&mut b, "bn3", y, 21);
    let w = b.constant("fc", &[5, 12], values(60, 4));
    let y = b.op("fc", Op::FullyConnected { activation: Activation::None }, &[y, w]);
    let y = batch_norm(&mut b, "bn4", y, 31);
    let before = b.finish(&[y]).unwrap();
    let mut after = before.clone();
    fold_batch_norm(&mut after);
    assert_eq!(after.nodes.len(), 4);
    assert_same(&before, &after);
}

#[test]
fn a_batch_norm_before_a_padded_convolution_stays_exact() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 3]);
    let y = batch_norm(&mut b, "bn", x, 1);
    let y = conv(&mut b, "c", y, 4, false);
    let before = b.finish(&[y]).unwrap();
    let mut after = before.clone();
    fold_batch_norm(&mut after);
    assert_eq!((count(&after, "BatchNorm"), count(&after, "DepthwiseConv2D")), (0, 1));
    assert_same(&before, &after);
}

#[test]
fn a_shared_or_branching_producer_is_left_alone() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 3]);
    let w = b.constant("w", &[3, 1, 1, 3], values(9, 1));
    let first = b.conv2d("c1", x, w, None, [1, 1], true, Activation::None);
    let second = b.conv2d("c2", first, w, None, [1, 1], true, Activation::None);
    let normed = batch_norm(&mut b, "bn", second, 5);
    let also = batch_norm(&mut b, "bn2", first, 9);
    let y = b.op("add", Op::Add { activation: Activation::None }, &[normed, also]);
    let before = b.finish(&[y]).unwrap();
    let mut after = before.clone();
    fold_batch_norm(&mut after);
    assert_eq!(count(&after, "Conv2D"), 2);
    assert_eq!(count(&after, "DepthwiseConv2D"), 1, "c1 has two readers");
    assert_same(&before, &after);
}

#[test]
fn constant_scales_and_shifts_fold_with_their_activation() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 3]);
    let y = conv(&mut b, "c", x, 4, true);
    let k = b.constant("k", &[1, 1, 1, 4], values(4, 1));
    let y = b.op("mul", Op::Mul { activation: Activation::None }, &[k, y]);
    let one = b.constant("one", &[1, 1, 1, 1], vec![0.3]);
    let y = b.op("sub", Op::Sub { activation: Activation::None }, &[one, y]);
    let y = b.op("add", Op::Add { activation: Activation::Relu6 }, &[y, k]);
    let before = b.finish(&[y]).unwrap();
    let mut after = before.clone();
    fold_batch_norm(&mut after);
    assert_eq!(after.nodes.len(), 1);
    assert_same(&before, &after);
}

#[test]
fn masked_zeros_stay_zero_when_folding() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 3]);
    let y = conv(&mut b, "c", x, 4, false);
    let y = batch_norm(&mut b, "bn", y, 1);
    let mut g = b.finish(&[y]).unwrap();
    let w = g.nodes[0].inputs[1];
    g.tensor_mut(w).f32_data_mut().unwrap()[..20].fill(0.0);
    fold_batch_norm(&mut g);
    assert_eq!(g.nodes[0].inputs[1], w, "the weight keeps its id");
    assert!(g.tensor(w).f32_data().unwrap()[..20].iter().all(|v| *v == 0.0));
}

#[test]
fn activations_fuse_and_combine() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 3]);
    let y = conv(&mut b, "c", x, 4, false);
    let y = b.op("relu", Op::Relu, &[y]);
    let y = b.op("clip", Op::Clip { min: -2.0, max: 6.0 }, &[y]);
    let z = conv(&mut b, "d", y, 4, false);
    let odd = b.op("odd", Op::Clip { min: -0.5, max: 0.25 }, &[z]);
    let y = b.op("sum", Op::Add { activation: Activation::None }, &[odd, y]);
    let before = b.finish(&[y]).unwrap();
    let mut after = before.clone();
    fuse_activations(&mut after);
    assert_eq!(after.nodes.len(), 4, "the odd clip stays");
    assert_eq!(after.nodes[0].op.activation(), Some(Activation::Relu6));
    assert_same(&before, &after);
}

#[test]
fn an_output_or_a_second_reader_prevents_fusion() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 3]);
    let y = conv(&mut b, "c", x, 4, false);
    let z = b.op("relu", Op::Relu, &[y]);
    let mut g = b.finish(&[y, z]).unwrap();
    fuse_activations(&mut g);
    assert_eq!(g.nodes.len(), 2);
}

#[test]
fn identities_go_and_layout_chains_merge() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 6, 3]);
    let y = b.op("t1", Op::Transpose { perm: [0, 3, 1, 2] }, &[x]);
    let y = b.op("t2", Op::Transpose { perm: [0, 2, 3, 1] }, &[y]);
    let y = b.op("pad", Op::Pad { before: [0; 4], after: [0; 4], value: 0.0 }, &[y]);
    let y = b.op("mean", Op::Mean { axes: vec![1, 2] }, &[y]);
    let y = b.op("t3", Op::Transpose { perm: [0, 3, 1, 2] }, &[y]);
    let y = b.op("r", Op::Reshape { shape: [1, 1, 3, 1] }, &[y]);
    let y = b.op("sig", Op::Sigmoid, &[y]);
    let y = b.op("relu", Op::Relu, &[y]);
    let y = b.op("pool", Op::MaxPool { window: Window::new([1, 1]), activation: Activation::None }, &[y]);
    let before = b.finish(&[y]).unwrap();
    let mut after = before.clone();
    eliminate_identities(&mut after);
    let names: Vec<&str> = after.nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(names, ["Mean", "Reshape", "Sigmoid"]);
    assert_same(&before, &after);
}

#[test]
fn an_identity_between_input_and_output_stays() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 6, 3]);
    let y = b.op("r", Op::Reshape { shape: [1, 4, 6, 3] }, &[x]);
    let mut g = b.finish(&[y]).unwrap();
    eliminate_identities(&mut g);
    assert_eq!(g.nodes.len(), 1);
}

#[test]
fn nodes_without_effect_on_an_output_go() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 4, 4, 3]);
    let dead = conv(&mut b, "dead", x, 4, false);
    b.op("dead2", Op::Relu, &[dead]);
    let y = conv(&mut b, "c", x, 4, false);
    let mut g = b.finish(&[y]).unwrap();
    remove_dead_nodes(&mut g);
    assert_eq!(g.nodes.len(), 1);
    g.drop_unused_tensors();
    g.verify().unwrap();
}

#[test]
fn for_inference_gives_the_same_outputs() {
    let mut b = GraphBuilder::new("g");
    let x = b.input("x", [1, 8, 8, 3]);
    let y = conv(&mut b, "c1", x, 8, false);
    let y = batch_norm(&mut b, "bn1", y, 1);
    let y = b.op("relu1", Op::Relu, &[y]);
    let z = conv(&mut b, "c2", y, 8, false);
    let z = batch_norm(&mut b, "bn2", z, 6);
    let y = b.op("add", Op::Add { activation: Activation::None }, &[z, y]);
    let y = b.op("relu2", Op::Relu, &[y]);
    let before = b.finish(&[y]).unwrap();
    let mut after = before.clone();
    for_inference(&mut after);
    assert_eq!(after.nodes.len(), 3);
    assert_same(&before, &after);
}
