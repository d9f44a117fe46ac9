//! The int8 models of the zoo and the importer's golden models give the host's bytes on every core, layer by layer.

mod common;

use std::path::{Path, PathBuf};

use dtmm_emulate::{Core, EmulateError, Options, checksum};
use dtmm_pack::HostModel;

/// A package with an input and what the host makes of it.
struct Model {
    name: String,
    package: Vec<u8>,
    input: Vec<i8>,
    checksums: Vec<u32>,
    outputs: Vec<Vec<i8>>,
}

/// All `.tflite` files in a folder and those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "tflite") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `None` for a float model.
fn load(path: &Path) -> Option<Model> {
    let graph = dtmm_tflite::import_file(path).ok().filter(|g| g.is_int8())?;
    let package = dtmm_pack::pack(&graph).unwrap_or_else(|e| panic!("{}: {e}", path.display())).bytes;
    let host = HostModel::new(&package).expect("a fresh package is whole");
    let elements: usize = host.inputs().iter().map(|p| p.elements()).sum();
    let input: Vec<i8> = (0..elements).map(|i| (i * 37 % 251) as u8 as i8).collect();
    let mut rest = input.as_slice();
    let split = |p: &dtmm_pack::PortDescription| rest.split_off(..p.elements()).expect("long enough");
    let inputs: Vec<&[i8]> = host.inputs().iter().map(split).collect();
    let mut checksums = vec![];
    let mut session = host.session().expect("checked");
    let outputs = session.run_with(&inputs, &mut |_: u16, output: &[i8]| checksums.push(checksum(output)));
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Some(Model { name, package, outputs: outputs.expect("the host runs it"), input, checksums })
}

/// Runs all models that fit the core's machine; the others are named.
fn same_as_host(core: Core, models: &[Model]) {
    fn case<'a>(m: &'a &Model) -> dtmm_emulate::Case<'a> {
        common::case(&m.package, &m.input)
    }
    let fits = |m: &&Model| match dtmm_emulate::fits(core, &case(m)) {
        Ok(()) => true,
        Err(error @ EmulateError::Room { .. }) => {
            println!("SKIPPED: {core}: {}: {error}", m.name);
            false
        }
        Err(error) => panic!("{core}: {error}"),
    };
    let models: Vec<&Model> = models.iter().filter(fits).collect();
    let cases: Vec<_> = models.iter().map(case).collect();
    let Some(reports) = common::run(core, &cases, &Options::default()) else { return };
    for (model, report) in models.iter().zip(&reports) {
        let name = &model.name;
        assert_eq!(report.refused, None, "{core}: {name}");
        let found: Vec<u32> = report.layers.iter().map(|l| l.checksum).collect();
        let wrong = found.iter().zip(&model.checksums).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "{core}: {name}: first layer that differs");
        assert_eq!((found.len(), &report.outputs), (model.checksums.len(), &model.outputs), "{core}: {name}");
        assert!(report.arena_kept, "{core}: {name} wrote behind the arena");
        assert!(report.stack_bytes <= common::STACK, "{core}: {name}: {} bytes of stack", report.stack_bytes);
    }
}

#[test]
fn zoo_models() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let models: Vec<Model> = files(&folder).iter().filter_map(|p| load(p)).collect();
    if models.is_empty() {
        println!("SKIPPED: ../shared missing");
        return;
    }
    Core::ALL.into_iter().for_each(|core| same_as_host(core, &models));
}

#[test]
fn golden_models() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pack/tests/golden");
    let models: Vec<Model> = files(&folder).iter().filter_map(|p| load(p)).collect();
    assert!(models.len() >= 50, "the golden models are missing");
    Core::ALL.into_iter().for_each(|core| same_as_host(core, &models));
}
