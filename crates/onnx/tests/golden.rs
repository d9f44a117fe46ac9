//! Golden models: what onnxruntime computes (see `scripts/golden_onnx.py`) must come out of the imported graph, and
//! of the graph that was exported and imported once more.

use std::path::{Path, PathBuf};

use dtmm_graph::{Graph, Op, Port};
use dtmm_train::{ExecOptions, Executor, Mode};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn models() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("golden folder").map(|e| e.expect("entry").path());
    let mut models: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    models.sort();
    assert!(models.len() >= 15, "only {} golden models", models.len());
    models
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn load(path: &Path) -> Graph {
    dtmm_onnx::import_file(path).unwrap_or_else(|e| panic!("{e}\nhelp: {}", e.help()))
}

/// For each element of the transposed tensor the index in the source.
fn transposed(port: &Port) -> Vec<usize> {
    let rank = port.source_shape.len();
    let mut strides = vec![1; rank];
    for i in (1..rank).rev() {
        strides[i - 1] = strides[i] * port.source_shape[i];
    }
    port.perm.iter().fold(vec![0], |out, &p| {
        let (size, step) = (port.source_shape[p], strides[p]);
        out.iter().flat_map(|b| (0..size).map(move |i| b + i * step)).collect()
    })
}

/// Inputs and outputs of one golden model in the source layouts.
fn vectors(path: &Path, graph: &Graph) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let bytes = std::fs::read(path.with_extension("bin")).expect("golden vectors");
    let mut values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
    let mut take = |ports: &[Port]| -> Vec<Vec<f32>> {
        ports.iter().map(|p| values.by_ref().take(p.source_shape.iter().product()).collect()).collect()
    };
    let (inputs, outputs) = (take(&graph.inputs), take(&graph.outputs));
    assert_eq!(values.next(), None, "{}: the shapes do not use up the golden vectors", path.display());
    (inputs, outputs)
}

/// Runs `graph` on inputs in the source layout and gives the outputs in the source layout.
fn run(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut executor = Executor::new(graph, ExecOptions::default()).expect("a runnable graph");
    let nhwc: Vec<Vec<f32>> = graph
        .inputs
        .iter()
        .zip(inputs)
        .map(|(port, source)| transposed(port).into_iter().map(|i| source[i]).collect())
        .collect();
    let refs: Vec<&[f32]> = nhwc.iter().map(Vec::as_slice).collect();
    executor.forward(1, &refs, Mode::Inference).expect("a forward pass");
    let output = |(k, port): (usize, &Port)| {
        let value = executor.output(k).expect("an output");
        let mut source = vec![f32::NAN; value.len()];
        transposed(port).into_iter().zip(value).for_each(|(i, &v)| source[i] = v);
        source
    };
    graph.outputs.iter().enumerate().map(output).collect()
}

fn assert_close(what: &str, found: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(found.len(), expected.len());
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!((f - e).abs() <= 1e-5 * e.abs().max(1.0), "{what}: output {k}[{i}] is {f}, expected {e}");
        }
    }
}

/// `qdq` holds Quantize and Dequantize, which the float executor passes through.
fn runs_as_float(path: &Path) -> bool {
    name(path) != "qdq"
}

#[test]
fn imported_models_compute_what_onnxruntime_computes() {
    for path in models().iter().filter(|p| runs_as_float(p)) {
        let graph = load(path);
        let (inputs, outputs) = vectors(path, &graph);
        assert_close(&name(path), &run(&graph, &inputs), &outputs);
    }
}

#[test]
fn exports_import_again_as_equivalent_graphs() {
    for path in &models() {
        let graph = load(path);
        let bytes = dtmm_onnx::export(&graph).unwrap_or_else(|e| panic!("{}: {e}", name(path)));
        let again = dtmm_onnx::import(&bytes, "again").unwrap_or_else(|e| panic!("{}: {e}", name(path)));
        let ports = |g: &Graph| {
            let of = |p: &Port| (p.name.clone(), p.source_shape.clone());
            (g.inputs.iter().map(of).collect::<Vec<_>>(), g.outputs.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(ports(&again), ports(&graph), "{}", name(path));
        if runs_as_float(path) {
            let (inputs, outputs) = vectors(path, &graph);
            assert_close(&format!("{} again", name(path)), &run(&again, &inputs), &outputs);
        }
    }
}

/// The operators of a graph, as a sorted list of names.
fn operators(graph: &Graph) -> Vec<&'static str> {
    let mut names: Vec<_> = graph.nodes.iter().map(|n| n.op.name()).collect();
    names.sort_unstable();
    names
}

#[test]
fn exporting_and_importing_keeps_the_operators() {
    for model in
        ["conv_windows", "residual", "keras_1d", "conv1d", "torch_net", "torch_mobile", "torch_audio"]
    {
        let graph = load(&folder().join(format!("{model}.onnx")));
        let bytes = dtmm_onnx::export(&graph).expect("an export");
        let again = dtmm_onnx::import(&bytes, "again").expect("an import");
        assert_eq!(operators(&again), operators(&graph), "{model}");
    }
}

#[test]
fn layout_changes_of_exporters_vanish() {
    let without_transpose = [
        "conv_windows",
        "conv1d",
        "depthwise_grouped",
        "detection_head",
        "keras_1d",
        "keras_transposes",
        "residual",
        "torch_audio",
        "torch_mobile",
        "torch_net",
        "torch_unet",
    ];
    for model in without_transpose {
        let graph = load(&folder().join(format!("{model}.onnx")));
        let moved = graph.nodes.iter().find(|n| matches!(n.op, Op::Transpose { .. }));
        assert!(moved.is_none(), "{model}: {moved:?}");
    }
}

#[test]
fn keras_models_keep_their_layout_and_bias_adds_vanish() {
    let graph = load(&folder().join("keras_transposes.onnx"));
    assert_eq!(
        (&graph.inputs[0].source_shape[..], &graph.inputs[0].perm[..]),
        (&[1, 8, 8, 3][..], &[0, 1, 2, 3][..])
    );
    let expected =
        ["Conv2D", "Conv2D", "FullyConnected", "MaxPool", "Mul", "Relu", "Relu", "Reshape", "Softmax"];
    assert_eq!(operators(&graph), expected);
}

#[test]
fn written_out_hard_swish_is_recognised() {
    let graph = load(&folder().join("depthwise_grouped.onnx"));
    let count = operators(&graph).iter().filter(|&&o| o == "HardSwish").count();
    assert_eq!(count, 3, "{:?}", operators(&graph));
    let multipliers = |n: &dtmm_graph::Node| matches!(n.op, Op::DepthwiseConv2d { .. });
    assert_eq!(graph.nodes.iter().filter(|n| multipliers(n)).count(), 2);
}

#[test]
fn batch_norm_is_kept() {
    let graph = load(&folder().join("residual.onnx"));
    assert!(operators(&graph).contains(&"BatchNorm"));
}

#[test]
fn resnet20_has_option_a_shortcuts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/models/cifar10/resnet20_cifar10_f32.onnx");
    if !path.exists() {
        eprintln!("SKIPPED: ../shared missing, {} not read", path.display());
        return;
    }
    let graph = load(&path);
    let count = |name| operators(&graph).iter().filter(|&&o| o == name).count();
    let counts = ["Conv2D", "Add", "Slice", "Pad", "Transpose", "Reshape"].map(count);
    assert_eq!(counts, [19, 9, 2, 2, 0, 0]);
    assert_eq!(graph.inputs[0].perm, [0, 2, 3, 1]);
}
