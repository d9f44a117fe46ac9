//! Damaged files give errors: no panic, no memory beyond what the file justifies.

use std::path::Path;

use proptest::prelude::*;

/// Small models that together use most operators.
const MODELS: [&str; 6] =
    ["residual", "depthwise_grouped", "keras_transposes", "concat_split", "legacy_opset", "qdq"];

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.onnx"));
    std::fs::read(path).expect("a golden model")
}

/// Imports; what imports must also be writable or refuse with an error.
fn survive(bytes: &[u8]) -> bool {
    match dtmm_onnx::import(bytes, "damaged") {
        Ok(graph) => {
            let _ = dtmm_onnx::export(&graph);
            true
        }
        Err(e) => {
            assert!(!e.to_string().is_empty() && !e.help().is_empty());
            false
        }
    }
}

#[test]
fn every_truncation_is_an_error_or_a_valid_prefix() {
    for name in MODELS {
        let bytes = golden(name);
        assert!(survive(&bytes), "{name}");
        let survivors = (0..bytes.len()).filter(|&n| survive(&bytes[..n])).count();
        // Only the operator set version, the last field, may be cut off together with nothing else.
        assert!(survivors <= 16, "{name}: {survivors} truncated files imported");
    }
}

#[test]
fn garbage_is_refused() {
    assert!(!survive(b""));
    assert!(!survive(b"not a model at all"));
    assert!(!survive(&[0xff; 4096]));
    assert!(!survive(&vec![0x3a; 100_000]));
}

/// Fields nested far deeper than any model needs.
#[test]
fn deep_nesting_is_refused() {
    let mut bytes: Vec<u8> = vec![];
    for _ in 0..50_000 {
        // Field 7 (graph) of length `bytes.len()`; inside again field 1 (node), both length-delimited.
        let mut outer = vec![0x3a];
        let mut len = bytes.len();
        while len >= 0x80 {
            outer.push((len as u8 & 0x7f) | 0x80);
            len >>= 7;
        }
        outer.push(len as u8);
        if outer.len() + bytes.len() > 60_000 {
            break;
        }
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    assert!(!survive(&bytes));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_bytes_never_panic(
        model in 0..MODELS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = golden(MODELS[model]);
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        survive(&bytes);
    }

    #[test]
    fn removed_and_repeated_ranges_never_panic(
        model in 0..MODELS.len(),
        from in any::<prop::sample::Index>(),
        len in 1usize..60,
        repeat in any::<bool>(),
    ) {
        let mut bytes = golden(MODELS[model]);
        let from = from.index(bytes.len());
        let to = (from + len).min(bytes.len());
        let range = bytes[from..to].to_vec();
        if repeat {
            bytes.splice(from..from, range);
        } else {
            bytes.drain(from..to);
        }
        survive(&bytes);
    }
}
