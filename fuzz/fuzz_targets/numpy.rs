#![no_main]
//! NumPy's `.npy` and `.npz` files.

use dtmm_data::{NpyArray, parse_npy, parse_npz};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = parse_npy(bytes) {
        check(&array);
    }
    for array in parse_npz(bytes).unwrap_or_default().values() {
        check(array);
    }
});

fn check(array: &NpyArray) {
    assert_eq!(array.data.len(), array.shape.iter().product::<usize>());
    assert_eq!(array.data.to_f32().len(), array.data.len());
}
