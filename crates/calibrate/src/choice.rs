//! What the choice between dense and sparse weights by the cost model costs.

use std::collections::BTreeMap;

use dtmm_cost::{Form, Kernel};

use crate::measure::MeasuredLayer;

/// One layer whose weights could be stored dense or in runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The sparse layer in words.
    pub name: String,
    /// Instructions with dense weights, and with the stored runs.
    pub measured: [f64; 2],
    /// What the model says of both.
    pub predicted: [f64; 2],
}

impl Choice {
    /// How much slower the form that the model takes is than the faster one, as a fraction.
    pub fn regret(&self) -> f64 {
        let [dense, sparse] = self.measured;
        let taken = if self.predicted[1] < self.predicted[0] { sparse } else { dense };
        taken / dense.min(sparse) - 1.0
    }
}

/// All choices of a grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regret {
    /// Layers that could be stored either way.
    pub choices: usize,
    /// Those for which the model takes the slower form.
    pub wrong: usize,
    /// Of these the worst.
    pub worst: Option<Choice>,
    /// Layers for which sparse is slower than dense, whatever the model says.
    pub dense_faster: usize,
}

impl Regret {
    /// How much slower the worst choice is than the right one, as a fraction; 0 when all are right.
    pub fn max(&self) -> f64 {
        self.worst.as_ref().map_or(0.0, Choice::regret)
    }
}

/// Compares each layer stored in runs with the dense one of its shape; `predicted` are the instructions that a model says.
pub fn regret(layers: &[MeasuredLayer], predicted: impl Fn(&MeasuredLayer) -> Option<f64>) -> Regret {
    let weighted = |l: &&MeasuredLayer| {
        matches!(l.kernel, Kernel::Conv | Kernel::ConvRuns | Kernel::Dense | Kernel::DenseRuns)
    };
    let dense: BTreeMap<usize, &MeasuredLayer> =
        layers.iter().filter(weighted).filter(|l| l.form.0 == Form::Dense).map(|l| (l.shape, l)).collect();
    let choice = |l: &MeasuredLayer| {
        let dense = dense.get(&l.shape)?;
        Some(Choice {
            name: l.name.clone(),
            measured: [dense.instructions, l.instructions],
            predicted: [predicted(dense)?, predicted(l)?],
        })
    };
    let sparse = layers.iter().filter(weighted).filter(|l| l.form.0 != Form::Dense);
    let mut regret = Regret::default();
    for choice in sparse.filter_map(choice) {
        regret.choices += 1;
        regret.dense_faster += usize::from(choice.measured[0] < choice.measured[1]);
        regret.wrong += usize::from(choice.regret() > 0.0);
        if choice.regret() > regret.max() {
            regret.worst = Some(choice);
        }
    }
    regret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regret_is_what_the_wrong_form_costs() {
        let choice = |predicted| Choice { name: String::new(), measured: [110.0, 100.0], predicted };
        assert!((choice([1.0, 2.0]).regret() - 0.1).abs() < 1e-9);
        assert_eq!(choice([2.0, 1.0]).regret(), 0.0);
    }
}
