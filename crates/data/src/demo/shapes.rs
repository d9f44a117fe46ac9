//! The ten glyphs as strokes in the square -1..=1, y down.

use std::f32::consts::{PI, TAU};

use super::trig::{cos, sin};

/// Class names, by label.
pub(super) const NAMES: [&str; 10] =
    ["circle", "triangle", "square", "cross", "arrow", "zigzag", "spiral", "wave", "hourglass", "anchor"];

type Stroke = Vec<[f32; 2]>;

/// Strokes of class `class`, each a row of points; curves are fine enough for the canvas.
pub(super) fn strokes(class: usize) -> Vec<Stroke> {
    match class {
        0 => vec![arc([0.0, 0.0], 0.9, 0.0, TAU)],
        1 => vec![fine(&[[0.0, -0.9], [0.9, 0.8], [-0.9, 0.8], [0.0, -0.9]])],
        2 => vec![fine(&[[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8], [-0.8, -0.8]])],
        3 => vec![fine(&[[0.0, -0.9], [0.0, 0.9]]), fine(&[[-0.9, 0.0], [0.9, 0.0]])],
        4 => vec![fine(&[[-0.9, 0.0], [0.9, 0.0]]), fine(&[[0.3, -0.6], [0.9, 0.0], [0.3, 0.6]])],
        5 => vec![fine(&[[-0.8, -0.8], [0.8, -0.8], [-0.8, 0.8], [0.8, 0.8]])],
        6 => vec![spiral()],
        7 => vec![wave()],
        8 => vec![fine(&[[-0.8, -0.8], [0.8, -0.8], [-0.8, 0.8], [0.8, 0.8], [-0.8, -0.8]])],
        _ => vec![fine(&[[0.0, -0.9], [0.0, 0.9]]), arc([0.0, 0.1], 0.8, 0.0, PI)],
    }
}

/// Corners with points between them, so that wobble bends the lines.
fn fine(corners: &[[f32; 2]]) -> Stroke {
    const STEPS: usize = 5;
    let mut points = vec![];
    for pair in corners.windows(2) {
        points.extend((0..=STEPS).map(|i| {
            let t = i as f32 / STEPS as f32;
            [pair[0][0] + t * (pair[1][0] - pair[0][0]), pair[0][1] + t * (pair[1][1] - pair[0][1])]
        }));
    }
    points
}

fn arc(centre: [f32; 2], radius: f32, from: f32, to: f32) -> Stroke {
    const STEPS: usize = 18;
    let point = |i: usize| {
        let angle = from + (to - from) * i as f32 / STEPS as f32;
        [centre[0] + radius * cos(angle), centre[1] + radius * sin(angle)]
    };
    (0..=STEPS).map(point).collect()
}

/// One and three quarter turns outwards.
fn spiral() -> Stroke {
    const STEPS: usize = 28;
    let point = |i: usize| {
        let t = i as f32 / STEPS as f32;
        let (radius, angle) = (0.08 + 0.87 * t, 1.75 * TAU * t);
        [radius * cos(angle), radius * sin(angle)]
    };
    (0..=STEPS).map(point).collect()
}

/// One period and a half.
fn wave() -> Stroke {
    const STEPS: usize = 20;
    let point = |i: usize| {
        let t = i as f32 / STEPS as f32;
        [-0.95 + 1.9 * t, 0.65 * sin(1.5 * TAU * t)]
    };
    (0..=STEPS).map(point).collect()
}
