//! Each kind of bad file gives its own error.

use super::*;
use crate::ImportError;

fn message(model: Model) -> String {
    model.import().expect_err("an error").to_string()
}

#[test]
fn all_unsupported_operators_are_listed_at_once() {
    let model = Model::new(&[-1, 3, 4, 4])
        .node("LSTM", &["x"], "a")
        .node("Relu", &["a"], "b")
        .node("GRU", &["b"], "c")
        .node("Einsum", &["x", "c"], "y");
    let Err(ImportError::Unsupported { file, ops }) = model.import() else { panic!("another result") };
    let found: Vec<(&str, &str)> = ops.iter().map(|o| (o.op.as_str(), o.node.as_str())).collect();
    assert_eq!(file, "test.onnx");
    assert_eq!(found, [("LSTM", "node_a"), ("GRU", "node_c"), ("Einsum", "node_y")]);
    let text = message(model);
    assert!(text.contains("3 unsupported operators") && text.contains("GRU at node 'node_c'"), "{text}");
}

#[test]
fn a_known_operator_in_an_unsupported_form_says_why() {
    let text = message(Model::new(&[-1, 3, 4, 4]).node("Div", &["x", "x"], "y"));
    assert!(text.contains("Div at node 'node_y': its divisor is computed"), "{text}");
}

#[test]
fn a_foreign_domain_is_not_mistaken_for_the_standard_one() {
    let mut model = Model::new(&[-1, 3]).node("Relu", &["x"], "y");
    model.graph().node[0].domain = "com.example".into();
    assert!(message(model).contains("com.example.Relu"));
}

#[test]
fn dead_nodes_do_not_matter() {
    let model = Model::new(&[-1, 3]).node("LSTM", &["x"], "dead").node("Relu", &["x"], "y");
    assert_eq!(model.import().expect("a graph").nodes.len(), 1);
}

#[test]
fn cycles_and_double_writes_are_reported() {
    let cycle = Model::new(&[-1, 3]).node("Add", &["x", "y"], "a").node("Relu", &["a"], "y");
    assert!(matches!(cycle.import(), Err(ImportError::Cycle { .. })));
    let twice = Model::new(&[-1, 3]).node("Relu", &["x"], "y").node("Tanh", &["x"], "y");
    assert!(message(twice).contains("two nodes write it"));
}

#[test]
fn missing_values_are_reported() {
    assert!(message(Model::new(&[-1, 3]).node("Relu", &["nowhere"], "y")).contains("'nowhere'"));
    assert!(message(Model::new(&[-1, 3]).node("Relu", &["x"], "z")).contains("output 'y'"));
}

#[test]
fn data_that_does_not_fit_its_dimensions_is_refused() {
    let mut model = Model::new(&[-1, 3]).floats("w", &[3]).node("Mul", &["x", "w"], "y");
    model.graph().initializer[0].dims = vec![4];
    assert!(message(model.clone()).contains("need 4 values, found 3"));
    model.graph().initializer[0].dims = vec![i64::MAX, i64::MAX];
    assert!(message(model.clone()).contains("overflow"));
    model.graph().initializer[0].dims = vec![-3];
    assert!(message(model.clone()).contains("negative"));
    model.graph().initializer[0].dims = vec![3];
    model.graph().initializer[0].raw_data = vec![0; 11];
    assert!(message(model).contains("the data has 11 bytes"));
}

#[test]
fn oversized_constants_are_refused_before_they_are_made() {
    let model = Model::new(&[-1, 3])
        .indices("huge", &[1 << 22, 1 << 22, 1 << 22])
        .node("ConstantOfShape", &["huge"], "c")
        .node("Add", &["x", "c"], "y");
    assert!(message(model).contains("out of proportion"));
    let model = Model::new(&[-1, 3])
        .indices("big", &[1 << 12, 1 << 12])
        .node("ConstantOfShape", &["big"], "c")
        .node("Add", &["x", "c"], "y");
    assert!(message(model).contains("out of proportion"));
}

#[test]
fn oversized_inputs_and_outputs_are_refused() {
    assert!(message(Model::new(&[-1, 1 << 20, 1 << 20, 3]).node("Relu", &["x"], "y")).contains("too large"));
    let pad = Model::new(&[-1, 1, 4, 4]).indices("p", &[0, 0, 1 << 23, 1 << 23, 0, 0, 0, 0]).node(
        "Pad",
        &["x", "p"],
        "y",
    );
    assert!(message(pad).contains("too large"));
    let resize = Model::new(&[-1, 1, 4, 4]).indices("s", &[1, 1, 1 << 23, 1 << 23]).node(
        "Resize",
        &["x", "", "", "s"],
        "y",
    );
    assert!(message(resize).contains("too large"));
}

#[test]
fn dynamic_and_empty_dimensions_are_named() {
    assert!(
        message(Model::new(&[-1, 3, -1, 4]).node("Relu", &["x"], "y")).contains("dimension 2 is dynamic")
    );
    assert!(message(Model::new(&[-1, 0]).node("Relu", &["x"], "y")).contains("dimension 1 has the size 0"));
    assert!(message(Model::new(&[]).node("Relu", &["x"], "y")).contains("rank 0"));
}

#[test]
fn shapes_that_do_not_fit_name_the_node() {
    let conv = Model::new(&[-1, 3, 4, 4]).floats("w", &[2, 4, 3, 3]).node("Conv", &["x", "w"], "y");
    let text = message(conv);
    assert!(text.contains("Conv at node 'node_y'") && text.contains("[2, 4, 3, 3]"), "{text}");
    let big = Model::new(&[-1, 3, 4, 4]).floats("w", &[2, 3, 5, 5]).node("Conv", &["x", "w"], "y");
    assert!(matches!(big.import(), Err(ImportError::Shape { .. })));
    let gemm = Model::new(&[-1, 3]).floats("w", &[4, 5]).node("Gemm", &["x", "w"], "y");
    assert!(message(gemm).contains("[4, 5]"));
}

#[test]
fn a_model_needs_a_graph_and_an_operator_set() {
    let mut model = Model::new(&[-1, 3]).node("Relu", &["x"], "y");
    model.proto.opset_import.clear();
    assert!(matches!(model.import(), Err(ImportError::Model { .. })));
    model.proto.graph = None;
    assert!(message(model).contains("no graph"));
}

#[test]
fn external_data_stays_in_the_models_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("model");
    std::fs::create_dir(&inner).expect("a folder");
    let data: Vec<u8> = [0.0f32, 1.0, 2.0, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(folder.path().join("secret.bin"), &data).expect("a file");
    std::fs::write(inner.join("w.bin"), &data).expect("a file");
    let import = |entries: &[(&str, &str)]| {
        let mut model = Model::new(&[-1, 3]).floats("w", &[3]).node("Mul", &["x", "w"], "y");
        let w = &mut model.graph().initializer[0];
        w.float_data.clear();
        w.data_location = 1;
        let entry = |&(k, v): &(&str, &str)| StringStringEntryProto { key: k.into(), value: v.into() };
        w.external_data = entries.iter().map(entry).collect();
        std::fs::write(inner.join("m.onnx"), model.bytes()).expect("a file");
        assert!(message(model).contains("by its path"));
        crate::import_file(inner.join("m.onnx")).map_err(|e| e.to_string())
    };
    let graph = import(&[("location", "w.bin"), ("offset", "4"), ("length", "12")]).expect("a graph");
    assert!(graph.tensors.iter().any(|t| t.f32_data() == Some(&[1.0, 2.0, 3.0])));
    assert!(import(&[("location", "../secret.bin"), ("length", "12")]).unwrap_err().contains("plain path"));
    let absolute = folder.path().join("secret.bin").display().to_string();
    assert!(import(&[("location", &absolute), ("length", "12")]).unwrap_err().contains("plain path"));
    assert!(import(&[("location", "w.bin"), ("offset", "8"), ("length", "12")]).is_err());
    assert!(import(&[("location", "w.bin"), ("offset", "18446744073709551615")]).is_err());
    assert!(import(&[("location", "none.bin")]).unwrap_err().contains("cannot read"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("secret.bin"), inner.join("link.bin")).expect("a link");
        let outside = import(&[("location", "link.bin"), ("length", "12")]).unwrap_err();
        assert!(outside.contains("outside the model's folder"), "{outside}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = crate::import_file("no/such/model.onnx").expect_err("an error");
    assert!(matches!(error, ImportError::Read { .. }) && error.to_string().contains("no/such/model.onnx"));
}
