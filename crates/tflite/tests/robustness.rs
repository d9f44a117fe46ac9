//! Whatever the bytes are, an import ends with a graph or an error, and takes time and memory in proportion to them.

mod golden;

use dtmm_tflite::{ImportError, import};
use proptest::prelude::*;

/// A few small models that together use most operator families.
fn models() -> Vec<Vec<u8>> {
    let names =
        ["net_0", "net_4", "option_a_shortcut", "split_concat", "channel_shuffle", "conv_1d_expand_squeeze"];
    let cases = golden::load("int8").into_iter().filter(|c| names.contains(&c.name.as_str()));
    let models: Vec<Vec<u8>> = cases.filter_map(|c| c.model).collect();
    assert_eq!(models.len(), names.len());
    models
}

#[test]
fn every_truncation_ends_in_an_error_or_a_graph() {
    for model in models() {
        let intact = import(&model, "m").expect("the whole model imports");
        for len in 0..model.len() {
            // Only trailing padding may be missing without harm.
            if let Ok(graph) = import(&model[..len], "m") {
                assert_eq!(graph, intact, "truncated to {len} of {}", model.len());
            }
        }
    }
}

/// Overwrites each aligned word of the file in turn: every offset, length, index and dimension is hit.
#[test]
fn every_word_may_be_wrong() {
    let extreme = [0, 1, 4, 0x7f, 0xff, 0xffff, i32::MAX as u32, 1 << 31, u32::MAX, u32::MAX - 3];
    for model in models().iter().take(3) {
        for at in (0..model.len() - 3).step_by(4) {
            for value in extreme {
                let mut broken = model.clone();
                broken[at..at + 4].copy_from_slice(&value.to_le_bytes());
                let _ = import(&broken, "m");
            }
        }
    }
}

#[test]
fn every_byte_may_be_wrong() {
    for model in models().iter().take(2) {
        for at in 0..model.len() {
            for bit in 0..8 {
                let mut broken = model.clone();
                broken[at] ^= 1 << bit;
                let _ = import(&broken, "m");
            }
        }
    }
}

#[test]
fn what_is_no_model_says_so() {
    for bytes in [&b""[..], b"TFL3", b"\x08\x00\x00\x00TFL3", b"PK\x03\x04 some zip archive", &[0xff; 64]] {
        let error = import(bytes, "thing.tflite").unwrap_err();
        assert!(matches!(error, ImportError::Format { .. }), "{error}");
        assert!(error.to_string().contains("thing.tflite"), "{error}");
        assert!(!error.help().is_empty());
    }
}

/// A vector of a million references to one table costs 4 MB in the file and must not cost hundreds in memory.
#[test]
fn a_bomb_is_refused() {
    let mut b = Vec::new();
    let word = |b: &mut Vec<u8>, v: u32| b.extend(v.to_le_bytes());
    word(&mut b, 28); // the root table is at 28
    b.extend(b"TFL3");
    b.extend([14, 0, 12, 0, 4, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]); // at 8: the root has version and subgraphs
    b.extend([4, 0, 4, 0]); // at 24: a table without any field
    word(&mut b, 20); // at 28: the root's directory is 20 bytes before it
    word(&mut b, 3); // schema version
    word(&mut b, 4); // the vector of subgraphs follows
    let count = 1_000_000;
    word(&mut b, count);
    for i in 0..count {
        word(&mut b, 4 * (count - i)); // every entry means the table at the end
    }
    let end = b.len() as u32;
    word(&mut b, end - 24);
    let error = import(&b, "bomb").unwrap_err();
    assert!(error.to_string().contains("again and again"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_damage_never_panics(which in 0usize..6, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let mut model = models().swap_remove(which);
        for (at, value) in damage {
            let at = at.index(model.len());
            model[at] = value;
        }
        let _ = import(&model, "m");
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if bytes.len() >= 8 {
            bytes[4..8].copy_from_slice(b"TFL3");
            bytes[1..4].fill(0);
        }
        let _ = import(&bytes, "m");
    }
}
