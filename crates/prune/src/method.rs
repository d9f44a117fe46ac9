//! The ways to choose masks: the scheduler, the paper's, and the methods that both are compared with.

use serde::{Deserialize, Serialize};

/// How a plan is made. All share request, importance and plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Filters, filterlets and sub-filterlets by importance per byte, through Lagrange multipliers.
    #[default]
    Lagrangian,
    /// The same share of the finest units of every layer.
    Uniform,
    /// The paper's: simulated annealing over the shares of filterlets (α) and filters (β) that each layer loses, for the
    /// least estimated time under a threshold of importance lost. Whole filterlets only, filters only where the kernel
    /// is 1×1, and its index of two bytes per filterlet and per filter.
    Anneal {
        /// Seed of the random moves.
        seed: u64,
    },
    /// Whole channels by importance per byte, the rest dense.
    FilterOnly,
    /// Single weights, stored as compressed sparse rows (a byte of column distance per weight).
    Unstructured,
    /// As PatDNN: 3×3 kernels keep one of eight 4-weight patterns of their layer or go as a whole; the weights of 1×1 and
    /// fully connected layers go one by one.
    Pattern,
    /// One weight of every four input channels, or dense.
    OneInFour,
    /// Two weights of every four input channels, or dense.
    TwoInFour,
    /// For each layer dense, two or one weight of every four input channels.
    NInFour,
}

/// Every method by its name on the command line; annealing with seed 0.
const NAMES: [(&str, Method); 9] = [
    ("lagrangian", Method::Lagrangian),
    ("uniform", Method::Uniform),
    ("anneal", Method::Anneal { seed: 0 }),
    ("filter-only", Method::FilterOnly),
    ("unstructured", Method::Unstructured),
    ("pattern", Method::Pattern),
    ("1:4", Method::OneInFour),
    ("2:4", Method::TwoInFour),
    ("n:4", Method::NInFour),
];

impl Method {
    /// The names of all methods.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The method with that name; a random one gets `seed`.
    pub fn from_name(name: &str, seed: u64) -> Option<Self> {
        let method = NAMES.iter().find(|(n, _)| *n == name)?.1;
        Some(match method {
            Method::Anneal { .. } => Method::Anneal { seed },
            other => other,
        })
    }

    /// The name of the method.
    pub fn name(self) -> &'static str {
        let same = |m: &Method| std::mem::discriminant(m) == std::mem::discriminant(&self);
        NAMES.iter().find(|(_, m)| same(m)).map_or("", |(name, _)| name)
    }

    /// True when budgets of RAM and time can be met. The others keep all channels, so that the arena stays as it is, and
    /// no kernel runs their storage.
    pub fn knows_device(self) -> bool {
        matches!(self, Method::Lagrangian | Method::Uniform | Method::Anneal { .. } | Method::FilterOnly)
    }

    /// True when the units are chosen by the caller; the other methods have their own.
    pub fn has_units(self) -> bool {
        matches!(self, Method::Lagrangian | Method::Uniform | Method::Anneal { .. })
    }

    /// True when channels leave even where RAM does not ask for it.
    pub(crate) fn removes_channels(self) -> bool {
        matches!(self, Method::Lagrangian | Method::Anneal { .. } | Method::FilterOnly)
    }

    /// True when the package format can store the result. The others are measured as a microcontroller would store
    /// them: the dense package with other bytes for weights and index.
    pub fn has_package(self) -> bool {
        matches!(self, Method::Lagrangian | Method::Uniform | Method::FilterOnly)
    }
}
