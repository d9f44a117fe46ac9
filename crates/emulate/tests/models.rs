//! The int8 models of the zoo give the host's bytes on every core, layer by layer.

use std::path::{Path, PathBuf};

use dtmm_emulate::{Case, Core, EmulateError, Options, checksum, run};
use dtmm_pack::HostModel;

/// A package with an input and what the host makes of it.
struct Model {
    name: String,
    package: Vec<u8>,
    input: Vec<i8>,
    checksums: Vec<u32>,
    outputs: Vec<Vec<i8>>,
}

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

fn load(path: &Path) -> Option<Model> {
    let graph = dtmm_tflite::import_file(path).ok().filter(|g| g.is_int8())?;
    let package = dtmm_pack::pack(&graph).ok()?.bytes;
    let host = HostModel::new(&package).unwrap();
    let elements: usize = host.inputs().iter().map(|p| p.elements()).sum();
    let input: Vec<i8> = (0..elements).map(|i| (i * 37 % 251) as u8 as i8).collect();
    let mut rest = input.as_slice();
    let inputs: Vec<&[i8]> = host.inputs().iter().map(|p| rest.split_off(..p.elements()).unwrap()).collect();
    let mut checksums = vec![];
    let outputs = host
        .session()
        .unwrap()
        .run_with(&inputs, &mut |_: u16, output: &[i8]| checksums.push(checksum(output)))
        .unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    Some(Model { name, package, input, checksums, outputs })
}

#[test]
fn zoo_models_give_the_hosts_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let models: Vec<Model> = files(&folder).iter().filter_map(|p| load(p)).collect();
    if models.is_empty() {
        println!("SKIPPED: ../shared missing");
        return;
    }
    for core in Core::ALL {
        for model in &models {
            let case = Case { package: &model.package, input: &model.input };
            let t = std::time::Instant::now();
            match run(core, &[case], &Options::default()) {
                Err(EmulateError::Room { .. }) => println!("{core}: {} does not fit", model.name),
                Err(error) => panic!("{core}: {}: {error}", model.name),
                Ok(reports) => {
                    let n: u64 = reports[0].layers.iter().map(|l| l.instructions).sum();
                    println!(
                        "{core} {}: {n} instructions, stack {}, {:?}",
                        model.name,
                        reports[0].stack_bytes,
                        t.elapsed()
                    );
                    assert!(reports[0].refused.is_none(), "{:?}", reports[0].refused);
                    let found: Vec<u32> = reports[0].layers.iter().map(|l| l.checksum).collect();
                    assert_eq!(found, model.checksums, "{core}: {}", model.name);
                    assert_eq!(reports[0].outputs, model.outputs);
                    assert!(reports[0].arena_kept);
                }
            }
        }
    }
}
