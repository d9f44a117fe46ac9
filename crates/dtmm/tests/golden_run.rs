//! `run` on `.tflite` files gives what the TFLite reference kernels give: int8 bit for bit, float within 1e-4.

#[path = "../../tflite/tests/golden/mod.rs"]
mod golden;

use dtmm::{RunRequest, Silent, run};
use dtmm_data::{NpyArray, NpyData, read_npy, write_npy};
use dtmm_graph::ElementType;
use golden::{Case, floats};

const TOLERANCE: f32 = 1e-4;

/// Runs all samples of a case in one file; what differs, or nothing.
fn difference(case: &Case) -> Option<String> {
    let graph = case.import()?;
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("m.tflite"), case.model.as_ref()?).expect("the model is written");
    write_npy(&path("x.npy"), &inputs(case, &graph.inputs[0])).expect("the samples are written");
    let request =
        RunRequest { model: path("m.tflite"), input: path("x.npy"), output: path("y.npy"), threads: 1 };
    if let Err(e) = run(&request, &Silent) {
        return Some(format!("{}: {e}", case.name));
    }
    let y = read_npy(&path("y.npy")).expect("the output is readable");
    let expected: Vec<u8> = case.samples.iter().flat_map(|s| s.1.clone()).collect();
    differs(&y.data, &expected).map(|what| format!("{}: {what}", case.name))
}

fn inputs(case: &Case, port: &dtmm_graph::Port) -> NpyArray {
    let raw: Vec<u8> = case.samples.iter().flat_map(|s| s.0.clone()).collect();
    let data = match port.element_type {
        ElementType::F32 => NpyData::F32(case.float_input(&raw)),
        ElementType::U8 => NpyData::U8(raw),
        _ => NpyData::I8(raw.iter().map(|&b| b as i8).collect()),
    };
    let shape = [case.samples.len()].into_iter().chain(port.source_shape[1..].iter().copied()).collect();
    NpyArray { shape, data }
}

fn differs(found: &NpyData, expected: &[u8]) -> Option<String> {
    match found {
        NpyData::I8(v) => {
            (!v.iter().map(|&x| x as u8).eq(expected.iter().copied())).then(|| "int8 differs".into())
        }
        NpyData::U8(v) => (v != expected).then(|| "uint8 differs".into()),
        NpyData::F32(v) => {
            let expected = floats(expected);
            let off = |(a, b): (&f32, &f32)| (a - b).abs() / b.abs().max(1.0);
            let worst = v
                .iter()
                .zip(&expected)
                .map(off)
                .fold(0.0, |w: f32, d| w.max(if d.is_nan() { 1.0 } else { d }));
            (v.len() != expected.len() || worst > TOLERANCE).then(|| format!("off by {worst}"))
        }
        other => Some(format!("unexpected type {}", other.type_name())),
    }
}

fn check<'c>(cases: impl Iterator<Item = &'c Case>) {
    let bad: Vec<String> = cases.filter_map(difference).collect();
    assert!(bad.is_empty(), "{} cases differ:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn float_operators_agree() {
    check(golden::load("float").iter());
}

#[test]
fn int8_operators_agree() {
    check(golden::load("int8").iter());
}

#[test]
fn models_agree() {
    check(golden::load("shared").iter().filter(|c| c.tap.is_empty()));
}
