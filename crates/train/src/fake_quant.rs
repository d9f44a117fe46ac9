//! Rounding to int8 in the forward pass, straight through in the backward pass.

use std::collections::BTreeMap;

use dtmm_graph::TensorId;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{exec::Param, simd::simd};

/// What quantisation-aware training rounds. The graph has no batch normalisation: fold it before calibrating.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FakeQuant {
    /// Rounds weights to 255 levels, symmetric around zero, one scale per output channel.
    pub weights: bool,
    /// One scale per output channel for fully connected layers too; otherwise one for the whole matrix.
    pub per_channel_fully_connected: bool,
    /// Scale and zero point of each activation to round to 256 levels; the graph's inputs included.
    pub activations: BTreeMap<TensorId, (f32, i32)>,
}

/// Values of one task.
const CHUNK: usize = 16 * 1024;

/// The real interval that (scale, zero point) cover.
pub(crate) fn range((scale, zero_point): (f32, i32)) -> (f32, f32) {
    (scale * (-128 - zero_point) as f32, scale * (127 - zero_point) as f32)
}

/// Rounds to the nearest of the 256 levels.
pub(crate) fn round_activation(values: &mut [f32], quant: (f32, i32)) {
    let (scale, (lo, hi)) = (quant.0, range(quant));
    values.par_chunks_mut(CHUNK).for_each(|chunk| {
        simd(
            #[inline(always)]
            || chunk.iter_mut().for_each(|v| *v = ((*v / scale).round() * scale).max(lo).min(hi)),
        );
    });
}

/// The weights as int8 holds them; `[K, O]`, one scale per column or one for all.
pub(crate) fn rounded_weights(
    weights: &[f32],
    param: &Param,
    channels: usize,
    options: &FakeQuant,
) -> Vec<f32> {
    let per_channel = options.per_channel_fully_connected || !param.fully_connected;
    let columns = if per_channel { channels } else { 1 };
    let mut top = vec![0.0f32; columns];
    for (i, w) in weights.iter().enumerate() {
        top[i % columns] = top[i % columns].max(w.abs());
    }
    let scale: Vec<f32> = top.into_iter().map(|t| if t > 0.0 { t / 127.0 } else { 1.0 }).collect();
    let round = |(i, w): (usize, &f32)| (w / scale[i % columns]).round() * scale[i % columns];
    weights.iter().enumerate().map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Role;

    #[test]
    fn activations_land_on_levels_inside_the_range() {
        let quant = (0.5, -128 + 4);
        let mut v = vec![-9.0, -2.0, -0.3, 0.2, 0.26, 1.0, 500.0];
        round_activation(&mut v, quant);
        assert_eq!(v, [-2.0, -2.0, -0.5, 0.0, 0.5, 1.0, 125.5]);
        let once = v.clone();
        round_activation(&mut v, quant);
        assert_eq!(v, once);
    }

    #[test]
    fn weights_keep_their_zeros_and_their_largest_value() {
        let weights = [0.0, 1.27, 0.6, -2.54, 0.004, 0.0];
        let mut param = Param {
            tensor: 0,
            name: "w".into(),
            role: Role::Weights,
            transposed: None,
            fully_connected: false,
        };
        let options = FakeQuant { weights: true, ..FakeQuant::default() };
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        let each = rounded_weights(&weights, &param, 2, &options);
        assert!(close(&each, &[0.0, 1.28, 0.6, -2.54, 0.004_724_4, 0.0]), "{each:?}");
        param.fully_connected = true;
        let all = rounded_weights(&weights, &param, 2, &options);
        assert!(close(&all, &[0.0, 1.28, 0.6, -2.54, 0.0, 0.0]), "{all:?}");
    }
}
