//! The real data sets beside the repository, where they are.

use std::path::PathBuf;

/// A class-per-folder or array data set that was unpacked with `../shared/data/unpack.py` into `$DTMM_DATA`.
fn data(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("DTMM_DATA").map(PathBuf::from).map(|p| p.join(name)).filter(|p| p.exists());
    if path.is_none() {
        println!("SKIPPED: $DTMM_DATA/{name} missing");
    }
    path
}

#[test]
fn unpacked_sets_have_the_published_sizes() {
    let opts = dtmm_data::LoadOptions::default();
    for (name, shape, classes, train, test) in [
        ("cifar-10-batches-bin", [32, 32, 3], 10, 50_000, 5_000),
        ("gtsrb", [35, 35, 3], 43, 8_096, 3_975),
        ("mnist", [28, 28, 1], 10, 60_000, 10_000),
        ("fsdd", [49, 10, 1], 10, 2_700, 300),
    ] {
        let Some(path) = data(name) else { continue };
        let start = std::time::Instant::now();
        let sets = dtmm_data::load(&path, &opts).expect("loaded");
        println!("{name}: {:?}", start.elapsed());
        assert_eq!(sets.train.shape, shape, "{name}");
        assert_eq!(sets.train.classes.len(), classes, "{name}");
        assert_eq!((sets.train.len(), sets.test.len()), (train, test), "{name}");
    }
}
