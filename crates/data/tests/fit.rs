//! Resizing, channels and subsets.

use dtmm_data::{Dataset, Samples};

fn images(shape: [usize; 3], pixels: Vec<u8>) -> Dataset {
    let count = pixels.len() / shape.iter().product::<usize>();
    Dataset {
        name: "set".into(),
        shape,
        samples: Samples::U8(pixels),
        labels: vec![0; count],
        classes: vec!["a".into()],
    }
}

fn labelled(labels: Vec<u32>, classes: usize) -> Dataset {
    Dataset {
        name: "set".into(),
        shape: [1, 1, 1],
        samples: Samples::F32((0..labels.len()).map(|i| i as f32).collect()),
        labels,
        classes: (0..classes).map(|c| c.to_string()).collect(),
    }
}

#[test]
fn bilinear_uses_half_pixel_centres() {
    let set = images([1, 2, 1], vec![0, 100]);
    // Centres at -0.25, 0.25, 0.75, 1.25 of the source.
    assert_eq!(set.resized(1, 4).expect("resized").samples, Samples::U8(vec![0, 25, 75, 100]));
    let set = images([4, 1, 1], vec![0, 10, 20, 30]);
    assert_eq!(set.resized(2, 1).expect("resized").samples, Samples::U8(vec![5, 25]));
    assert_eq!(set.resized(4, 1).expect("same"), set);
    assert!(set.resized(0, 1).is_err());
}

#[test]
fn resizing_keeps_channels_apart() {
    let set = images([1, 2, 3], vec![0, 100, 7, 40, 200, 7, 10, 10, 10, 10, 10, 10]);
    let out = set.resized(2, 1).expect("resized");
    assert_eq!(out.samples, Samples::U8(vec![20, 150, 7, 20, 150, 7, 10, 10, 10, 10, 10, 10]));
    assert_eq!((out.shape, out.len()), ([2, 1, 3], 2));
}

#[test]
fn images_fit_a_models_channels() {
    let rgb = images([1, 1, 3], vec![255, 0, 0, 255, 255, 255]);
    assert_eq!(rgb.fitted([1, 1, 1]).expect("grey").samples, Samples::U8(vec![76, 255]));
    let grey = images([1, 2, 1], vec![5, 5]);
    let fitted = grey.fitted([2, 2, 3]).expect("rgb");
    assert_eq!((fitted.shape, fitted.samples), ([2, 2, 3], Samples::U8(vec![5; 12])));
    let error = grey.fitted([1, 2, 4]).expect_err("4 channels").to_string();
    assert!(
        error.contains("expected samples of shape [1, 2, 4]") && error.contains("found [1, 2, 1]"),
        "{error}"
    );
}

#[test]
fn features_are_regrouped_but_not_resized() {
    let mut set = labelled(vec![0; 12], 1);
    (set.shape, set.labels) = ([3, 2, 1], vec![0, 0]);
    for shape in [[1, 1, 6], [1, 3, 2], [3, 2, 1]] {
        let fitted = set.fitted(shape).expect("regrouped");
        assert_eq!((fitted.shape, &fitted.samples), (shape, &set.samples));
    }
    assert!(set.fitted([4, 2, 1]).expect_err("other size").to_string().contains("found [3, 2, 1]"));
}

#[test]
fn take_is_balanced_and_seeded() {
    let labels: Vec<u32> = (0..100).map(|i| u32::from(i >= 90)).collect();
    let set = labelled(labels, 2);
    let some = set.take(12, 1);
    assert_eq!(some.class_counts(), [6, 6]);
    assert_eq!(some, set.take(12, 1));
    assert_ne!(some, set.take(12, 2));
    assert_eq!(set.take(40, 1).class_counts(), [30, 10]);
    assert_eq!(set.take(1000, 1), set);
    assert_eq!(set.take(0, 1).len(), 0);
}

#[test]
fn split_takes_a_part_of_each_class() {
    let labels: Vec<u32> = (0..31).map(|i| (i % 3).min(1) + u32::from(i == 30) * 2).collect();
    let set = labelled(labels, 3);
    let (first, second) = set.split(0.25, 9).expect("split");
    assert_eq!((first.class_counts(), second.class_counts()), (vec![7, 15, 1], vec![3, 5, 0]));
    assert_eq!(set.split(0.25, 9).expect("split"), (first, second));
    for fraction in [0.0, 1.0, -1.0, f32::NAN] {
        assert!(set.split(fraction, 0).is_err(), "{fraction}");
    }
}
