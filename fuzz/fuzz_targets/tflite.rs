#![no_main]
//! TFLite models; one that is read is sound.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = dtmm_tflite::import(bytes, "fuzz.tflite") {
        graph.verify().expect("an imported graph is sound");
    }
});
