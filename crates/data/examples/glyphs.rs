//! Draws the demo's glyphs and writes them as `OUT/train_x.npy`, `train_y.npy`, `test_x.npy` and `test_y.npy`.

use std::path::PathBuf;

use dtmm_data::{DataError, Dataset, NpyArray, NpyData, Samples, demo, write_npy};

fn main() -> Result<(), DataError> {
    let out = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    let start = std::time::Instant::now();
    let sets = demo::glyphs(0, 6000, 1000);
    eprintln!("drawn in {:?}", start.elapsed());
    write(&out, "train", sets.train)?;
    write(&out, "test", sets.test)
}

fn write(out: &std::path::Path, split: &str, set: Dataset) -> Result<(), DataError> {
    let [h, w, c] = set.shape;
    let y = NpyData::U8(set.labels.iter().map(|&l| l as u8).collect());
    write_npy(&out.join(format!("{split}_y.npy")), &NpyArray { shape: vec![set.len()], data: y })?;
    let shape = vec![set.len(), h, w, c];
    let data = match set.samples {
        Samples::U8(v) => NpyData::U8(v),
        Samples::F32(v) => NpyData::F32(v),
    };
    write_npy(&out.join(format!("{split}_x.npy")), &NpyArray { shape, data })
}
