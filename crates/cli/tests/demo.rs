//! The README's first command, as it is typed in a folder where nothing has run before.

mod common;

use common::json;

#[test]
fn the_demo_needs_nothing_and_gives_a_small_package() {
    let folder = tempfile::tempdir().unwrap();
    let report = json(folder.path(), &["demo"]);
    let flash = |field: &str| report["flash"][field].as_u64().unwrap();
    assert!(flash("package_bytes") * 5 <= flash("dense_int8_bytes"), "{report}");
    let accuracy = |field: &str| report["accuracy"][field].as_f64().unwrap();
    assert!(accuracy("float") > 0.98, "{report}");
    assert!(accuracy("int8") > 0.95, "{report}");
    let bytes = std::fs::read(folder.path().join("out/demo/model.dtmm")).unwrap();
    assert_eq!(bytes.len() as u64, flash("package_bytes"));
    assert!(folder.path().join("out/demo/report.html").is_file());
}
