#![no_main]
//! PNG, JPEG, BMP and PNM files: mostly that no header makes the decoders allocate what the file cannot justify.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for channels in [1, 3] {
        if let Ok((shape, pixels)) = dtmm_data::parse_image(bytes, channels) {
            assert_eq!(pixels.len(), shape.iter().product::<usize>());
        }
    }
});
