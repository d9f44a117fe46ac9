//! What a user sees when the data, the model's numbers or a package are wrong.

mod common;

use std::fs;
use std::path::Path;

use common::{error, json, small_model};

/// Height and width of the samples that the small model takes.
const SIZE: usize = 24;

/// Writes a NumPy array.
fn npy(path: &Path, kind: &str, shape: &[usize], data: &[u8]) {
    let shape: String = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    fs::write(path, file).unwrap();
}

/// Grey samples with these labels, as `x_NAME.npy` and `y_NAME.npy`.
fn samples(folder: &Path, name: &str, labels: &[i64]) {
    fs::create_dir_all(folder).unwrap();
    let x = vec![128; labels.len() * SIZE * SIZE];
    npy(&folder.join(format!("x_{name}.npy")), "|u1", &[labels.len(), SIZE, SIZE, 1], &x);
    let y: Vec<u8> = labels.iter().flat_map(|l| l.to_le_bytes()).collect();
    npy(&folder.join(format!("y_{name}.npy")), "<i8", &[labels.len()], &y);
}

fn model() -> &'static str {
    small_model().to_str().unwrap()
}

/// The temporary model's folder has another name in each run.
fn shown(text: &str) -> String {
    text.replace(&small_model().parent().unwrap().display().to_string(), "MODEL")
}

#[test]
fn labels_beyond_the_models_outputs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "test"] {
        samples(&folder.path().join("d"), split, &[0, 3, 12, 1]);
    }
    let text = error(folder.path(), &["eval", model(), "--data", "d"]);
    insta::assert_snapshot!(shown(&text), @r#"
    error: classes of d/x_test.npy: expected at most 10, the outputs of model 'demo-cnn', found 13
    help: use the data set that the model was trained on
    "#);
}

#[test]
fn labels_below_zero_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "test"] {
        samples(&folder.path().join("d"), split, &[0, -3, 1]);
    }
    let text = error(folder.path(), &["eval", model(), "--data", "d"]);
    insta::assert_snapshot!(shown(&text), @r#"
    error: data set
      cause: d/x_train.npy: label -3 of sample 1 is out of range; expected a whole number from 0 to 65535
    help: number the classes from 0, in the order of the model's outputs
    "#);
}

#[test]
fn without_training_samples_there_is_nothing_to_calibrate_with() {
    let folder = tempfile::tempdir().unwrap();
    samples(&folder.path().join("d"), "train", &[]);
    samples(&folder.path().join("d"), "test", &[0, 1, 2, 3]);
    let args = ["compress", model(), "--data", "d", "--flash", "0.5x", "-o", "o"];
    insta::assert_snapshot!(shown(&error(folder.path(), &args)), @r#"
    error: data set
      cause: d: no sample in the train split
    help: training samples calibrate and fine-tune the model, test samples measure it; give data with both
    "#);
    assert!(!folder.path().join("o").exists());
}

#[test]
fn a_model_with_weights_that_are_no_numbers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(small_model()).unwrap();
    // The file is mostly weights; eight bytes of ones hold a NaN wherever a float begins.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].fill(0xff);
    fs::write(folder.path().join("nan.onnx"), bytes).unwrap();
    let data = ["--data", "builtin:glyphs", "--samples", "100"];
    let compress = ["compress", "nan.onnx", "--flash", "0.5x", "--epochs", "0", "-o", "o"];
    let text = error(folder.path(), &[&compress[..], &data[..]].concat());
    assert!(
        text.contains("/weights' holds NaN at element") && text.contains("export the model again"),
        "{text}"
    );
    assert!(!folder.path().join("o/model.dtmm").exists());
}

#[test]
fn a_damaged_package_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", "builtin:glyphs", "--samples", "200"];
    let compress = ["compress", model(), "--flash", "0.5x", "--epochs", "0", "-o", "o"];
    json(folder.path(), &[&compress[..], &data[..]].concat());
    let whole = fs::read(folder.path().join("o/model.dtmm")).unwrap();
    let path = folder.path().join("bad.dtmm");
    let eval = [&["eval", "bad.dtmm"][..], &data[..]].concat();

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&path, flipped).unwrap();
    insta::assert_snapshot!(error(folder.path(), &eval), @r#"
    error: bad.dtmm: not a usable DTMM package
      cause: the package is refused: the checksum does not match: the package is damaged
    help: make the package again with `dtmm compress`
    "#);
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    insta::assert_snapshot!(error(folder.path(), &eval), @r#"
    error: bad.dtmm: not a usable DTMM package
      cause: the package is refused: the package is shorter than its header says
    help: make the package again with `dtmm compress`
    "#);
    fs::write(&path, b"DTMMgarbage").unwrap();
    insta::assert_snapshot!(error(folder.path(), &["inspect", "bad.dtmm"]), @r#"
    error: bad.dtmm: not a usable DTMM package
      cause: the package is refused: the package has format version 24935, expected 1
    help: make the package again with `dtmm compress`
    "#);
}

#[test]
fn a_packages_layers_get_their_names_from_the_report_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", "builtin:glyphs", "--samples", "200"];
    let compress = ["compress", model(), "--flash", "0.5x", "--epochs", "0", "-o", "o"];
    let report = json(folder.path(), &[&compress[..], &data[..]].concat());
    let names = |package: &str| -> Vec<String> {
        let inspected = json(folder.path(), &["inspect", package]);
        let layers = inspected["layers"].as_array().unwrap().iter();
        layers.map(|l| l["name"].as_str().unwrap().to_owned()).collect()
    };
    let known: Vec<&str> =
        report["layers"].as_array().unwrap().iter().filter_map(|l| l["name"].as_str()).collect();
    let named = names("o/model.dtmm");
    assert!(named.iter().all(|n| known.contains(&n.as_str())), "{named:?} of {known:?}");
    fs::copy(folder.path().join("o/model.dtmm"), folder.path().join("alone.dtmm")).unwrap();
    assert_eq!(names("alone.dtmm")[0], "Conv2d 0");

    let layers = json(folder.path(), &["inspect", "o/model.dtmm"])["layers"].clone();
    let first = &layers[0];
    let pixels = first["output_shape"][1].as_u64().unwrap() * first["output_shape"][2].as_u64().unwrap();
    assert_eq!(first["dense_macs"].as_u64().unwrap(), pixels * first["dense_weights"].as_u64().unwrap());
    assert_eq!(first["macs"].as_u64().unwrap(), pixels * first["weights"].as_u64().unwrap());
}

#[test]
fn quantisation_aware_epochs_are_run_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["compress", model(), "--data", "builtin:glyphs", "--samples", "600", "--flash", "0.5x"];
    let more = ["--epochs", "1", "--rounds", "1", "--qat-epochs", "1", "-o", "o"];
    let report = json(folder.path(), &[&args[..], &more[..]].concat());
    let told = &report["quantization"];
    assert_eq!(told["qat_epochs"], 1);
    assert!(told["qat_validation"].as_f64().is_some(), "{told}");
    assert!(report["flash"]["package_bytes"].as_u64() <= report["flash"]["budget_bytes"].as_u64());
    assert!(folder.path().join("o/run/qat.stage").is_file());
    assert!(!folder.path().join("o/run/qat.checkpoint").exists());
}

#[test]
fn a_teacher_of_another_task_is_refused_and_one_of_the_same_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "test"] {
        samples(&folder.path().join("d"), split, &[0, 1, 2].repeat(40));
    }
    let train = ["train", "--arch", "demo-cnn", "--data", "d", "--epochs", "1", "-o", "other.onnx"];
    json(folder.path(), &train);
    let args = ["compress", model(), "--data", "builtin:glyphs", "--samples", "400", "--flash", "0.5x"];
    let args = [&args[..], &["--epochs", "1", "--rounds", "1", "--qat-epochs", "0"]].concat();
    let with = |own: &[&'static str]| [&args[..], own].concat();
    let text = error(folder.path(), &with(&["--teacher", "other.onnx", "-o", "o"]));
    insta::assert_snapshot!(shown(&text), @r#"
    error: input and output of the teacher other.onnx: expected [24, 24, 1] to 10 values, found [24, 24, 1] to 3 values
    help: --teacher must name a float model of the same task as demo-cnn
    "#);
    assert!(!folder.path().join("o/report.json").exists());

    json(folder.path(), &with(&["-o", "alone"]));
    json(folder.path(), &with(&["--teacher", "alone/model.onnx", "-o", "taught"]));
    let read = |out: &str| fs::read(folder.path().join(out).join("model.dtmm")).unwrap();
    assert_ne!(read("alone"), read("taught"));
}
