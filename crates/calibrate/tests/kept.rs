//! A calibration that was cut off goes on where it was, and one that is done is not measured again.

use std::path::Path;

use dtmm_calibrate::{CalibrateError, CoreFit, Kept, Size, calibrate};
use dtmm_emulate::{Core, EmulateError};

const SEED: u64 = 5;

/// Calibrates with the measurements in `path`, up to so many layers; the layers that were begun with.
fn up_to(path: &Path, limit: usize) -> Result<CoreFit, CalibrateError> {
    let mut kept = Kept::open(path).unwrap();
    calibrate(Core::M3, Size::Sample, SEED, &mut kept, &mut |done, _| done < limit)
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_calibration_goes_on_where_it_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("measured.txt");
    match up_to(&path, 100) {
        Err(CalibrateError::Interrupted) => {}
        Err(CalibrateError::Emulate {
            source:
                error @ (EmulateError::Qemu { .. } | EmulateError::Target { .. } | EmulateError::Plugins { .. }),
            ..
        }) => return println!("SKIPPED: m3: {error}"),
        other => panic!("{other:?}"),
    }
    let first = lines(&path);
    assert!(first.len() >= 100, "{} layers were kept", first.len());
    // Only what is known can give a number that the emulator would not.
    let marked = first[0].split(' ').take(3).chain(["123456789", "1", "."]).collect::<Vec<_>>().join(" ");
    std::fs::write(&path, [&[marked], &first[1..]].concat().join("\n") + "\n").unwrap();
    let fit = up_to(&path, usize::MAX).unwrap();
    assert_eq!((fit.layers[0].instructions, fit.layers[0].cycles.clone()), (123_456_789.0, vec![1.0]));
    let all = lines(&path);
    assert_eq!((&all[1..first.len()], all.len()), (&first[1..], fit.layers.len()));
    let again = up_to(&path, usize::MAX).unwrap();
    assert_eq!((again.layers, lines(&path)), (fit.layers, all));
}
