//! int8 TFLite models, imported, packed and run, give the outputs of the TFLite reference kernels bit for bit.

#[path = "../../tflite/tests/golden/mod.rs"]
mod golden;

use dtmm_graph::{Data, ElementType};
use dtmm_pack::{HostModel, pack};
use golden::{Case, floats};

/// What a case's output differs in; empty when it is as expected, `None` where the model is missing.
fn differences(case: &Case) -> Option<String> {
    let graph = case.import()?;
    let package = match pack(&graph) {
        Ok(result) => result.bytes,
        Err(e) => return Some(format!("{}: cannot be packed: {e}", case.name)),
    };
    let model = HostModel::new(&package).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let mut session = model.session().unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let kind = graph.inputs[0].element_type;
    for (i, (input, expected)) in case.samples.iter().enumerate() {
        let found = match session.run_source(&[source(case, input, kind)]) {
            Ok(outputs) => outputs.into_iter().next().expect("one output"),
            Err(e) => return Some(format!("{}: {e}", case.name)),
        };
        if let Some(what) = difference(&found, expected) {
            return Some(format!("{} sample {i}: {what}", case.name));
        }
    }
    Some(String::new())
}

fn source(case: &Case, raw: &[u8], kind: ElementType) -> Data {
    match kind {
        ElementType::F32 => Data::F32(case.float_input(raw)),
        ElementType::U8 => Data::U8(raw.to_vec()),
        _ => Data::I8(raw.iter().map(|&b| b as i8).collect()),
    }
}

fn difference(found: &Data, expected: &[u8]) -> Option<String> {
    match found {
        Data::I8(v) => integers(v, &expected.iter().map(|&b| b as i8).collect::<Vec<_>>()),
        Data::U8(v) => integers(v, expected),
        Data::F32(v) => {
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let expected = floats(expected);
            (bits(v) != bits(&expected)).then(|| format!("{v:?} instead of {expected:?}"))
        }
        Data::I32(_) => Some("int32 output".into()),
    }
}

fn integers<T: PartialEq + Copy + Into<i32>>(found: &[T], expected: &[T]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} values instead of {}", found.len(), expected.len()));
    }
    let off = || found.iter().zip(expected).enumerate().filter(|(_, (a, b))| a != b);
    let (at, (&a, &b)) = off().next()?;
    let (count, (a, b)) = (off().count(), (a.into(), b.into()));
    Some(format!("{count} of {} values differ, first at {at}: {a} instead of {b}", found.len()))
}

fn check<'c>(cases: impl Iterator<Item = &'c Case>) {
    let bad: Vec<String> = cases.filter_map(differences).filter(|d| !d.is_empty()).collect();
    assert!(bad.is_empty(), "{} cases differ:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn every_int8_operator_is_bit_exact() {
    let cases = golden::load("int8");
    assert!(cases.len() > 100);
    check(cases.iter());
}

#[test]
fn every_int8_model_is_bit_exact() {
    let cases = golden::load("shared");
    let float = ["_f32", "_float", "lenet"];
    let int8 = cases.iter().filter(|c| !float.iter().any(|f| c.name.contains(f)));
    assert!(int8.clone().count() >= 15);
    check(int8);
}
