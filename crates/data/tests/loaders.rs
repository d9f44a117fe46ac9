//! Each layout on disk, written here and read back, and what is said when it is wrong.

use std::fs;
use std::io::Write;
use std::path::Path;

use dtmm_data::{
    CifarKind, DataError, Layout, LoadOptions, NpyArray, NpyData, Samples, Split, load, load_split,
    parse_cifar, read_npy, write_npy,
};

fn opts() -> LoadOptions {
    LoadOptions::default()
}

fn npy(path: &Path, shape: &[usize], data: NpyData) {
    write_npy(path, &NpyArray { shape: shape.to_vec(), data }).expect("written");
}

fn message(result: Result<impl std::fmt::Debug, DataError>) -> String {
    result.expect_err("an error").to_string()
}

fn u8s(samples: &Samples) -> &[u8] {
    match samples {
        Samples::U8(v) => v,
        Samples::F32(_) => panic!("bytes expected"),
    }
}

fn f32s(samples: &Samples) -> &[f32] {
    match samples {
        Samples::F32(v) => v,
        Samples::U8(_) => panic!("features expected"),
    }
}

fn cifar10_record(label: u8, seed: u8) -> Vec<u8> {
    let mut record = vec![label];
    record.extend((0..3072usize).map(|i| (i / 1024) as u8 * 50 + seed));
    record
}

#[test]
fn cifar10_folder_becomes_hwc_with_names() {
    let dir = tempfile::tempdir().expect("folder");
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    fs::write(dir.path().join("batches.meta.txt"), names).expect("written");
    fs::write(dir.path().join("data_batch_1.bin"), [cifar10_record(3, 1), cifar10_record(9, 2)].concat())
        .expect("written");
    fs::write(dir.path().join("data_batch_2.bin"), cifar10_record(0, 3)).expect("written");
    fs::write(dir.path().join("test_batch.bin"), cifar10_record(5, 4)).expect("written");
    let sets = load(dir.path(), &opts()).expect("loaded");
    assert_eq!(sets.train.labels, [3, 9, 0]);
    assert_eq!(sets.train.classes[3], "cat");
    assert_eq!(sets.train.shape, [32, 32, 3]);
    assert_eq!(u8s(&sets.train.samples)[..6], [1, 51, 101, 1, 51, 101]);
    assert_eq!(load_split(dir.path(), Split::Test, &opts()).expect("loaded"), sets.test);
}

#[test]
fn cifar_says_what_is_wrong() {
    let mut bytes = cifar10_record(3, 1);
    bytes.pop();
    let error = parse_cifar(&bytes, CifarKind::Cifar10).expect_err("truncated").to_string();
    assert!(error.contains("expected 3073 bytes, found 3072"), "{error}");
    let error = parse_cifar(&cifar10_record(10, 0), CifarKind::Cifar10).expect_err("label").to_string();
    assert!(error.contains("label 10 of sample 0 is out of range"), "{error}");
    assert!(parse_cifar(&[], CifarKind::Cifar100).is_err());
}

#[test]
fn cifar100_uses_fine_labels() {
    let mut record = cifar10_record(7, 0);
    record.insert(1, 99);
    let (_, labels) = parse_cifar(&record, CifarKind::Cifar100).expect("read");
    assert_eq!(labels, [99]);
}

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|d| d.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

#[test]
fn idx_folder_plain_and_gzip() {
    let dir = tempfile::tempdir().expect("folder");
    let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).expect("written");
    put("train-images-idx3-ubyte.gz", &gz(&idx(&[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])));
    put("train-labels-idx1-ubyte.gz", &gz(&idx(&[2], &[0, 1])));
    put("t10k-images.idx3-ubyte", &idx(&[1, 2, 3], &[0; 6]));
    put("t10k-labels.idx1-ubyte", &idx(&[1], &[4]));
    let sets = load(dir.path(), &opts()).expect("loaded");
    assert_eq!(sets.train.shape, [2, 3, 1]);
    assert_eq!(sets.train.labels, [0, 1]);
    assert_eq!(sets.train.classes.len(), 5, "classes are counted over both parts");
    assert_eq!(load_split(dir.path(), Split::Train, &opts()).expect("loaded"), sets.train);
    put("t10k-labels.idx1-ubyte", &idx(&[2], &[4, 4]));
    assert!(message(load(dir.path(), &opts())).contains("1 samples but 2 labels"));
    put("t10k-images.idx3-ubyte", &idx(&[4_000_000_000, 2, 3], &[0; 6]));
    assert!(message(load(dir.path(), &opts())).contains("expected 24000000016 bytes, found 22"));
}

#[test]
fn npy_pair_is_split_by_class_with_a_seed() {
    let dir = tempfile::tempdir().expect("folder");
    let labels: Vec<i64> = (0..50).map(|i| i % 5).collect();
    npy(&dir.path().join("x.npy"), &[50, 4], NpyData::F64((0..200).map(f64::from).collect()));
    npy(&dir.path().join("y.npy"), &[50], NpyData::I64(labels));
    let sets = load(dir.path(), &opts()).expect("loaded");
    assert_eq!(sets.train.shape, [1, 1, 4]);
    assert_eq!(sets.train.class_counts(), [8; 5]);
    assert_eq!(sets.test.class_counts(), [2; 5]);
    let mut first: Vec<f32> = [&sets.train, &sets.test].map(|s| f32s(&s.samples).to_vec()).concat();
    first.sort_by(f32::total_cmp);
    assert_eq!(first, (0..200).map(|i| i as f32).collect::<Vec<_>>());
    assert_eq!(load(dir.path(), &opts()).expect("loaded"), sets);
    assert_ne!(load(dir.path(), &LoadOptions { seed: 1, ..opts() }).expect("loaded"), sets);
    assert_eq!(load(&dir.path().join("x.npy"), &opts()).expect("loaded").test.labels, sets.test.labels);
}

#[test]
fn nchw_arrays_become_hwc() {
    let dir = tempfile::tempdir().expect("folder");
    npy(&dir.path().join("train_x.npy"), &[1, 2, 1, 3], NpyData::I8(vec![1, 2, 3, -1, -2, -3]));
    npy(&dir.path().join("train_y.npy"), &[1, 1], NpyData::U8(vec![0]));
    npy(&dir.path().join("x_test.npy"), &[1, 2, 1, 3], NpyData::I32(vec![0; 6]));
    npy(&dir.path().join("y_test.npy"), &[1], NpyData::F32(vec![1.0]));
    fs::write(dir.path().join("classes.txt"), "up\ndown\n").expect("written");
    let sets = load(dir.path(), &LoadOptions { layout: Layout::Nchw, ..opts() }).expect("loaded");
    assert_eq!(sets.train.shape, [1, 3, 2]);
    assert_eq!(f32s(&sets.train.samples), [1.0, -1.0, 2.0, -2.0, 3.0, -3.0]);
    assert_eq!(sets.test.classes, ["up", "down"]);
}

#[test]
fn arrays_say_what_is_wrong() {
    let dir = tempfile::tempdir().expect("folder");
    let (x, y) = (dir.path().join("x.npy"), dir.path().join("y.npy"));
    let fail = |xs: &[usize], xd, ys: &[usize], yd| {
        npy(&x, xs, xd);
        npy(&y, ys, yd);
        message(load(dir.path(), &opts()))
    };
    let floats = |n: usize| NpyData::F32(vec![0.0; n]);
    assert!(fail(&[3, 2], floats(6), &[2], floats(2)).contains("3 samples but 2 labels"));
    assert!(fail(&[2], floats(2), &[2], floats(2)).contains("[N, H, W, C], found [2]"));
    assert!(fail(&[2, 0], floats(0), &[2], floats(2)).contains("found [2, 0]"));
    assert!(fail(&[2, 1], floats(2), &[2, 2], floats(4)).contains("argmax"));
    let error = fail(&[2, 1], floats(2), &[2], NpyData::I8(vec![0, -1]));
    assert!(error.contains("label -1 of sample 1 is out of range"), "{error}");
    assert!(fail(&[2, 1], floats(2), &[2], NpyData::F32(vec![0.5, 0.0])).contains("label 0.5 of sample 0"));
    let error = fail(&[2, 1], NpyData::F32(vec![0.0, f32::NAN]), &[2], floats(2));
    assert!(error.contains("sample 1 holds NaN"), "{error}");
    assert!(fail(&[0, 1], floats(0), &[0], floats(0)).contains("no sample in the train split"));
    fs::write(dir.path().join("classes.txt"), "a\nb\n").expect("written");
    let error = fail(&[2, 1], floats(2), &[2], NpyData::U8(vec![0, 2]));
    assert!(
        error.contains("label 2 of sample 1 is out of range; expected a whole number from 0 to 1"),
        "{error}"
    );
    fs::remove_file(&y).expect("removed");
    assert!(message(load(&x, &opts())).contains("labels"));
    assert!(message(load(dir.path(), &opts())).contains("no data set found here"));
    assert!(message(load(&dir.path().join("none"), &opts())).contains("cannot read"));
}

fn npz(path: &Path, arrays: &[(&str, NpyArray)]) {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).expect("created"));
    let file = path.with_extension("tmp.npy");
    for (name, array) in arrays {
        write_npy(&file, array).expect("written");
        let method = zip::CompressionMethod::Deflated;
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).expect("entry");
        writer.write_all(&fs::read(&file).expect("read")).expect("entry");
    }
    fs::remove_file(&file).expect("removed");
    writer.finish().expect("archive");
}

#[test]
fn npz_alone_and_as_split_files() {
    let dir = tempfile::tempdir().expect("folder");
    let x = |n: usize| NpyArray { shape: vec![n, 4, 2], data: NpyData::U8(vec![7; n * 8]) };
    let y = |n: usize| NpyArray { shape: vec![n], data: NpyData::U8((0..n as u8).collect()) };
    let single = dir.path().join("digits.npz");
    npz(&single, &[("x_train", x(3)), ("y_train", y(3)), ("x_test", x(4)), ("y_test", y(4))]);
    let sets = load(&single, &opts()).expect("loaded");
    assert_eq!((sets.train.len(), sets.test.len(), sets.train.shape), (3, 4, [4, 2, 1]));
    assert_eq!(sets.train.classes.len(), 4);
    npz(&single, &[("a", x(1))]);
    assert!(message(load(&single, &opts())).contains("found [\"a\"]"));
    npz(&dir.path().join("train.npz"), &[("x", x(3)), ("y", y(3))]);
    npz(&dir.path().join("test.npz"), &[("x", x(2))]);
    assert!(message(load(dir.path(), &opts())).contains("test.npz: array y is missing"));
    npz(&dir.path().join("test.npz"), &[("x", x(2)), ("y", y(2))]);
    assert_eq!(load(dir.path(), &opts()).expect("loaded").test.labels, [0, 1]);
}

fn picture(path: &Path, size: u32, value: u8) {
    fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    image::RgbImage::from_pixel(size, size, image::Rgb([value, 0, 0])).save(path).expect("saved");
}

#[test]
fn class_folders_with_and_without_split() {
    let dir = tempfile::tempdir().expect("folder");
    for (class, value) in [("stop", 10), ("go", 20)] {
        for (i, extension) in ["png", "ppm", "bmp", "png", "PNG"].iter().enumerate() {
            picture(&dir.path().join(class).join(format!("{i}.{extension}")), 4, value);
        }
    }
    let sets = load(dir.path(), &opts()).expect("loaded");
    assert_eq!(sets.train.classes, ["go", "stop"]);
    assert_eq!((sets.train.class_counts(), sets.test.class_counts()), (vec![4, 4], vec![1, 1]));
    assert_eq!(u8s(&sets.test.samples)[..3], [20, 0, 0]);
    let grey =
        load(dir.path(), &LoadOptions { channels: Some(1), size: Some([2, 3]), ..opts() }).expect("loaded");
    assert_eq!(grey.train.shape, [2, 3, 1]);
    assert_eq!(u8s(&grey.train.samples)[0], 4);
}

#[test]
fn split_folders_share_the_train_classes() {
    let dir = tempfile::tempdir().expect("folder");
    let at = |name: &str| dir.path().join(name);
    for name in ["train/a/1.png", "train/b/1.png", "train/c/1.png", "val/c/1.png"] {
        picture(&at(name), 4, 9);
    }
    let sets = load(dir.path(), &opts()).expect("loaded");
    assert_eq!((&sets.train.labels[..], &sets.test.labels[..]), (&[0, 1, 2][..], &[2][..]));
    assert_eq!(load_split(dir.path(), Split::Test, &opts()).expect("loaded"), sets.test);
    picture(&at("val/d/1.png"), 4, 9);
    assert!(message(load(dir.path(), &opts())).contains("class folder \"d\" is missing"));
    fs::remove_dir_all(at("val/d")).expect("removed");
    picture(&at("val/c/1.png"), 5, 9);
    assert!(
        message(load(dir.path(), &opts())).contains("test samples of the train samples' shape [4, 4, 3]")
    );
    picture(&at("train/b/2.png"), 5, 9);
    assert!(
        message(load(dir.path(), &opts())).contains("height 4 and width 4 as the first one, found height 5")
    );
    fs::write(at("train/b/2.png"), b"\x89PNG\r\n\x1a\ngarbage").expect("written");
    let error = message(load(dir.path(), &opts()));
    assert!(error.contains("2.png: unreadable image"), "{error}");
    fs::create_dir(at("train/empty")).expect("created");
    assert!(message(load(dir.path(), &opts())).contains("class \"empty\" holds no image"));
}

#[test]
fn written_npy_reads_back_and_leaves_nothing_else() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("y.npy");
    for data in [
        NpyData::U8(vec![1, 255]),
        NpyData::I8(vec![-128, 127]),
        NpyData::I16(vec![-300, 300]),
        NpyData::I32(vec![-70_000, 70_000]),
        NpyData::I64(vec![-1 << 40, 1 << 40]),
        NpyData::F32(vec![1.5, -2.25]),
        NpyData::F64(vec![1e300, -1.0]),
    ] {
        let array = NpyArray { shape: vec![2, 1], data };
        write_npy(&path, &array).expect("written");
        assert_eq!(read_npy(&path).expect("read"), array);
    }
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    let wrong = NpyArray { shape: vec![3], data: NpyData::U8(vec![1]) };
    assert!(message(write_npy(&path, &wrong)).contains("expected [3], found 1 values"));
}
