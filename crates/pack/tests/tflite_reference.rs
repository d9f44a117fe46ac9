//! One-operator models against golden vectors of the TFLite reference kernels; `golden/make.py` makes them.

use std::path::{Path, PathBuf};

use dtmm_graph::Data;
use dtmm_pack::{HostModel, pack};

fn golden() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "tflite")).collect();
    models.sort();
    models
}

/// Number of outputs and of those that differ.
fn compare(model: &Path) -> (usize, usize) {
    let graph = dtmm_tflite::import_file(model).unwrap();
    let packed = pack(&graph).unwrap_or_else(|e| panic!("{}: {e}", model.display()));
    let host = HostModel::new(&packed.bytes).unwrap();
    let mut session = host.session().unwrap();
    let read = |extension: &str| -> Vec<i8> {
        std::fs::read(model.with_extension(extension)).unwrap().into_iter().map(|b| b as i8).collect()
    };
    let (inputs, expected) = (read("in"), read("out"));
    let mut rest = inputs.as_slice();
    let mut found = vec![];
    while !rest.is_empty() {
        let mut sample = vec![];
        for port in host.inputs() {
            let (values, tail) = rest.split_at(port.elements());
            sample.push(Data::I8(values.to_vec()));
            rest = tail;
        }
        let Data::I8(y) = session.run_source(&sample).unwrap().remove(0) else { panic!("not int8") };
        found.extend(y);
    }
    assert_eq!(found.len(), expected.len(), "{}", model.display());
    (found.len(), found.iter().zip(&expected).filter(|(a, b)| a != b).count())
}

#[test]
fn every_operator_equals_the_reference_bit_for_bit() {
    let models = golden();
    assert!(models.len() >= 50, "the golden vectors are missing");
    let wrong: Vec<String> = models
        .iter()
        .map(|model| (model, compare(model)))
        .filter(|(_, (_, differ))| *differ > 0)
        .map(|(m, (n, differ))| format!("{}: {differ} of {n}", m.file_stem().unwrap().to_string_lossy()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
