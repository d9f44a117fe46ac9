//! What can be pruned: filters, filterlets and sub-filterlets of a weight tensor.

use std::collections::BTreeSet;

use dtmm_graph::{Graph, NodeId, Op, TensorId};
use serde::{Deserialize, Serialize};

/// The grain at which the weights of one layer are kept or pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UnitKind {
    /// The layer stays as it is.
    Dense,
    /// All weights of one output channel.
    Filter,
    /// All input channels of one filter at one kernel position.
    Filterlet,
    /// A filterlet cut into runs of this many input channels; the last run is shorter when they do not divide.
    SubFilterlet(usize),
    /// A single weight.
    Weight,
    /// Four of the nine weights of a 3×3 kernel (one input channel of one filter). Which four depends on the scores:
    /// [`WeightLayout`] takes every weight for a unit.
    Pattern,
    /// The kept weights of four input channels at one position. Which ones depends on the scores: [`WeightLayout`]
    /// takes every weight for a unit.
    OfFour,
}

impl UnitKind {
    /// Input channels per unit for a layer with `channels` of them (for [`UnitKind::Filter`] and
    /// [`UnitKind::Dense`]: all).
    pub fn group(self, channels: usize) -> usize {
        match self {
            UnitKind::Dense | UnitKind::Filter | UnitKind::Filterlet => channels,
            UnitKind::SubFilterlet(g) => g.clamp(1, channels.max(1)),
            UnitKind::Weight | UnitKind::Pattern | UnitKind::OfFour => 1,
        }
    }
}

impl std::fmt::Display for UnitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UnitKind::Dense => f.write_str("dense"),
            UnitKind::Filter => f.write_str("filter"),
            UnitKind::Filterlet => f.write_str("filterlet"),
            UnitKind::SubFilterlet(g) => write!(f, "sub-filterlet {g}"),
            UnitKind::Weight => f.write_str("weight"),
            UnitKind::Pattern => f.write_str("4-of-9 pattern"),
            UnitKind::OfFour => f.write_str("n of 4"),
        }
    }
}

/// How the elements of a weight tensor map to filters, kernel positions and input channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightLayout {
    /// Output channels O.
    pub filters: usize,
    /// Kernel positions H·W (1 for fully connected layers).
    pub positions: usize,
    /// Input channels per filter (1 for depthwise layers).
    pub channels: usize,
    /// The order is 1HWO instead of OHWI or OI.
    pub depthwise: bool,
}

impl WeightLayout {
    /// The layout of a Conv2D (OHWI), DepthwiseConv2D (1HWO) or FullyConnected (OI) weight shape; `None` for another
    /// operator or rank.
    pub fn new(op: &Op, shape: &[usize]) -> Option<Self> {
        let (filters, positions, channels, depthwise) = match (op, shape) {
            (Op::Conv2d { .. }, &[o, h, w, i]) => (o, h * w, i, false),
            (Op::FullyConnected { .. }, &[o, i]) => (o, 1, i, false),
            (Op::DepthwiseConv2d { .. }, &[1, h, w, o]) => (o, h * w, 1, true),
            _ => return None,
        };
        Some(WeightLayout { filters, positions, channels, depthwise })
    }

    /// Number of weights.
    pub fn len(&self) -> usize {
        self.filters * self.positions * self.channels
    }

    /// True when there is no weight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs per filterlet.
    pub fn runs(&self, kind: UnitKind) -> usize {
        self.channels.div_ceil(kind.group(self.channels).max(1))
    }

    /// Number of units; unit `u` of a (sub-)filterlet kind is run `u % runs` of position `u / runs % positions` of
    /// filter `u / runs / positions`. A dense layer is one unit.
    pub fn unit_count(&self, kind: UnitKind) -> usize {
        match kind {
            UnitKind::Dense => 1,
            UnitKind::Filter => self.filters,
            _ => self.filters * self.positions * self.runs(kind),
        }
    }

    /// Element index of channel `c` at kernel position `p` of filter `o`.
    pub fn element(&self, o: usize, p: usize, c: usize) -> usize {
        if self.depthwise { p * self.filters + o } else { (o * self.positions + p) * self.channels + c }
    }

    /// The elements of `unit`, ascending. Empty for a unit out of range.
    pub fn elements(&self, kind: UnitKind, unit: usize) -> impl Iterator<Item = usize> + use<> {
        let range = self.coordinates(kind, unit);
        let layout = *self;
        let step = if self.depthwise { self.filters } else { 1 };
        let first = layout.element(range.0, range.1.start, range.2.start);
        let count = match kind {
            UnitKind::Dense => {
                if unit == 0 {
                    self.len()
                } else {
                    0
                }
            }
            _ => range.1.len() * range.2.len(),
        };
        let step = if matches!(kind, UnitKind::Dense) { 1 } else { step };
        (0..count).map(move |i| first + i * step)
    }

    /// The unit that holds element `e`.
    pub fn unit_of(&self, kind: UnitKind, e: usize) -> usize {
        let (o, p, c) = if self.depthwise {
            (e % self.filters, e / self.filters, 0)
        } else {
            (e / self.channels / self.positions, e / self.channels % self.positions, e % self.channels)
        };
        match kind {
            UnitKind::Dense => 0,
            UnitKind::Filter => o,
            _ => (o * self.positions + p) * self.runs(kind) + c / kind.group(self.channels),
        }
    }

    /// The filter that `unit` belongs to (0 for a dense layer).
    pub fn filter_of(&self, kind: UnitKind, unit: usize) -> usize {
        match kind {
            UnitKind::Dense => 0,
            UnitKind::Filter => unit,
            _ => unit / (self.positions * self.runs(kind)),
        }
    }

    /// Filter, kernel positions and channels of a unit.
    fn coordinates(
        &self,
        kind: UnitKind,
        unit: usize,
    ) -> (usize, std::ops::Range<usize>, std::ops::Range<usize>) {
        if unit >= self.unit_count(kind) {
            return (0, 0..0, 0..0);
        }
        if matches!(kind, UnitKind::Dense | UnitKind::Filter) {
            return (unit, 0..self.positions, 0..self.channels);
        }
        let (runs, group) = (self.runs(kind), kind.group(self.channels));
        let (filterlet, run) = (unit / runs, unit % runs);
        let (o, p) = (filterlet / self.positions, filterlet % self.positions);
        (o, p..p + 1, run * group..((run + 1) * group).min(self.channels))
    }

    /// Sums `values` (one per weight, in the tensor's order) over each unit.
    pub fn unit_sums(&self, kind: UnitKind, values: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; self.unit_count(kind)];
        if self.depthwise || matches!(kind, UnitKind::Dense | UnitKind::Filter) {
            values.iter().enumerate().for_each(|(e, &v)| sums[self.unit_of(kind, e)] += f64::from(v));
            return sums;
        }
        let runs = values.chunks(self.channels).flat_map(|f| f.chunks(kind.group(self.channels)));
        for (sum, run) in sums.iter_mut().zip(runs) {
            *sum = run.iter().map(|&v| f64::from(v)).sum();
        }
        sums
    }
}

/// A layer whose weights can be pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunableLayer {
    /// The first node that uses the weights.
    pub node: NodeId,
    /// That node's name.
    pub name: String,
    /// The weights.
    pub weights: TensorId,
    /// The bias, if the node has one.
    pub bias: Option<TensorId>,
    /// Filters, positions and channels of the weights.
    pub layout: WeightLayout,
}

/// The layers of `graph` with constant float weights, in execution order; weights shared by several nodes appear once.
pub fn prunable_layers(graph: &Graph) -> Vec<PrunableLayer> {
    let mut seen = BTreeSet::new();
    let layer = |(node, n): (NodeId, &dtmm_graph::Node)| {
        let weights = *n.inputs.get(1).filter(|_| n.op.has_weights())?;
        let tensor = graph.tensor(weights);
        tensor.f32_data()?;
        let layout = WeightLayout::new(&n.op, &tensor.shape)?;
        let bias = n.inputs.get(2).copied();
        Some(PrunableLayer { node, name: n.name.clone(), weights, bias, layout })
    };
    graph.nodes.iter().enumerate().filter_map(layer).filter(|l| seen.insert(l.weights)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUTS: [WeightLayout; 4] = [
        WeightLayout { filters: 4, positions: 9, channels: 10, depthwise: false },
        WeightLayout { filters: 3, positions: 1, channels: 16, depthwise: false },
        WeightLayout { filters: 6, positions: 9, channels: 1, depthwise: true },
        WeightLayout { filters: 2, positions: 6, channels: 3, depthwise: false },
    ];
    const KINDS: [UnitKind; 6] = [
        UnitKind::Dense,
        UnitKind::Filter,
        UnitKind::Filterlet,
        UnitKind::SubFilterlet(4),
        UnitKind::SubFilterlet(16),
        UnitKind::Weight,
    ];

    #[test]
    fn units_partition_the_elements() {
        for layout in LAYOUTS {
            for kind in KINDS {
                let mut owner = vec![usize::MAX; layout.len()];
                for unit in 0..layout.unit_count(kind) {
                    for e in layout.elements(kind, unit) {
                        assert_eq!(std::mem::replace(&mut owner[e], unit), usize::MAX, "{layout:?} {kind}");
                        assert_eq!(layout.unit_of(kind, e), unit, "{layout:?} {kind} element {e}");
                    }
                }
                assert!(!owner.contains(&usize::MAX), "{layout:?} {kind}");
                assert_eq!(layout.elements(kind, layout.unit_count(kind)).count(), 0);
            }
        }
    }

    #[test]
    fn sums_equal_the_sum_over_the_elements() {
        for layout in LAYOUTS {
            let values: Vec<f32> = (0..layout.len()).map(|i| (i * i % 17) as f32).collect();
            for kind in KINDS {
                let sums = layout.unit_sums(kind, &values);
                for (unit, sum) in sums.iter().enumerate() {
                    let expected: f64 = layout.elements(kind, unit).map(|e| f64::from(values[e])).sum();
                    assert_eq!(*sum, expected, "{layout:?} {kind} unit {unit}");
                }
            }
        }
    }

    #[test]
    fn a_filterlet_is_contiguous_in_ohwi() {
        let layout = LAYOUTS[0];
        let filterlet: Vec<usize> = layout.elements(UnitKind::Filterlet, 9 + 2).collect();
        assert_eq!(filterlet, (110..120).collect::<Vec<_>>());
        let tail: Vec<usize> = layout.elements(UnitKind::SubFilterlet(4), 2).collect();
        assert_eq!(tail, [8, 9]);
    }
}
