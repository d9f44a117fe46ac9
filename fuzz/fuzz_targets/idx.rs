#![no_main]
//! IDX files, plain and gzip.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = dtmm_data::parse_idx(bytes) {
        assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
    }
});
