//! Removal changes no output: masked graphs before and after, by the reference evaluator.

use std::collections::BTreeMap;

use dtmm_graph::reference::evaluate_outputs;
use dtmm_graph::{Activation, Graph, GraphBuilder, Masks, Op, TensorId, Window};
use dtmm_prune::{ApplyError, ChannelMap, PrunePlan, Role, apply, permute, prunable_layers};

/// A small deterministic generator, uniform in -0.5..0.5.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5
    }

    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }

    fn chance(&mut self, p: f32) -> bool {
        self.next() + 0.5 < p
    }
}

struct Net {
    b: GraphBuilder,
    r: Random,
}

impl Net {
    fn new(seed: u64) -> Self {
        Net { b: GraphBuilder::new("net"), r: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1) }
    }

    fn constant(&mut self, name: &str, shape: &[usize]) -> TensorId {
        let n = shape.iter().product();
        self.b.constant(name, shape, self.r.values(n))
    }

    fn conv(&mut self, name: &str, x: TensorId, o: usize, k: usize, same: bool, a: Activation) -> TensorId {
        let c = self.b.shape(x)[3];
        let w = self.constant(&format!("{name}.w"), &[o, k, k, c]);
        let bias = self.constant(&format!("{name}.b"), &[o]);
        self.b.conv2d(name, x, w, Some(bias), [1, 1], same, a)
    }

    fn depthwise(&mut self, name: &str, x: TensorId, same: bool, multiplier: usize) -> TensorId {
        let c = self.b.shape(x)[3] * multiplier;
        let w = self.constant(&format!("{name}.w"), &[1, 3, 3, c]);
        let bias = self.constant(&format!("{name}.b"), &[c]);
        let window = self.b.window(x, w, [1, 1], same);
        self.b.op(name, Op::DepthwiseConv2d { window, activation: Activation::Relu6 }, &[x, w, bias])
    }

    fn batch_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let c = self.b.shape(x)[3];
        let gamma = self.constant(&format!("{name}.gamma"), &[c]);
        let beta = self.constant(&format!("{name}.beta"), &[c]);
        let mean = self.constant(&format!("{name}.mean"), &[c]);
        let variance = self.r.values(c).iter().map(|v| v + 1.0).collect();
        let variance = self.b.constant(&format!("{name}.variance"), &[c], variance);
        self.b.op(name, Op::BatchNorm { epsilon: 1e-3 }, &[x, gamma, beta, mean, variance])
    }

    fn dense(&mut self, name: &str, x: TensorId, o: usize) -> TensorId {
        let i = self.b.shape(x)[3];
        let w = self.constant(&format!("{name}.w"), &[o, i]);
        self.b.op(name, Op::FullyConnected { activation: Activation::None }, &[x, w])
    }

    fn flatten(&mut self, x: TensorId) -> TensorId {
        let n = self.b.shape(x)[1..].iter().product();
        self.b.op("flatten", Op::Reshape { shape: [1, 1, 1, n] }, &[x])
    }
}

const NONE: Activation = Activation::None;
const RELU: Activation = Activation::Relu;

/// Residual stages with an option-A shortcut: the second stage has twice the channels, padded on both sides.
fn residual(seed: u64) -> Graph {
    let mut n = Net::new(seed);
    let x = n.b.input("x", [1, 6, 6, 3]);
    let stem = n.conv("stem", x, 6, 3, true, RELU);
    let a = n.conv("a1", stem, 5, 3, true, RELU);
    let a = n.conv("a2", a, 6, 3, true, NONE);
    let sum = n.b.op("add", Op::Add { activation: RELU }, &[stem, a]);
    let slice = Op::Slice { begin: [0; 4], end: [1, 6, 6, 6], stride: [1, 2, 2, 1] };
    let shortcut = n.b.op("slice", slice, &[sum]);
    let pad = Op::Pad { before: [0, 0, 0, 3], after: [0, 0, 0, 3], value: 0.0 };
    let shortcut = n.b.op("pad", pad, &[shortcut]);
    let w = n.constant("b1.w", &[8, 3, 3, 6]);
    let b1 = n.b.conv2d("b1", sum, w, None, [2, 2], true, RELU);
    let b2 = n.conv("b2", b1, 12, 1, false, NONE);
    let sum = n.b.op("add2", Op::Add { activation: RELU }, &[shortcut, b2]);
    let y = n.b.op("mean", Op::Mean { axes: vec![1, 2] }, &[sum]);
    let y = n.dense("fc", y, 4);
    n.b.finish(&[y]).unwrap()
}

/// Batch norm, depthwise, concat, pools, constant operands and a flatten.
fn branches(seed: u64) -> Graph {
    let mut n = Net::new(seed);
    let x = n.b.input("x", [1, 8, 8, 2]);
    let stem = n.conv("stem", x, 6, 3, true, NONE);
    let stem = n.batch_norm("bn", stem);
    let stem = n.b.op("relu", Op::Relu, &[stem]);
    let left = n.depthwise("dw", stem, true, 2);
    let right = n.conv("right", stem, 5, 1, true, RELU);
    let both = n.b.op("concat", Op::Concat { axis: 3 }, &[left, right]);
    let scale = n.constant("scale", &[1, 1, 1, 17]);
    let both = n.b.op("mul", Op::Mul { activation: NONE }, &[both, scale]);
    let window = Window { stride: [2, 2], ..Window::new([2, 2]) };
    let pool = n.b.op("pool", Op::MaxPool { window, activation: NONE }, &[both]);
    let y = n.conv("tail", pool, 7, 3, false, RELU);
    let average = Op::AveragePool { window: Window::new([1, 2]), count_include_pad: false, activation: NONE };
    let y = n.b.op("average", average, &[y]);
    let y = n.flatten(y);
    let y = n.dense("fc1", y, 9);
    let y = n.b.op("swish", Op::HardSwish, &[y]);
    let y = n.dense("fc2", y, 3);
    let y = n.b.op("softmax", Op::Softmax { beta: 1.0 }, &[y]);
    n.b.finish(&[y]).unwrap()
}

/// Masks that leave whole filters and whole columns dead, besides single weights.
fn random_masks(graph: &Graph, r: &mut Random) -> Masks {
    let mut masks = Masks::new();
    for layer in prunable_layers(graph) {
        let l = layer.layout;
        let mut mask: Vec<bool> = (0..l.len()).map(|_| r.chance(0.8)).collect();
        for o in (0..l.filters).filter(|_| r.chance(0.4)).collect::<Vec<_>>() {
            for c in 0..l.channels {
                (0..l.positions).for_each(|p| mask[l.element(o, p, c)] = false);
            }
        }
        for c in (0..l.channels).filter(|_| !l.depthwise && r.chance(0.3)).collect::<Vec<_>>() {
            for o in 0..l.filters {
                (0..l.positions).for_each(|p| mask[l.element(o, p, c)] = false);
            }
        }
        masks.insert(layer.weights, mask);
    }
    masks
}

fn masked(graph: &Graph, masks: &Masks) -> Graph {
    let mut graph = graph.clone();
    for (&t, mask) in masks {
        let weights = graph.tensor_mut(t).f32_data_mut().unwrap();
        weights.iter_mut().zip(mask).filter(|(_, m)| !**m).for_each(|(w, _)| *w = 0.0);
    }
    graph
}

fn assert_same_outputs(a: &Graph, b: &Graph, r: &mut Random, tolerance: f32) {
    for _ in 0..3 {
        let n = a.tensor(a.inputs[0].tensor).len();
        let x: Vec<f32> = r.values(n).iter().map(|v| v * 4.0).collect();
        let (ya, yb) = (evaluate_outputs(a, &[&x]).unwrap(), evaluate_outputs(b, &[&x]).unwrap());
        for (p, q) in ya.iter().flatten().zip(yb.iter().flatten()) {
            assert!((p - q).abs() <= tolerance * (1.0 + p.abs()), "{p} became {q}");
        }
        assert_eq!(ya[0].len(), yb[0].len());
    }
}

fn plan(masks: Masks) -> PrunePlan {
    PrunePlan { masks, ..PrunePlan::default() }
}

#[test]
fn outputs_survive_the_removal_of_dead_channels() {
    let mut shrunk = 0;
    for seed in 0..60 {
        let mut r = Random(seed * 77 + 1);
        for graph in [residual(seed), branches(seed)] {
            let masks = random_masks(&graph, &mut r);
            let before = masked(&graph, &masks);
            let (after, kept) = apply(graph.clone(), &plan(masks)).unwrap();
            after.verify().unwrap();
            assert_same_outputs(&before, &after, &mut r, 1e-4);
            for (t, mask) in &kept {
                let weights = after.tensor(*t).f32_data().unwrap();
                assert_eq!(weights.len(), mask.len());
                assert!(weights.iter().zip(mask).all(|(w, m)| *m || *w == 0.0));
            }
            let size = |g: &Graph| prunable_layers(g).iter().map(|l| l.layout.len()).sum::<usize>();
            shrunk += usize::from(size(&after) < size(&before));
        }
    }
    assert!(shrunk > 60, "only {shrunk} of 120 networks shrank");
}

#[test]
fn a_removed_graph_has_nothing_left_to_remove() {
    for seed in 0..10 {
        let mut r = Random(seed + 5);
        let graph = branches(seed);
        let masks = random_masks(&graph, &mut r);
        let (once, masks) = apply(graph, &plan(masks)).unwrap();
        let (twice, _) = apply(once.clone(), &plan(masks)).unwrap();
        assert!(once == twice);
    }
}

/// One convolution of 12 filters read by `tail`; filters 0 to 3 are dead but for a positive bias, the next `silent` have a
/// negative one.
fn dead_filters(padded_tail: bool, silent: usize) -> (Graph, Masks) {
    let mut n = Net::new(3);
    let x = n.b.input("x", [1, 6, 6, 2]);
    let y = n.conv("head", x, 12, 3, true, RELU);
    let y = n.conv("tail", y, 3, 3, padded_tail, NONE);
    let mut graph = n.b.finish(&[y]).unwrap();
    let layer = prunable_layers(&graph).remove(0);
    let bias = graph.tensor_mut(layer.bias.unwrap()).f32_data_mut().unwrap();
    bias.fill(0.3);
    bias[..4].fill(0.7);
    bias[4..4 + silent].fill(-0.7);
    let mask = (0..layer.layout.len()).map(|e| e >= (4 + silent) * 18).collect();
    (graph, BTreeMap::from([(layer.weights, mask)]))
}

#[test]
fn constants_fold_only_where_padding_cannot_tell() {
    for (padded, filters) in [(false, 4), (true, 8)] {
        let (graph, masks) = dead_filters(padded, 4);
        let before = masked(&graph, &masks);
        let (after, _) = apply(graph, &plan(masks)).unwrap();
        // ReLU(-0.7) = 0 always goes; 0.7 goes when nothing pads it.
        assert_eq!(prunable_layers(&after)[0].layout.filters, filters);
        assert_same_outputs(&before, &after, &mut Random(9), 1e-5);
    }
}

#[test]
fn dead_channels_stay_where_they_make_whole_blocks_of_four() {
    for (silent, filters) in [(3, 12), (4, 8), (6, 8), (7, 8)] {
        let (graph, masks) = dead_filters(true, silent);
        let before = masked(&graph, &masks);
        let (after, _) = apply(graph, &plan(masks)).unwrap();
        assert_eq!(prunable_layers(&after)[0].layout.filters, filters, "{silent} silent filters");
        assert_same_outputs(&before, &after, &mut Random(9), 1e-5);
    }
}

#[test]
fn planned_filters_leave_even_where_padding_sees_them() {
    let (graph, masks) = dead_filters(true, 4);
    let weights = prunable_layers(&graph)[0].weights;
    let removed = BTreeMap::from([(weights, (0..8).collect())]);
    let before = masked(&graph, &masks);
    let (after, masks) = apply(graph, &PrunePlan { removed, ..plan(masks) }).unwrap();
    assert_eq!(prunable_layers(&after).iter().map(|l| l.layout.channels).collect::<Vec<_>>(), [2, 4]);
    assert!(masks.is_empty(), "what is left of the masks keeps everything");
    // Pixels that see no padding are unchanged.
    let x: Vec<f32> = Random(4).values(72);
    let (a, b) = (evaluate_outputs(&before, &[&x]).unwrap(), evaluate_outputs(&after, &[&x]).unwrap());
    for pixel in [7, 8, 14, 21, 28] {
        for c in 0..3 {
            assert!((a[0][pixel * 3 + c] - b[0][pixel * 3 + c]).abs() < 1e-5);
        }
    }
}

#[test]
fn a_permuted_graph_has_the_same_outputs() {
    for seed in 1..40 {
        for graph in [residual(seed), branches(seed)] {
            let mut permuted = graph.clone();
            permute(&mut permuted, 2);
            let moved = |l: &dtmm_prune::PrunableLayer| {
                graph.tensor(l.weights).f32_data() != permuted.tensor(l.weights).f32_data()
            };
            assert!(prunable_layers(&graph).iter().any(moved), "seed {seed}");
            assert_same_outputs(&graph, &permuted, &mut Random(seed), 1e-4);
        }
    }
}

/// Runs of neighbouring channels hold the same sum of weights, more unevenly.
#[test]
fn permuting_gathers_the_weights_in_fewer_runs() {
    let uneven = |graph: &Graph| {
        let runs = prunable_layers(graph).into_iter().filter(|l| !l.layout.depthwise).flat_map(|l| {
            let weights = graph.tensor(l.weights).f32_data().unwrap().to_vec();
            let sum: f32 = weights.iter().map(|w| w * w).sum();
            let run = move |r: &[f32]| (r.iter().map(|w| w * w).sum::<f32>() / sum).powi(2);
            weights.chunks(l.layout.channels).flat_map(|c| c.chunks(2)).map(run).collect::<Vec<_>>()
        });
        runs.sum::<f32>()
    };
    let (mut before, mut after) = (0.0, 0.0);
    for seed in 1..20 {
        let mut graph = residual(seed);
        before += uneven(&graph);
        permute(&mut graph, 2);
        after += uneven(&graph);
    }
    assert!(after > 1.02 * before, "{after} against {before}");
}

#[test]
fn groups_tie_what_addition_and_shortcuts_tie() {
    let graph = residual(1);
    let map = ChannelMap::new(&graph);
    let layers = prunable_layers(&graph);
    let weights = |name: &str| layers.iter().find(|l| l.name == name).unwrap().weights;
    // Stem, the block's last convolution, and (behind slice and pad) channel 3 + c of the next stage are one.
    for c in 0..6 {
        let group = map.group_of_filter(weights("stem"), c).unwrap();
        assert_eq!(map.group_of_filter(weights("a2"), c), Some(group));
        assert_eq!(map.group_of_filter(weights("b2"), c + 3), Some(group));
        assert!(!map.groups[group].pinned);
        let readers: Vec<TensorId> = map.groups[group].slices_of(Role::Consumer).map(|s| s.tensor).collect();
        assert_eq!(readers, [weights("a1"), weights("b1"), weights("fc")]);
    }
    let (padded, inner) = (map.group_of_filter(weights("b2"), 0), map.group_of_filter(weights("b2"), 3));
    assert_ne!(padded, inner);
    let output = map.group_of_filter(weights("fc"), 0).unwrap();
    assert!(map.groups[output].pinned, "model outputs never shrink");
}

#[test]
fn a_flatten_gives_a_channel_one_column_per_pixel() {
    let graph = branches(1);
    let map = ChannelMap::new(&graph);
    let layers = prunable_layers(&graph);
    let weights = |name: &str| layers.iter().find(|l| l.name == name).unwrap().weights;
    let group = map.group_of_filter(weights("tail"), 4).unwrap();
    let columns: Vec<usize> = map.groups[group].slices_of(Role::Consumer).map(|s| s.index).collect();
    assert_eq!(columns, [4, 11]);
    assert!(map.groups[group].slices_of(Role::Consumer).all(|s| s.tensor == weights("fc1")));
    // Depthwise with multiplier 2: stem channel c makes channels 2c and 2c + 1.
    let stem = map.group_of_filter(weights("stem"), 2);
    assert_eq!(stem, map.group_of_filter(weights("dw"), 4));
    assert_eq!(stem, map.group_of_filter(weights("dw"), 5));
}

#[test]
fn plans_of_other_graphs_are_refused() {
    let (graph, masks) = dead_filters(true, 4);
    let weights = *masks.keys().next().unwrap();
    let short = Masks::from([(weights, vec![true; 3])]);
    assert!(matches!(apply(graph.clone(), &plan(short)), Err(ApplyError::Mask { found: 3, .. })));
    let unknown = Masks::from([(TensorId(999), vec![true])]);
    assert!(matches!(apply(graph.clone(), &plan(unknown)), Err(ApplyError::Mask { expected: 0, .. })));
    let output = prunable_layers(&graph)[1].weights;
    for (tensor, filter) in [(weights, 40), (output, 0)] {
        let removed = BTreeMap::from([(tensor, vec![filter])]);
        let bad = PrunePlan { removed, ..PrunePlan::default() };
        assert!(matches!(apply(graph.clone(), &bad), Err(ApplyError::Filter { .. })));
    }
}
