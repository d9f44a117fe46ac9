//! Budgets besides flash, and how their caller measures them.

use std::collections::BTreeMap;

use dtmm_graph::{Graph, TensorId};
use serde::{Deserialize, Serialize};

/// Budgets besides flash; `None`: as much as it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the arena, scratch included.
    pub ram: Option<u64>,
    /// Cycles of one inference.
    pub cycles: Option<f64>,
}

/// What one layer's kernels take, in cycles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerCycles {
    /// The kernel for dense weights.
    pub dense: f64,
    /// The kernel for stored runs, with no run stored.
    pub sparse: f64,
    /// Each stored run, on top.
    pub per_run: f64,
    /// Each stored weight, on top.
    pub per_weight: f64,
}

/// What a graph takes, in cycles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cycles {
    /// Everything but the layers below.
    pub other: f64,
    /// Layers with weights, by weight tensor; a layer that is missing takes no time.
    pub layers: BTreeMap<TensorId, LayerCycles>,
}

/// A tensor in the arena.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArenaTensor {
    /// Name; that of a graph's tensor where it is one.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// First and last step at which it is alive.
    pub alive: (usize, usize),
}

/// What the memory planner makes of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arena {
    /// Bytes of the whole arena.
    pub bytes: u64,
    /// For each step its layer and the bytes alive while it runs, scratch included.
    pub steps: Vec<(String, u64)>,
    /// The tensors.
    pub tensors: Vec<ArenaTensor>,
}

impl Arena {
    /// The step with the most bytes alive, and the largest tensor alive there: its name and bytes.
    pub fn peak(&self) -> Option<(&str, &ArenaTensor)> {
        let (step, (name, _)) =
            self.steps.iter().enumerate().max_by(|a, b| a.1.1.cmp(&b.1.1).then(b.0.cmp(&a.0)))?;
        let alive = self.tensors.iter().filter(|t| t.alive.0 <= step && step <= t.alive.1);
        alive.max_by_key(|t| t.bytes).map(|t| (name.as_str(), t))
    }
}

/// The cycles of a graph, or the reason why they are unknown.
pub type Timer<'a> = dyn Fn(&Graph) -> Result<Cycles, String> + 'a;

/// The arena of a graph, or the reason why it has none.
pub type Planner<'a> = dyn Fn(&Graph) -> Result<Arena, String> + 'a;

/// The device besides its flash.
#[derive(Clone, Copy, Default)]
pub struct Device<'a> {
    /// What must not be exceeded.
    pub limits: Limits,
    /// Measures time; needed for a limit on cycles.
    pub timer: Option<&'a Timer<'a>>,
    /// Measures RAM; needed for a limit on RAM.
    pub planner: Option<&'a Planner<'a>>,
}

/// A quantity with a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Package bytes.
    Flash,
    /// Arena bytes.
    Ram,
    /// Cycles of one inference.
    Cycles,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Resource::Flash => "flash",
            Resource::Ram => "RAM",
            Resource::Cycles => "latency",
        })
    }
}

/// One budget against what the smallest plan takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feasibility {
    /// What the budget is for.
    pub resource: Resource,
    /// Bytes or cycles asked for.
    pub asked: f64,
    /// The nearest feasible value: what the smallest plan takes.
    pub nearest: f64,
    /// The layer or tensor that holds most of it.
    pub place: String,
    /// How much that is.
    pub held: f64,
}

impl Feasibility {
    /// The budget cannot be met.
    pub fn binds(&self) -> bool {
        self.nearest > self.asked
    }
}

impl std::fmt::Display for Feasibility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.resource == Resource::Cycles { "cycles" } else { "bytes" };
        let Feasibility { resource, asked, nearest, place, held } = self;
        if self.binds() {
            write!(
                f,
                "{resource}: {asked:.0} {unit} are out of reach, the smallest feasible value is {nearest:.0}, and \
                 {place} binds with {held:.0} of them"
            )
        } else {
            write!(f, "{resource}: {asked:.0} {unit} can be met (down to {nearest:.0})")
        }
    }
}
