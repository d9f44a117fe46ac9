//! What imported graphs look like, and what exported ones do.

use dtmm_graph::{Activation, GraphBuilder, Op, Padding, Preprocessing};

use super::*;

fn names(graph: &dtmm_graph::Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|n| n.op.name()).collect()
}

#[test]
fn nodes_may_come_in_any_order() {
    let model = Model::new(&[-1, 3]).node("Tanh", &["b"], "y").node("Relu", &["x"], "b");
    assert_eq!(names(&model.import().expect("a graph")), ["Relu", "Tanh"]);
}

#[test]
fn dense_weights_follow_a_flattened_image() {
    let model = Model::new(&[-1, 2, 1, 2]).floats("w", &[4, 1]).node("Flatten", &["x"], "f").node(
        "Gemm",
        &["f", "w"],
        "y",
    );
    let graph = model.import().expect("a graph");
    // ONNX order (c, w): 00 01 10 11; memory order (w, c): 00 10 01 11.
    assert_eq!(graph.tensor(graph.nodes[1].inputs[1]).f32_data(), Some(&[0.0, 2.0, 1.0, 3.0][..]));
    assert_eq!(names(&graph), ["Reshape", "FullyConnected"]);
}

#[test]
fn a_one_dimensional_convolution_has_height_one() {
    let model =
        Model::new(&[-1, 2, 9]).floats("w", &[4, 2, 3]).node("Conv", &["x", "w"], "y").ints("pads", &[1, 0]);
    let graph = model.import().expect("a graph");
    let Op::Conv2d { window, .. } = graph.nodes[0].op else { panic!("no convolution") };
    assert_eq!(window.kernel, [1, 3]);
    assert_eq!(window.padding, Padding { left: 1, ..Padding::default() });
    assert_eq!(graph.tensor(graph.nodes[0].output).shape, [1, 1, 8, 4]);
    assert_eq!(
        (&graph.outputs[0].source_shape[..], &graph.outputs[0].perm[..]),
        (&[1, 4, 8][..], &[0, 2, 1][..])
    );
}

#[test]
fn a_fixed_batch_becomes_one() {
    let model = Model::new(&[8, 3, 2, 2]).indices("s", &[8, -1]).node("Reshape", &["x", "s"], "r").node(
        "Relu",
        &["r"],
        "y",
    );
    let graph = model.import().expect("a graph");
    assert_eq!(graph.inputs[0].source_shape, [1, 3, 2, 2]);
    assert_eq!(graph.outputs[0].source_shape, [1, 12]);
}

#[test]
fn more_than_three_blocks_are_moved_step_by_step() {
    // [1, 2, 3, 4] x 5 seen as rank 5 and reversed: nothing stays together.
    let model = Model::new(&[-1, 120])
        .indices("a", &[1, 2, 3, 4, 5])
        .indices("b", &[1, 120])
        .node("Reshape", &["x", "a"], "r")
        .node("Transpose", &["r"], "t")
        .ints("perm", &[0, 4, 3, 2, 1])
        .node("Reshape", &["t", "b"], "y");
    let graph = model.import().expect("a graph");
    assert!(graph.nodes.iter().all(|n| matches!(n.op, Op::Reshape { .. } | Op::Transpose { .. })));
    let mut executor = dtmm_train::Executor::new(&graph, Default::default()).expect("an executor");
    let x: Vec<f32> = (0..120).map(|i| i as f32).collect();
    let y = executor.forward(1, &[&x], dtmm_train::Mode::Inference).expect("a result");
    let index = |e: usize, d: usize, c: usize, b: usize| ((b * 3 + c) * 4 + d) * 5 + e;
    let expected: Vec<f32> = (0..120).map(|i| index(i / 24, i / 6 % 4, i / 2 % 3, i % 2) as f32).collect();
    assert_eq!(y, expected);
}

#[test]
fn shared_results_are_moved_once() {
    let model = Model::new(&[-1, 2, 3, 4])
        .node("Transpose", &["x"], "t")
        .ints("perm", &[0, 3, 2, 1])
        .floats("w", &[1, 4, 1, 1])
        .node("Conv", &["t", "w"], "a")
        .node("Conv", &["t", "w"], "b")
        .node("Add", &["a", "b"], "y");
    assert_eq!(names(&model.import().expect("a graph")), ["Transpose", "Conv2D", "Conv2D", "Add"]);
}

fn small_net() -> dtmm_graph::Graph {
    let mut b = GraphBuilder::new("small");
    let x = b.input("image", [1, 8, 6, 3]);
    let w = b.constant("conv.w", &[4, 3, 3, 3], (0..108).map(|i| (i as f32).sin()).collect());
    let x = b.conv2d("conv", x, w, None, [2, 2], true, Activation::None);
    let [gamma, beta, mean, var] =
        ["gamma", "beta", "mean", "var"].map(|n| b.constant(n, &[4], vec![1.0; 4]));
    let x = b.op("bn", Op::BatchNorm { epsilon: 1e-3 }, &[x, gamma, beta, mean, var]);
    let x = b.op("relu", Op::Relu, &[x]);
    let x = b.op("flat", Op::Reshape { shape: [1, 1, 1, 48] }, &[x]);
    let w = b.constant("fc.w", &[5, 48], (0..240).map(|i| (i as f32).cos()).collect());
    let bias = b.constant("fc.b", &[5], vec![0.5; 5]);
    let y = b.op("fc", Op::FullyConnected { activation: Activation::None }, &[x, w, bias]);
    b.finish(&[y]).expect("a graph")
}

#[test]
fn a_graph_built_in_code_leaves_as_nchw_and_comes_back_the_same() {
    let mut graph = crate::channels_first(small_net());
    graph.preprocessing = Some(Preprocessing {
        scale: 1.0 / 255.0,
        mean: vec![0.4914, 0.1],
        std: vec![0.25],
        resize: Some([8, 6]),
    });
    assert_eq!(graph.inputs[0].source_shape, [1, 3, 8, 6]);
    assert_eq!(graph.outputs[0].source_shape, [1, 5]);
    let bytes = crate::export(&graph).expect("bytes");
    let again = crate::import(&bytes, "again").expect("a graph");
    assert_eq!(again.preprocessing, graph.preprocessing);
    assert_eq!(again.nodes.len(), graph.nodes.len());
    for (a, b) in graph.nodes.iter().zip(&again.nodes) {
        assert_eq!(a.op, b.op);
        // A reshape is named after the node that needs it.
        assert!(a.name == b.name || matches!(a.op, Op::Reshape { .. }), "{} became {}", a.name, b.name);
        for (&s, &t) in a.inputs.iter().zip(&b.inputs).skip(1) {
            assert_eq!(graph.tensor(s), again.tensor(t), "{}", a.name);
        }
    }
    assert_eq!(again.inputs[0].perm, graph.inputs[0].perm);
    let once_more = crate::export(&again).expect("bytes");
    assert_eq!(crate::import(&once_more, "again").expect("a graph"), again);
}

#[test]
fn files_are_replaced_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, b"old").expect("a file");
    crate::export_file(&small_net(), &path).expect("written");
    assert_eq!(crate::import_file(&path).expect("a graph").nodes.len(), 5);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1);
    assert!(crate::export_file(&small_net(), folder.path().join("none/m.onnx")).is_err());
}

#[test]
fn class_names_travel_with_the_model() {
    let bytes = crate::export(&small_net()).expect("bytes");
    assert_eq!(crate::read_classes(&bytes, "m").expect("classes"), Vec::<String>::new());
    let classes = vec!["cat".to_owned(), "dog \"x\"".to_owned()];
    let bytes = crate::with_classes(&bytes, &classes).expect("bytes");
    assert_eq!(crate::read_classes(&bytes, "m").expect("classes"), classes);
    assert!(crate::import(&bytes, "m").is_ok());
}

#[test]
fn fused_activations_become_nodes() {
    let mut graph = small_net();
    let activations =
        [(Activation::Relu, "Relu"), (Activation::Relu6, "Clip"), (Activation::ReluN1To1, "Clip")];
    for (activation, expected) in activations {
        *graph.nodes[0].op.activation_mut().expect("an activation") = activation;
        let again = crate::import(&crate::export(&graph).expect("bytes"), "again").expect("a graph");
        assert_eq!(names(&again)[..3], ["Conv2D", expected, "BatchNorm"]);
    }
}

#[test]
fn padding_before_a_convolution_joins_it() {
    let model = Model::new(&[-1, 2, 5, 5])
        .indices("p", &[0, 0, 0, 1, 0, 0, 2, 3])
        .floats("w", &[3, 2, 3, 3])
        .node("Pad", &["x", "p"], "padded")
        .node("Conv", &["padded", "w"], "y")
        .ints("pads", &[1, 1, 1, 1]);
    let graph = model.import().expect("a graph");
    assert_eq!(names(&graph), ["Conv2D"]);
    let Op::Conv2d { window, .. } = graph.nodes[0].op else { panic!("no convolution") };
    assert_eq!(window.padding, Padding { top: 1, bottom: 3, left: 2, right: 4 });
}

#[test]
fn joining_zeros_is_padding() {
    let mut model = Model::new(&[-1, 2, 3, 3]).floats("zeros", &[1, 4, 3, 3]).node(
        "Concat",
        &["zeros", "x", "zeros"],
        "y",
    );
    model.graph().initializer[0].float_data.fill(0.0);
    let graph = model.import().expect("a graph");
    let expected = Op::Pad { before: [0, 0, 0, 4], after: [0, 0, 0, 4], value: 0.0 };
    assert_eq!(graph.nodes[0].op, expected);
}

#[test]
fn one_sided_bounds_are_clips() {
    let mut model = Model::new(&[-1, 3]).floats("zero", &[]).floats("six", &[1]);
    model.graph().initializer[1].float_data = vec![6.0];
    let model = model.node("Max", &["zero", "x"], "a").node("Min", &["a", "six"], "y");
    let graph = model.import().expect("a graph");
    assert_eq!(graph.nodes[0].op, Op::Relu);
    assert_eq!(graph.nodes[1].op, Op::Clip { min: f32::MIN, max: 6.0 });
}

#[test]
fn constants_with_a_batch_axis_are_refused() {
    let model = Model::new(&[-1, 3]).floats("c", &[4, 3]).node("Add", &["x", "c"], "y");
    assert!(model.import().expect_err("an error").to_string().contains("batch axis"));
}

#[test]
fn reversed_constants_are_evaluated() {
    // PyTorch stores pads last axis first and turns them round in the graph.
    let model = Model::new(&[-1, 2, 4, 4])
        .indices("reversed", &[0, 0, 3, 0, 0, 0, 1, 0])
        .indices("start", &[-1])
        .indices("end", &[i64::MIN + 1])
        .indices("axis", &[0])
        .indices("step", &[-1])
        .node("Slice", &["reversed", "start", "end", "axis", "step"], "pads")
        .node("Pad", &["x", "pads"], "y");
    let graph = model.import().expect("a graph");
    let Op::Pad { before, after, .. } = graph.nodes[0].op else { panic!("no padding") };
    assert_eq!((before, after), ([0, 0, 0, 1], [0, 0, 0, 3]));
}
