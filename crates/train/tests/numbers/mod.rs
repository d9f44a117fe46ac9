//! Fixed numbers for tests; `scripts/golden_training.py` makes the same ones.

/// Numbers in about -1..1 without a pattern.
pub fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..8).for_each(|_| {
        next();
    });
    (0..len).map(|_| next()).collect()
}
