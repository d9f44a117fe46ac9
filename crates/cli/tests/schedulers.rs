//! Every method behind `--scheduler` keeps the budget by its own count of bytes.

mod common;

use common::{error, json, small_model};

#[test]
fn every_method_keeps_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model().to_str().unwrap();
    for method in dtmm::Method::names() {
        let args = ["compress", model, "--data", "builtin:glyphs", "--samples", "200", "--epochs", "0"];
        let own = ["--flash", "0.7x", "--scheduler", method, "-o", method];
        let report = json(folder.path(), &[&args[..], &own].concat());
        let flash = &report["flash"];
        let bytes = |field: &str| flash[field].as_u64().unwrap();
        assert_eq!(report["scheduler"], method);
        assert!(bytes("stored_bytes") <= bytes("budget_bytes"), "{method}: {flash}");
        // N of four takes a layer whole or not at all.
        let least = if method.ends_with(":4") { 0.5 } else { 0.8 };
        let used = bytes("stored_bytes") as f64 / bytes("budget_bytes") as f64;
        assert!(used > least, "{method} wastes its budget: {flash}");
        let has_package = dtmm::Method::from_name(method, 0).unwrap().has_package();
        assert_eq!(flash["storage"] == "package", has_package, "{method}");
        assert!(bytes("index_bytes") < bytes("stored_bytes"), "{method}");
    }
}

#[test]
fn unknown_methods_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["compress", "m.onnx", "--data", "d", "--flash", "1K", "--scheduler", "magic"];
    assert!(error(folder.path(), &args).contains("lagrangian, uniform, anneal"));
}
