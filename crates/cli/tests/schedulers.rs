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

#[test]
fn only_the_units_that_are_asked_for_are_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model().to_str().unwrap();
    for (i, units) in ["filter", "filterlet", "sub-filterlet:4", "filter,sub-filterlet"].iter().enumerate() {
        let args = ["compress", model, "--data", "builtin:glyphs", "--samples", "200", "--epochs", "0"];
        let out = i.to_string();
        let report =
            json(folder.path(), &[&args[..], &["--flash", "0.7x", "--units", units, "-o", &out]].concat());
        let layers = report["layers"].as_array().unwrap();
        let found: Vec<&str> = layers.iter().filter_map(|l| l["unit"].as_str()).collect();
        let allowed = |unit: &&str| match *unit {
            "dense" | "" => true,
            // A layer narrower than any group has all channels in one.
            "filterlet" => units.contains("filterlet"),
            sub => {
                units.contains(&sub.replace("sub-filterlet ", "sub-filterlet:"))
                    || units.ends_with("sub-filterlet")
            }
        };
        assert!(found.iter().all(allowed), "{units}: {found:?}");
        let arena = (report["ram"]["arena_bytes"].as_u64(), report["ram"]["dense_arena_bytes"].as_u64());
        assert!(
            units.starts_with("filter,") || units == &"filter" || arena.0 == arena.1,
            "{units}: {arena:?}"
        );
    }
}
