#![no_main]
//! ONNX models; one that is read can be checked and written again.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = dtmm_onnx::import(bytes, "fuzz.onnx") {
        graph.verify().expect("an imported graph is sound");
        let _ = dtmm_onnx::export(&graph);
    }
});
