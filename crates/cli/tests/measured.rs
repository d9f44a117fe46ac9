//! Every budget that was promised is kept when it is measured: bytes on disk, the arena of the package's own plan, and
//! instructions of an emulated core.

mod common;

use common::{json, output, small_model};
use serde_json::Value;

const LATENCY_MS: f64 = 25.0;

/// What a machine without the emulator or the core's target says.
const MISSING: [&str; 3] = ["QEMU", "is not installed", "cargo was not found"];

fn of_core<'a>(rows: &'a Value, core: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|r| r["core"] == core).expect("every core has a row")
}

fn cycles_of_convolutions(layers: &Value) -> f64 {
    let layers = layers.as_array().unwrap().iter();
    let convolutions = layers.filter(|l| l["op"].as_str().unwrap().eq_ignore_ascii_case("conv2d"));
    convolutions.map(|l| l["cycles"].as_f64().unwrap()).sum()
}

#[test]
fn budgets_are_kept_on_disk_in_ram_and_on_an_emulated_core() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let latency = format!("{LATENCY_MS}ms");
    let args = ["compress", small_model().to_str().unwrap(), "--data", "builtin:glyphs", "--samples", "300"];
    let own = ["--epochs", "0", "--flash", "0.5x", "--ram", "0.8x", "--latency", &latency, "-o", "o"];
    let report = json(folder, &[&args[..], &own, &["--board", "nucleo-f411re"]].concat());

    let package = std::fs::metadata(folder.join("o/model.dtmm")).unwrap().len();
    assert!(package <= report["flash"]["budget_bytes"].as_u64().unwrap(), "{package} bytes on disk");
    let arena = json(folder, &["inspect", "o/model.dtmm"])["arena_bytes"].as_u64().unwrap();
    assert!(arena <= report["ram"]["budget_bytes"].as_u64().unwrap(), "an arena of {arena} bytes");

    let bench = ["bench", "o/model.dtmm", "--core", "m4", "--board", "nucleo-f411re", "--format", "json"];
    let bench = output(folder, &bench);
    let said = String::from_utf8_lossy(&bench.stderr);
    if !bench.status.success() {
        assert!(MISSING.iter().any(|m| said.contains(m)), "{said}");
        return println!("SKIPPED: m4: {said}");
    }
    let bench: Value = serde_json::from_slice(&bench.stdout).unwrap();
    assert_eq!(
        (bench["package_bytes"].as_u64(), bench["arena_bytes"].as_u64()),
        (Some(package), Some(arena))
    );
    let counted = of_core(&bench["cores"], "m4");
    let estimated = of_core(&report["latency"], "m4");
    let [error, predicted] = ["error", "instructions"].map(|field| estimated[field].as_f64().unwrap());
    let instructions = counted["instructions"].as_f64().unwrap();
    println!("m4: {instructions} instructions, {predicted:.0} predicted, stated error {error:.3}");
    assert!((predicted / instructions - 1.0).abs() <= error, "{predicted} predicted, {instructions} counted");
    let [promised, ran] = [&report["layers"], &counted["layers"]].map(cycles_of_convolutions);
    println!("m4: {ran} cycles in convolutions, {promised:.0} predicted");
    assert!((promised / ran - 1.0).abs() <= error, "convolutions: {promised} predicted, {ran} counted");
    let time = counted["milliseconds"].as_f64().unwrap();
    assert!(time <= LATENCY_MS * (1.0 + error), "{time} ms from the cycles of the instructions that ran");
}
