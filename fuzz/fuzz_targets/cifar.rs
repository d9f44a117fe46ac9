#![no_main]
//! CIFAR-10 and CIFAR-100 binary files.

use dtmm_data::{CifarKind, parse_cifar};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for (kind, classes) in [(CifarKind::Cifar10, 10), (CifarKind::Cifar100, 100)] {
        if let Ok((pixels, labels)) = parse_cifar(bytes, kind) {
            assert_eq!(pixels.len(), labels.len() * 3072);
            assert!(labels.iter().all(|&l| l < classes));
        }
    }
});
