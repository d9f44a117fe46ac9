//! The drawn data set: the same everywhere, and neither trivial nor noise.

use dtmm_data::{Dataset, Samples, demo};

fn pixels(set: &Dataset) -> &[u8] {
    match &set.samples {
        Samples::U8(v) => v,
        Samples::F32(_) => panic!("bytes expected"),
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn glyphs_are_the_same_everywhere() {
    let sets = demo::glyphs(7, 50, 20);
    assert_eq!(fnv(pixels(&sets.train)), TRAIN_CHECKSUM);
    assert_eq!(fnv(pixels(&sets.test)), TEST_CHECKSUM);
}

const TRAIN_CHECKSUM: u64 = 16_945_872_535_143_143_431;
const TEST_CHECKSUM: u64 = 15171792390556784146;

#[test]
fn glyphs_depend_on_seed_split_and_index_only() {
    let sets = demo::glyphs(3, 40, 40);
    let more = demo::glyphs(3, 60, 0);
    assert_eq!(pixels(&sets.train), &pixels(&more.train)[..40 * 576]);
    assert!(more.test.is_empty());
    assert_ne!(pixels(&sets.train), pixels(&sets.test));
    assert_ne!(pixels(&demo::glyphs(4, 40, 0).train), pixels(&sets.train));
    assert_eq!(sets.train.class_counts(), [4; 10]);
    assert_eq!(sets.train.classes.len(), 10);
}

#[test]
fn class_means_tell_some_glyphs_apart_but_not_most() {
    let sets = demo::glyphs(0, 2000, 500);
    let len = sets.train.sample_len();
    let mut means = vec![vec![0.0f32; len]; 10];
    for (sample, &label) in pixels(&sets.train).chunks_exact(len).zip(&sets.train.labels) {
        means[label as usize].iter_mut().zip(sample).for_each(|(m, &p)| *m += f32::from(p) / 200.0);
    }
    let distance =
        |m: &[f32], s: &[u8]| m.iter().zip(s).map(|(m, &p)| (m - f32::from(p)).powi(2)).sum::<f32>();
    let nearest = |s: &[u8]| {
        (0..10u32)
            .min_by(|&a, &b| distance(&means[a as usize], s).total_cmp(&distance(&means[b as usize], s)))
    };
    let samples = pixels(&sets.test).chunks_exact(len).zip(&sets.test.labels);
    let right = samples.filter(|(s, l)| nearest(s) == Some(**l)).count();
    println!("nearest class mean: {right} of 500 right");
    assert!((75..300).contains(&right), "{right} of 500");
}
