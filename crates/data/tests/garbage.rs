//! No bytes make a parser panic or allocate more than the bytes justify.

use std::io::Write;

use dtmm_data::{
    CifarKind, NpyArray, NpyData, parse_cifar, parse_idx, parse_image, parse_npy, parse_npz, write_npy,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn npy() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("a.npy");
    write_npy(&path, &NpyArray { shape: vec![2, 3], data: NpyData::I16((0..6).collect()) }).expect("written");
    std::fs::read(path).expect("read")
}

fn npz() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    for name in ["x.npy", "y.npy"] {
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(name, options).expect("entry");
        writer.write_all(&npy()).expect("entry");
    }
    writer.finish().expect("archive").into_inner()
}

fn idx(gzip: bool) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend(0..6);
    if !gzip {
        return bytes;
    }
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(&bytes).expect("packed");
    encoder.finish().expect("packed")
}

fn picture(format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(vec![]);
    image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 7]))
        .write_to(&mut bytes, format)
        .expect("encoded");
    bytes.into_inner()
}

fn read_all(bytes: &[u8]) {
    let _ = parse_idx(bytes);
    let _ = parse_npy(bytes);
    let _ = parse_npz(bytes);
    let _ = parse_cifar(bytes, CifarKind::Cifar10);
    let _ = parse_cifar(bytes, CifarKind::Cifar100);
    let _ = parse_image(bytes, 3);
}

/// Bytes changed, cut and inserted.
fn mutated(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = seed.len();
    (vec((0..len, any::<u8>()), 0..6), 0..=len, vec(any::<u8>(), 0..9)).prop_map(
        move |(changes, cut, tail)| {
            let mut bytes = seed.clone();
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(if cut % 3 == 0 { cut } else { len });
            bytes.extend(tail.iter().filter(|_| cut % 5 == 0));
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_npy(bytes in mutated(npy())) { read_all(&bytes) }

    #[test]
    fn mutated_npz(bytes in mutated(npz())) { read_all(&bytes) }

    #[test]
    fn mutated_idx(bytes in mutated(idx(false))) { read_all(&bytes) }

    #[test]
    fn mutated_idx_gz(bytes in mutated(idx(true))) { read_all(&bytes) }

    #[test]
    fn mutated_png(bytes in mutated(picture(image::ImageFormat::Png))) { read_all(&bytes) }

    #[test]
    fn mutated_jpeg(bytes in mutated(picture(image::ImageFormat::Jpeg))) { read_all(&bytes) }

    #[test]
    fn mutated_bmp(bytes in mutated(picture(image::ImageFormat::Bmp))) { read_all(&bytes) }

    #[test]
    fn mutated_ppm(bytes in mutated(picture(image::ImageFormat::Pnm))) { read_all(&bytes) }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) { read_all(&bytes) }

    #[test]
    fn any_shape_in_the_header(dims in vec(0u64..=u64::MAX, 0..5), fortran: bool) {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let dims: Vec<String> = dims.iter().map(u64::to_string).collect();
        let order = if fortran { "True" } else { "False" };
        let text = format!("{{'descr': '>f8', 'fortran_order': {order}, 'shape': ({},), }}", dims.join(", "));
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        let read = parse_npy(&bytes);
        prop_assert!(read.is_err() || read.is_ok_and(|a| a.data.len() <= 1));
    }
}

#[test]
fn seeds_are_read() {
    assert_eq!(parse_npy(&npy()).expect("read").shape, [2, 3]);
    assert_eq!(parse_npz(&npz()).expect("read").len(), 2);
    assert_eq!(parse_idx(&idx(true)), parse_idx(&idx(false)));
    for format in
        [image::ImageFormat::Png, image::ImageFormat::Jpeg, image::ImageFormat::Bmp, image::ImageFormat::Pnm]
    {
        assert_eq!(parse_image(&picture(format), 3).expect("read").0, [7, 9, 3]);
    }
}

#[test]
fn numpy_variants_are_read() {
    let file = |text: &str, payload: &[u8]| {
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.extend(payload);
        bytes
    };
    let text = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
    let payload: Vec<u8> = [1i16, 2, 3, 4, 5, 6].iter().flat_map(|v| v.to_be_bytes()).collect();
    let array = parse_npy(&file(text, &payload)).expect("read");
    assert_eq!(array.data, NpyData::I16(vec![1, 3, 5, 2, 4, 6]));
    let scalar =
        parse_npy(&file("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", &[1])).expect("read");
    assert_eq!((scalar.shape, scalar.data), (vec![], NpyData::U8(vec![1])));
    let error = parse_npy(&file("{'descr': '<c8', 'fortran_order': False, 'shape': (), }", &[0; 8]))
        .expect_err("complex");
    assert!(error.to_string().contains("element type <c8 is not supported"), "{error}");
    let error = parse_npy(&file("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (), }", &[]))
        .expect_err("fields");
    assert!(error.to_string().contains("not supported"), "{error}");
}

/// A PNG whose header promises 60,000×60,000 pixels is refused before they are allocated.
#[test]
fn image_bomb_is_refused() {
    let mut bytes = picture(image::ImageFormat::Png);
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = flate2::Crc::new();
    let crc = {
        let mut c = crc;
        c.update(&bytes[12..29]);
        c.sum()
    };
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    let error = parse_image(&bytes, 3).expect_err("refused");
    assert!(error.to_lowercase().contains("limit"), "{error}");
}
