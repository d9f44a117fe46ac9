//! Imports the models of `../shared/models`, where that folder is there.

use std::path::{Path, PathBuf};

use dtmm_graph::{ElementType, Graph, Op};
use dtmm_tflite::{ImportError, import_file};

fn models() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("SKIPPED: ../shared missing");
    None
}

fn import(name: &str) -> Option<Graph> {
    Some(import_file(models()?.join(name)).unwrap_or_else(|e| panic!("{e}")))
}

fn ops(graph: &Graph) -> String {
    graph.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_feed_forward_model_imports() {
    let Some(dir) = models() else { return };
    let mut count = 0;
    for folder in std::fs::read_dir(dir).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "tflite")
                && !path.ends_with("keyword_scrambled_8bit.tflite")
            {
                let graph = import_file(&path).unwrap_or_else(|e| panic!("{e}: {}", e.help()));
                assert!(graph.nodes.iter().all(|n| graph.macs(n) > 0 || !n.op.has_weights()));
                count += 1;
            }
        }
    }
    assert!(count >= 14, "only {count} models found");
}

#[test]
fn a_recurrent_model_is_refused_with_all_its_nodes() {
    let Some(dir) = models() else { return };
    let error = import_file(dir.join("small/keyword_scrambled_8bit.tflite")).unwrap_err();
    let ImportError::Unsupported { nodes, .. } = &error else { panic!("{error}") };
    assert_eq!(nodes.iter().filter(|n| n.operator == "SVDF").count(), 7, "{error}");
    assert!(error.to_string().contains("keyword_scrambled_8bit.tflite"));
}

#[test]
fn resnet8_int8_keeps_structure_and_preprocessing() {
    let Some(graph) = import("mlperf-tiny/ic_resnet8_int8.tflite") else { return };
    assert!(graph.is_int8());
    assert_eq!(graph.preprocessing.as_ref().map(|p| p.scale), Some(1.0));
    assert_eq!(graph.inputs[0].source_shape, [1, 32, 32, 3]);
    assert_eq!(graph.outputs[0].source_shape, [1, 10]);
    assert_eq!(graph.nodes.iter().filter(|n| matches!(n.op, Op::Add { .. })).count(), 3);
    assert!(ops(&graph).ends_with("AveragePool FullyConnected Softmax"), "{}", ops(&graph));
}

#[test]
fn vww_expects_unit_range_images() {
    let Some(graph) = import("mlperf-tiny/vww_96_int8.tflite") else { return };
    assert_eq!(graph.preprocessing.as_ref().map(|p| p.scale), Some(1.0 / 255.0));
}

#[test]
fn dynamic_range_weights_become_float() {
    let Some(graph) = import("mlperf-tiny/kws_dscnn_f32.tflite") else { return };
    assert!(graph.preprocessing.is_none());
    assert!(graph.tensors.iter().all(|t| t.element_type == ElementType::F32));
}

#[test]
fn lenet_flattens_its_image() {
    let Some(graph) = import("small/ptq_mnist_lenet-300-100.tflite") else { return };
    assert_eq!(
        ops(&graph),
        "Quantize Reshape FullyConnected FullyConnected FullyConnected Dequantize LogSoftmax"
    );
}
