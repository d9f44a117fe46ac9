//! How one sample's glyph lies on the canvas.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::SIZE;
use super::trig::{cos, sin};

/// A uniform draw.
pub(super) fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

/// A wave that displaces points along one axis by their place on the other.
struct Wobble {
    amplitude: f32,
    frequency: f32,
    phase: f32,
}

impl Wobble {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        Wobble {
            amplitude: between(rng, 0.0, 0.16),
            frequency: between(rng, 1.5, 4.0),
            phase: between(rng, 0.0, 6.0),
        }
    }

    fn at(&self, x: f32) -> f32 {
        self.amplitude * sin(self.frequency * x + self.phase)
    }
}

/// Wobble, then an affine map from the unit square around 0 to pixels.
pub(super) struct Pose {
    wobble: [Wobble; 2],
    matrix: [[f32; 2]; 2],
    centre: [f32; 2],
}

impl Pose {
    pub(super) fn random(rng: &mut ChaCha8Rng) -> Self {
        let wobble = [Wobble::random(rng), Wobble::random(rng)];
        let angle = between(rng, -0.45, 0.45);
        let scale = [between(rng, 5.5, 9.0), between(rng, 5.5, 9.0)];
        let shear = between(rng, -0.3, 0.3);
        let (c, s) = (cos(angle), sin(angle));
        let matrix = [[c * scale[0], (c * shear - s) * scale[1]], [s * scale[0], (s * shear + c) * scale[1]]];
        let middle = SIZE as f32 / 2.0;
        let centre = [middle + between(rng, -2.8, 2.8), middle + between(rng, -2.8, 2.8)];
        Pose { wobble, matrix, centre }
    }

    /// Pixel coordinates of a point of the glyph.
    pub(super) fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let x = x + self.wobble[0].at(y);
        let y = y + self.wobble[1].at(x);
        let row = |r: usize| self.matrix[r][0] * x + self.matrix[r][1] * y + self.centre[r];
        [row(0), row(1)]
    }
}
