//! Sine and cosine from exactly defined operations only, so that glyphs are the same on every machine.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

/// Sine, within 1e-5 for |x| < 100.
pub(super) fn sin(x: f32) -> f32 {
    let turns = (x / TAU + 0.5).floor();
    let x = x - turns * TAU;
    // Reflected into -pi/2..=pi/2, where the Taylor series of degree 9 is exact to 4e-6.
    let x = if x > FRAC_PI_2 {
        PI - x
    } else if x < -FRAC_PI_2 {
        -PI - x
    } else {
        x
    };
    let s = x * x;
    x * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s / 362_880.0))))
}

/// Cosine, as [`sin`].
pub(super) fn cos(x: f32) -> f32 {
    sin(x + FRAC_PI_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_system_functions() {
        for i in -2000..2000 {
            let x = i as f32 * 0.01;
            assert!((sin(x) - x.sin()).abs() < 1e-5, "sin {x}");
            assert!((cos(x) - x.cos()).abs() < 1e-5, "cos {x}");
        }
    }
}
