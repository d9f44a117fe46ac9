//! The scheduler's result.

use std::collections::BTreeMap;

use dtmm_graph::{Masks, TensorId};
use serde::{Deserialize, Serialize};

use crate::units::UnitKind;

/// Which weights to keep, what that costs, and how far from optimal it can be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PrunePlan {
    /// For each pruned weight tensor one `bool` per element (true: kept); a dense layer has no entry.
    #[serde(with = "crate::mask_bits")]
    pub masks: Masks,
    /// Filters (output channels) to take out of the model with all that is tied to them, per weight tensor, ascending.
    /// Their weights and the columns that read them are pruned in `masks`, too.
    pub removed: BTreeMap<TensorId, Vec<usize>>,
    /// One row per prunable layer, in execution order.
    pub layers: Vec<LayerPlan>,
    /// Package bytes asked for.
    pub budget: u64,
    /// Package bytes of the unpruned model (under the masks that the schedule started from).
    pub bytes_before: u64,
    /// Package bytes with these masks.
    pub predicted_bytes: u64,
    /// Importance removed by this plan.
    pub importance_removed: f64,
    /// Importance of the whole model before.
    pub importance_total: f64,
    /// No plan of the same units within the budget removes less importance than this (Lagrangian dual).
    pub bound: f64,
    /// Importance per byte below which units were pruned: the price of a byte.
    pub price: f64,
    /// The price of a cycle; 0 when neither a limit nor the pace binds.
    pub cycle_price: f64,
    /// Cycles of the unpruned model; 0 when nothing measured them.
    pub cycles_before: f64,
    /// Cycles with these masks; 0 when nothing measured them.
    pub predicted_cycles: f64,
}

impl PrunePlan {
    /// How much more importance the plan removes than the bound, as a share of the total.
    pub fn gap(&self) -> f64 {
        if self.importance_total > 0.0 {
            ((self.importance_removed - self.bound) / self.importance_total).max(0.0)
        } else {
            0.0
        }
    }

    /// Share of all prunable weights that is pruned.
    pub fn sparsity(&self) -> f64 {
        let sum = |f: fn(&LayerPlan) -> usize| self.layers.iter().map(f).sum::<usize>() as f64;
        let total = sum(|l| l.total_weights);
        if total > 0.0 { 1.0 - sum(|l| l.kept_weights) / total } else { 0.0 }
    }
}

/// What the plan does to one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerPlan {
    /// Name of the node.
    pub name: String,
    /// The weight tensor.
    pub weights: TensorId,
    /// The grain chosen.
    pub unit: UnitKind,
    /// Input channels per unit.
    pub group: usize,
    /// How the package would mark the kept units.
    pub index: Index,
    /// Filters that stay.
    pub kept_filters: usize,
    /// Filters of the graph that the plan was made for.
    pub total_filters: usize,
    /// Units kept.
    pub kept_units: usize,
    /// Units of the filters and channels that stay.
    pub total_units: usize,
    /// Weights kept.
    pub kept_weights: usize,
    /// Weights in the layer.
    pub total_weights: usize,
    /// Bytes of the dense int8 weights.
    pub bytes_before: u64,
    /// Predicted bytes of the kept weights and their index.
    pub bytes_after: u64,
    /// Predicted cycles of the layer; 0 when nothing measured them.
    pub cycles_after: f64,
    /// Share of the layer's importance that is removed, 0..=1.
    pub importance_removed_share: f64,
    /// Why.
    pub reason: Reason,
}

/// How kept units are marked in the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Index {
    /// Not at all: every weight is stored.
    None,
    /// One bit per unit.
    Bitmap,
    /// One byte per kept unit: the distance from the one before.
    Gaps,
    /// One byte of column distance per weight and two bytes per filter (compressed sparse rows).
    Csr,
    /// A channel byte and three bits of pattern number per kernel, two bytes per filter.
    Pattern,
    /// Two bytes per kept filterlet and two per filter (the paper's).
    Pairs,
    /// Two bits of position per kept weight of each group of four.
    Positions,
}

/// Why a layer got what it got.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The options exempt it.
    Protected,
    /// An index would cost more bytes, or more time at its price, than the pruned weights save.
    DenseIsCheapest,
    /// The flash budget priced its less important units out.
    PricedOut,
    /// Channels that its filters make or read were removed; what is left stays dense.
    ChannelsRemoved,
    /// The same, because RAM had to fall.
    ChannelsRemovedForRam,
    /// The latency budget priced its less important units out.
    PricedOutByLatency,
    /// The flash budget asked for more, the least kept share stopped it.
    LeastShare,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Protected => "exempt by the options",
            Reason::DenseIsCheapest => "an index would cost more bytes or time than it saves",
            Reason::PricedOut => "less important units priced out by flash",
            Reason::ChannelsRemoved => "unimportant channels removed, the rest is dense",
            Reason::ChannelsRemovedForRam => "channels removed for RAM, the rest is dense",
            Reason::PricedOutByLatency => "less important units priced out by latency",
            Reason::LeastShare => "held at its least kept share",
        })
    }
}
