//! The executor's side of quantisation-aware training.

use std::collections::BTreeMap;

use dtmm_graph::TensorId;

use super::{Param, Role};
use crate::{FakeQuant, fake_quant};

#[derive(Default)]
pub(crate) struct Fake {
    options: FakeQuant,
    /// The weights before rounding, while the rounded ones are in use.
    latent: Vec<(usize, Vec<f32>)>,
    /// The activations before rounding.
    exact: BTreeMap<usize, Vec<f32>>,
}

impl Fake {
    pub fn new(options: FakeQuant) -> Self {
        Fake { options, ..Fake::default() }
    }

    pub fn round_weights(&mut self, params: &[Param], values: &mut [Vec<f32>], channels: &[usize]) {
        self.restore_weights(values);
        if !self.options.weights {
            return;
        }
        for p in params.iter().filter(|p| p.role == Role::Weights) {
            let rounded =
                fake_quant::rounded_weights(&values[p.tensor], p, channels[p.tensor], &self.options);
            self.latent.push((p.tensor, std::mem::replace(&mut values[p.tensor], rounded)));
        }
    }

    /// Puts the weights before rounding back.
    pub fn restore_weights(&mut self, values: &mut [Vec<f32>]) {
        for (t, latent) in self.latent.drain(..) {
            values[t] = latent;
        }
    }

    pub fn round_activation(&mut self, tensor: usize, values: &mut [f32]) {
        if let Some(&quant) = self.quant(tensor) {
            let exact = self.exact.entry(tensor).or_default();
            exact.clear();
            exact.extend_from_slice(values);
            fake_quant::round_activation(values, quant);
        }
    }

    /// The activation before rounding, when it is rounded.
    pub fn before_rounding(&self, tensor: usize) -> Option<&Vec<f32>> {
        self.exact.get(&tensor)
    }

    /// The interval outside which rounding is flat.
    pub fn range(&self, tensor: usize) -> Option<(f32, f32)> {
        self.quant(tensor).map(|&q| fake_quant::range(q))
    }

    fn quant(&self, tensor: usize) -> Option<&(f32, i32)> {
        self.options.activations.get(&TensorId(tensor as u32))
    }
}
