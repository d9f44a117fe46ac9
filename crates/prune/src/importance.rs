//! How much the loss is expected to rise when weights are pruned.
//!
//! Scores are kept per weight and add up over a unit, so that units of every size compete in one ranking.

use std::collections::BTreeMap;

use dtmm_graph::{Graph, Masks, TensorId};
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units::{UnitKind, WeightLayout, prunable_layers};

/// One value per element of each tensor, in the tensor's order: gradients averaged over calibration batches, or the
/// averaged squares of per-sample gradients. Biases and batch-norm parameters may be present.
pub type Gradients = BTreeMap<TensorId, Vec<f32>>;

/// Why importance could not be computed.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ImportanceError {
    /// A layer's gradient is missing.
    #[error("layer '{layer}': no gradient for its weights; run the gradient pass over every prunable layer")]
    MissingGradient {
        /// Layer name.
        layer: String,
    },
    /// A gradient has another size than the weights.
    #[error("layer '{layer}': {expected} weights, but {found} gradient values")]
    Length {
        /// Layer name.
        layer: String,
        /// Number of weights.
        expected: usize,
        /// Number of values.
        found: usize,
    },
    /// A weight or a gradient is NaN or infinite.
    #[error(
        "layer '{layer}': weight {index} or its gradient is not finite; check the model and the learning rate"
    )]
    NotFinite {
        /// Layer name.
        layer: String,
        /// Element index.
        index: usize,
    },
}

/// Non-negative score of each weight of each prunable layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// For each weight tensor one score per element, in the tensor's order.
    pub scores: BTreeMap<TensorId, Vec<f32>>,
}

/// How scores of different layers are made comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Normalisation {
    /// As computed: right for estimates of the loss (Taylor, Fisher).
    #[default]
    None,
    /// Divided by the layer's mean score.
    LayerMean,
    /// Divided by the root of the layer's mean squared score.
    LayerRms,
}

impl Importance {
    /// First-order Taylor: |w · g| with the averaged gradient g (Molchanov et al. 2019; the paper's choice).
    ///
    /// # Errors
    /// [`ImportanceError`] for a missing, misfitting or non-finite gradient or weight.
    pub fn taylor(graph: &Graph, gradients: &Gradients) -> Result<Self, ImportanceError> {
        with_gradients(graph, gradients, |w, g| (w * g).abs())
    }

    /// Diagonal Fisher: w² · E\[g²\] / 2, the second-order estimate of the rise of the loss; `squares` holds the
    /// averaged squares of per-sample gradients.
    ///
    /// # Errors
    /// As [`Importance::taylor`].
    pub fn fisher(graph: &Graph, squares: &Gradients) -> Result<Self, ImportanceError> {
        with_gradients(graph, squares, |w, g2| 0.5 * w * w * g2)
    }

    /// Fisher with the squared gradients of a layer replaced by the product of their sums over each filter and over
    /// each input channel: the same estimate with the sampling noise of single weights averaged out. Depthwise layers
    /// as in [`Importance::fisher`].
    ///
    /// # Errors
    /// As [`Importance::taylor`].
    pub fn fisher_factored(graph: &Graph, squares: &Gradients) -> Result<Self, ImportanceError> {
        let mut smooth = squares.clone();
        for layer in prunable_layers(graph).iter().filter(|l| !l.layout.depthwise) {
            if let Some(g2) = smooth.get_mut(&layer.weights).filter(|g| g.len() == layer.layout.len()) {
                factor(g2, &layer.layout);
            }
        }
        Self::fisher(graph, &smooth)
    }

    /// Layer-adaptive magnitude (LAMP, Lee et al. 2021) of units of `grain`: the w² of a unit over those of all units of
    /// the layer that have at least as much, each weight with its part. Needs no data, and no layer is emptied before the
    /// others. `grain` is the smallest unit that may be pruned: one large weight then counts as what it is in its unit.
    ///
    /// # Errors
    /// [`ImportanceError::NotFinite`].
    pub fn lamp(graph: &Graph, grain: UnitKind) -> Result<Self, ImportanceError> {
        let mut squares = Self::magnitude_l2(graph)?;
        for layer in prunable_layers(graph) {
            if let Some(scores) = squares.scores.get_mut(&layer.weights) {
                lamp(scores, &layer.layout, grain);
            }
        }
        Ok(squares)
    }

    /// |w|.
    ///
    /// # Errors
    /// [`ImportanceError::NotFinite`].
    pub fn magnitude_l1(graph: &Graph) -> Result<Self, ImportanceError> {
        per_weight(graph, |w| w.abs())
    }

    /// w².
    ///
    /// # Errors
    /// [`ImportanceError::NotFinite`].
    pub fn magnitude_l2(graph: &Graph) -> Result<Self, ImportanceError> {
        per_weight(graph, |w| w * w)
    }

    /// Uniform random scores from `seed`: the control of every comparison.
    pub fn random(graph: &Graph, seed: u64) -> Self {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let layers = prunable_layers(graph).into_iter();
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f32>()).collect();
        Importance { scores: layers.map(|l| (l.weights, draw(l.layout.len()))).collect() }
    }

    /// Makes the layers comparable.
    pub fn normalised(mut self, how: Normalisation) -> Self {
        self.scores.values_mut().for_each(|s| normalise(s, how));
        self
    }

    /// Scores of pruned weights become 0: they have nothing left to lose.
    pub fn masked(mut self, masks: &Masks) -> Self {
        for (tensor, scores) in &mut self.scores {
            if let Some(mask) = masks.get(tensor) {
                scores.iter_mut().zip(mask).filter(|(_, kept)| !**kept).for_each(|(s, _)| *s = 0.0);
            }
        }
        self
    }

    /// The score of each unit of a layer; all zero for an unknown tensor.
    pub fn unit_scores(&self, tensor: TensorId, layout: &WeightLayout, kind: UnitKind) -> Vec<f64> {
        let scores = self.scores.get(&tensor).map_or(&[][..], Vec::as_slice);
        layout.unit_sums(kind, scores)
    }

    /// The sum of all scores.
    pub fn total(&self) -> f64 {
        self.scores.values().flatten().map(|&s| f64::from(s)).sum()
    }
}

/// Replaces values by (sum of their filter) · (sum of their input channel) / (sum of all · positions).
fn factor(values: &mut [f32], layout: &WeightLayout) {
    let mut rows = vec![0.0f64; layout.filters];
    let mut columns = vec![0.0f64; layout.channels];
    let size = layout.positions * layout.channels;
    for (e, &v) in values.iter().enumerate() {
        rows[e / size] += f64::from(v);
        columns[e % layout.channels] += f64::from(v);
    }
    let total: f64 = rows.iter().sum::<f64>() * layout.positions as f64;
    if total > 0.0 {
        let product = |e: usize| rows[e / size] * columns[e % layout.channels] / total;
        values.iter_mut().enumerate().for_each(|(e, v)| *v = product(e) as f32);
    }
}

fn normalise(scores: &mut [f32], how: Normalisation) {
    let n = scores.len().max(1) as f64;
    let divisor = match how {
        Normalisation::None => return,
        Normalisation::LayerMean => scores.iter().map(|&s| f64::from(s)).sum::<f64>() / n,
        Normalisation::LayerRms => (scores.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / n).sqrt(),
    };
    if divisor > 0.0 {
        scores.iter_mut().for_each(|s| *s = (f64::from(*s) / divisor) as f32);
    }
}

fn lamp(scores: &mut [f32], layout: &WeightLayout, grain: UnitKind) {
    let units = layout.unit_sums(grain, scores);
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by(|&a, &b| units[b].total_cmp(&units[a]).then(a.cmp(&b)));
    let mut at_least = vec![0.0; units.len()];
    let mut above = 0.0;
    for unit in order {
        above += units[unit];
        at_least[unit] = above;
    }
    for (e, score) in scores.iter_mut().enumerate().filter(|(_, s)| **s > 0.0) {
        *score = (f64::from(*score) / at_least[layout.unit_of(grain, e)]) as f32;
    }
}

fn with_gradients(
    graph: &Graph,
    gradients: &Gradients,
    score: impl Fn(f32, f32) -> f32,
) -> Result<Importance, ImportanceError> {
    let mut scores = BTreeMap::new();
    for layer in prunable_layers(graph) {
        let weights = graph.tensor(layer.weights).f32_data().unwrap_or_default();
        let Some(gradient) = gradients.get(&layer.weights) else {
            return Err(ImportanceError::MissingGradient { layer: layer.name });
        };
        if gradient.len() != weights.len() {
            let (expected, found) = (weights.len(), gradient.len());
            return Err(ImportanceError::Length { layer: layer.name, expected, found });
        }
        let values = weights.iter().zip(gradient).map(|(&w, &g)| score(w, g)).collect();
        scores.insert(layer.weights, finite(layer.name, values)?);
    }
    Ok(Importance { scores })
}

fn per_weight(graph: &Graph, score: impl Fn(f32) -> f32) -> Result<Importance, ImportanceError> {
    let mut scores = BTreeMap::new();
    for layer in prunable_layers(graph) {
        let weights = graph.tensor(layer.weights).f32_data().unwrap_or_default();
        scores.insert(layer.weights, finite(layer.name, weights.iter().map(|&w| score(w)).collect())?);
    }
    Ok(Importance { scores })
}

fn finite(layer: String, values: Vec<f32>) -> Result<Vec<f32>, ImportanceError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(ImportanceError::NotFinite { layer, index }),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtmm_graph::{Activation, GraphBuilder};

    fn graph(weights: Vec<f32>) -> Graph {
        let mut b = GraphBuilder::new("g");
        let x = b.input("x", [1, 2, 2, 2]);
        let w = b.constant("w", &[2, 1, 1, 2], weights);
        let y = b.conv2d("conv", x, w, None, [1, 1], true, Activation::None);
        b.finish(&[y]).unwrap()
    }

    #[test]
    fn kinds_follow_their_formulas() {
        let g = graph(vec![1.0, -2.0, 3.0, 0.0]);
        let w = prunable_layers(&g)[0].weights;
        let gradient = Gradients::from([(w, vec![0.5, 0.5, -1.0, 9.0])]);
        assert_eq!(Importance::taylor(&g, &gradient).unwrap().scores[&w], [0.5, 1.0, 3.0, 0.0]);
        let squares = Gradients::from([(w, vec![0.5, 0.5, 1.0, 9.0])]);
        assert_eq!(Importance::fisher(&g, &squares).unwrap().scores[&w], [0.25, 1.0, 4.5, 0.0]);
        assert_eq!(Importance::magnitude_l1(&g).unwrap().scores[&w], [1.0, 2.0, 3.0, 0.0]);
        let l2 = Importance::magnitude_l2(&g).unwrap();
        assert_eq!(l2.scores[&w], [1.0, 4.0, 9.0, 0.0]);
        let lamp = |grain| Importance::lamp(&g, grain).unwrap().scores[&w].clone();
        assert_eq!(lamp(UnitKind::Weight), [1.0 / 14.0, 4.0 / 13.0, 1.0, 0.0]);
        assert_eq!(lamp(UnitKind::Filterlet), [1.0 / 14.0, 4.0 / 14.0, 1.0, 0.0]);
    }

    #[test]
    fn factored_fisher_keeps_sums_and_needs_rank_one_to_agree() {
        let g = graph(vec![1.0; 4]);
        let w = prunable_layers(&g)[0].weights;
        let rank_one = Gradients::from([(w, vec![2.0, 6.0, 1.0, 3.0])]);
        let plain = Importance::fisher(&g, &rank_one).unwrap();
        assert_eq!(Importance::fisher_factored(&g, &rank_one).unwrap(), plain);
        let other = Gradients::from([(w, vec![4.0, 0.0, 0.0, 4.0])]);
        assert_eq!(Importance::fisher_factored(&g, &other).unwrap().scores[&w], [1.0; 4]);
        assert_eq!(Importance::fisher_factored(&g, &other).unwrap().total(), 4.0);
    }

    #[test]
    fn random_scores_depend_on_the_seed_only() {
        let g = graph(vec![1.0; 4]);
        assert_eq!(Importance::random(&g, 7), Importance::random(&g, 7));
        assert_ne!(Importance::random(&g, 7), Importance::random(&g, 8));
    }

    #[test]
    fn bad_gradients_are_named() {
        let g = graph(vec![1.0, f32::NAN, 1.0, 1.0]);
        let w = prunable_layers(&g)[0].weights;
        let missing = ImportanceError::MissingGradient { layer: "conv".into() };
        assert_eq!(Importance::taylor(&g, &Gradients::new()), Err(missing));
        let short = Gradients::from([(w, vec![1.0])]);
        let length = ImportanceError::Length { layer: "conv".into(), expected: 4, found: 1 };
        assert_eq!(Importance::taylor(&g, &short), Err(length));
        let nan = ImportanceError::NotFinite { layer: "conv".into(), index: 1 };
        assert_eq!(Importance::magnitude_l1(&g), Err(nan));
    }
}
