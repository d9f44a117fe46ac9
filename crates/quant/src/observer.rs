//! Collects what calibration needs from activations.

use std::collections::BTreeMap;

use dtmm_graph::{ElementType, Graph, TensorId};

use crate::histogram::Histogram;
use crate::ranges::choose;
use crate::{Clipping, QuantError, Range, Ranges};

/// Activation statistics. The result depends on the set of observed values alone, not on their order or on how they
/// were split over observers that are merged: any number of threads gives the same ranges.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    of: BTreeMap<TensorId, Histogram>,
    not_finite: Option<(TensorId, f32)>,
}

impl Observer {
    /// Nothing observed yet.
    pub fn new() -> Self {
        Observer::default()
    }

    /// The tensors whose values [`Observer::observe`] should be given: inputs and node outputs of a float graph.
    pub fn tensors(graph: &Graph) -> Vec<TensorId> {
        let inputs = graph.inputs.iter().map(|p| p.tensor);
        let all = inputs.chain(graph.nodes.iter().map(|n| n.output));
        all.filter(|&t| graph.tensor(t).element_type == ElementType::F32).collect()
    }

    /// Takes values of a tensor, of any number of samples.
    pub fn observe(&mut self, tensor: TensorId, values: &[f32]) {
        match values.iter().find(|v| !v.is_finite()) {
            Some(&bad) => {
                self.not_finite.get_or_insert((tensor, bad));
            }
            None => self.of.entry(tensor).or_default().add(values),
        }
    }

    /// Takes over what another observer saw.
    pub fn merge(&mut self, other: Observer) {
        for (tensor, histogram) in other.of {
            self.of.entry(tensor).or_default().merge(histogram);
        }
        self.not_finite = self.not_finite.or(other.not_finite);
    }

    /// Chooses the range of each tensor. Model inputs are never clipped: their extremes are usual values.
    ///
    /// # Errors
    /// When nothing was observed, or a value was NaN or infinite.
    pub fn ranges(&self, graph: &Graph, clipping: Clipping) -> Result<Ranges, QuantError> {
        if let Some((tensor, value)) = self.not_finite {
            let tensor = graph.tensors.get(tensor.index()).map(|t| t.name.clone()).unwrap_or_default();
            return Err(QuantError::ActivationNotFinite { tensor, value });
        }
        if self.of.values().all(|h| h.total() == 0) {
            return Err(QuantError::EmptyCalibration);
        }
        let range = |(&id, h): (&TensorId, &Histogram)| -> (TensorId, Range) {
            let is_input = graph.inputs.iter().any(|p| p.tensor == id);
            (id, choose(h, if is_input { Clipping::MinMax } else { clipping }))
        };
        Ok(Ranges(self.of.iter().map(range).collect()))
    }
}
