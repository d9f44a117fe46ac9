//! A data set that is drawn by code, so that the whole tool can be tried without a download.
//!
//! Ten hand-drawn-like glyphs on 24×24 grey canvases, each with its own rotation, shear, size, place, pen width, wobble,
//! contrast, shading, clutter lines and noise. Only additions, multiplications, divisions and square roots are used, which
//! IEEE 754 defines exactly: the same seed gives the same bytes on every machine, for any number of threads.

mod canvas;
mod pose;
mod shapes;
mod trig;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{Dataset, Samples, Splits};
use canvas::{Canvas, Segment};
use pose::{Pose, between};

/// Height and width of a glyph's canvas in pixels.
pub const SIZE: usize = 24;

/// `train` and `test` glyphs, shape `[24, 24, 1]`, bytes; classes take turns, so each has nearly the same number.
pub fn glyphs(seed: u64, train: usize, test: usize) -> Splits {
    Splits { train: part(seed, 0, train), test: part(seed, 1, test) }
}

fn part(seed: u64, part: u64, count: usize) -> Dataset {
    let classes = shapes::NAMES.len();
    let mut pixels = vec![0; count * SIZE * SIZE];
    pixels.par_chunks_exact_mut(SIZE * SIZE).enumerate().for_each(|(index, out)| {
        // A stream for each sample: what one draws does not depend on the others or on the threads.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(part << 40 | index as u64);
        draw(index % classes, &mut rng, out);
    });
    Dataset {
        name: "glyphs".into(),
        shape: [SIZE, SIZE, 1],
        samples: Samples::U8(pixels),
        labels: (0..count).map(|i| (i % classes) as u32).collect(),
        classes: shapes::NAMES.map(String::from).to_vec(),
    }
}

fn draw(class: usize, rng: &mut ChaCha8Rng, out: &mut [u8]) {
    let pose = Pose::random(rng);
    let mut ink = Canvas::new(SIZE);
    let half_width = between(rng, 0.45, 1.15);
    for stroke in shapes::strokes(class) {
        let points: Vec<_> = stroke.iter().map(|&p| pose.apply(p)).collect();
        for pair in points.windows(2) {
            ink.line(Segment { from: pair[0], to: pair[1], half_width }, 1.0);
        }
    }
    clutter(rng, &mut ink);
    shade(rng, &ink, out);
}

/// Thin strokes that belong to no glyph.
fn clutter(rng: &mut ChaCha8Rng, ink: &mut Canvas) {
    for _ in 0..rng.random_range(0..4u32) {
        let from = [between(rng, 0.0, SIZE as f32), between(rng, 0.0, SIZE as f32)];
        let to = [from[0] + between(rng, -9.0, 9.0), from[1] + between(rng, -9.0, 9.0)];
        let half_width = between(rng, 0.2, 0.7);
        ink.line(Segment { from, to, half_width }, between(rng, 0.4, 1.0));
    }
}

/// Ink over a sloping background, with noise.
fn shade(rng: &mut ChaCha8Rng, ink: &Canvas, out: &mut [u8]) {
    let background = between(rng, 20.0, 90.0);
    let contrast = between(rng, 70.0, 150.0);
    let slope = [between(rng, -1.5, 1.5), between(rng, -1.5, 1.5)];
    let noise = between(rng, 4.0, 22.0);
    for (i, (o, &cover)) in out.iter_mut().zip(ink.cover()).enumerate() {
        let (x, y) = ((i % SIZE) as f32, (i / SIZE) as f32);
        let value = background + slope[0] * x + slope[1] * y + contrast * cover + noise * bell(rng);
        *o = value.clamp(0.0, 255.0) as u8;
    }
}

/// Nearly normal, mean 0 and standard deviation 1: the sum of four bytes.
fn bell(rng: &mut ChaCha8Rng) -> f32 {
    let sum: u32 = rng.random::<[u8; 4]>().iter().map(|&b| u32::from(b)).sum();
    (sum as f32 - 510.0) / 147.8
}
