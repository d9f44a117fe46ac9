//! Writes the seeds of all targets but `tflite`, which starts from `crates/pack/tests/golden`:
//! `cargo run --example make_seeds` in `fuzz/`.

use std::error::Error;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use dtmm_data::{NpyArray, NpyData, write_npy};
use dtmm_graph::reference::evaluate;
use dtmm_graph::{Activation, Graph, GraphBuilder, Op, TensorId, Window};
use dtmm_quant::{Clipping, Observer, QuantOptions, quantize};
use image::ImageFormat;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    cifar(&seeds)?;
    idx(&seeds)?;
    numpy(&seeds)?;
    images(&seeds)?;
    models(&seeds)
}

fn put(seeds: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = seeds.join(name);
    fs::create_dir_all(path.parent().unwrap_or(seeds))?;
    Ok(fs::write(path, bytes)?)
}

fn cifar(seeds: &Path) -> Result<()> {
    put(seeds, "cifar/cifar10", &[&[7u8][..], &[0; 3072]].concat())?;
    put(seeds, "cifar/cifar100", &[&[19u8, 99][..], &[0; 3072]].concat())
}

fn idx(seeds: &Path) -> Result<()> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend(0..12);
    put(seeds, "idx/images", &bytes)?;
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    packed.write_all(&bytes)?;
    put(seeds, "idx/images.gz", &packed.finish()?)
}

fn numpy(seeds: &Path) -> Result<()> {
    let mut archive = zip::ZipWriter::new(Cursor::new(vec![]));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    fs::create_dir_all(seeds.join("numpy"))?;
    for (name, shape, data) in [
        ("x", vec![2, 1, 3], NpyData::F32(vec![0.5; 6])),
        ("y", vec![2], NpyData::I64(vec![0, 1])),
        ("u8", vec![4], NpyData::U8(vec![1, 2, 3, 4])),
    ] {
        let path = seeds.join(format!("numpy/{name}.npy"));
        write_npy(&path, &NpyArray { shape, data })?;
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&fs::read(path)?)?;
    }
    put(seeds, "numpy/xy.npz", &archive.finish()?.into_inner())
}

fn images(seeds: &Path) -> Result<()> {
    let picture = image::RgbImage::from_fn(5, 4, |x, y| image::Rgb([x as u8 * 40, y as u8 * 50, 9]));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm] {
        let mut bytes = Cursor::new(vec![]);
        picture.write_to(&mut bytes, format)?;
        put(seeds, &format!("image/picture.{}", format.extensions_str()[0]), &bytes.into_inner())?;
    }
    Ok(())
}

/// One net as ONNX and as a package, and a package of each golden model.
fn models(seeds: &Path) -> Result<()> {
    let float = net()?;
    put(seeds, "onnx/net.onnx", &dtmm_onnx::export(&float)?)?;
    put(seeds, "package/net.dtmm", &dtmm_pack::pack(&quantized(&float)?)?.bytes)?;
    for path in golden()? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let graph = dtmm_tflite::import_file(&path)?;
        put(seeds, &format!("package/{name}.dtmm"), &dtmm_pack::pack(&graph)?.bytes)?;
    }
    Ok(())
}

/// The first golden model of each operator: of files that differ behind the first `_` of a known operator, one is enough.
fn golden() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/pack/tests/golden");
    let mut paths = fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "tflite"));
    paths.sort();
    paths.dedup_by_key(|p| {
        let stem = p.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        stem.chars().take(5).collect::<String>()
    });
    Ok(paths)
}

/// Deterministic values in [-1, 1).
fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A small residual net whose convolutions are stored dense, as a bitmap and as gaps.
fn net() -> Result<Graph> {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", [1, 6, 5, 4]);
    let none = Activation::None;
    let dense = conv(&mut b, "dense", x, 8, 1);
    let bitmap = conv(&mut b, "bitmap", dense, 8, 2);
    let sum = b.op("sum", Op::Add { activation: Activation::Relu }, &[dense, bitmap]);
    let gaps = conv(&mut b, "gaps", sum, 8, 30);
    let filter = b.constant("dw.w", &[1, 3, 3, 8], values(72, 5));
    let window = b.window(gaps, filter, [1, 1], true);
    let depthwise =
        b.op("dw", Op::DepthwiseConv2d { window, activation: Activation::Relu6 }, &[gaps, filter]);
    let window = Window { stride: [2, 2], ..Window::new([2, 2]) };
    let pool = b.op("pool", Op::MaxPool { window, activation: none }, &[depthwise]);
    let mean = b.op("mean", Op::Mean { axes: vec![1, 2] }, &[pool]);
    let flat = b.op("flat", Op::Reshape { shape: [1, 1, 1, 8] }, &[mean]);
    let weights = b.constant("fc.w", &[3, 8], values(24, 6));
    let bias = b.constant("fc.b", &[3], values(3, 7));
    let logits = b.op("fc", Op::FullyConnected { activation: none }, &[flat, weights, bias]);
    let y = b.op("softmax", Op::Softmax { beta: 1.0 }, &[logits]);
    Ok(b.finish(&[y])?)
}

/// A 3×3 convolution that keeps every `keep`-th filterlet.
fn conv(b: &mut GraphBuilder, name: &str, x: TensorId, filters: usize, keep: usize) -> TensorId {
    let channels = b.shape(x)[3];
    let mut w = values(filters * 9 * channels, keep as u32);
    for (i, filterlet) in w.chunks_exact_mut(channels).enumerate() {
        if i % keep != 0 {
            filterlet.fill(0.0);
        }
    }
    let w = b.constant(&format!("{name}.w"), &[filters, 3, 3, channels], w);
    let bias = b.constant(&format!("{name}.b"), &[filters], values(filters, 3));
    b.conv2d(name, x, w, Some(bias), [1, 1], true, Activation::Relu)
}

fn quantized(float: &Graph) -> Result<Graph> {
    let mut observer = Observer::new();
    for seed in 0..4 {
        let x = values(float.tensor(float.inputs[0].tensor).len(), 100 + seed);
        let all = evaluate(float, &[&x])?;
        Observer::tensors(float).into_iter().for_each(|t| observer.observe(t, &all[t.index()]));
    }
    let ranges = observer.ranges(float, Clipping::MinMax)?;
    Ok(quantize(float, &ranges, &QuantOptions::default())?)
}
