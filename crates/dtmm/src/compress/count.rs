//! What a pruned graph takes on the device, in the storage of the method that pruned it.

use std::collections::BTreeMap;

use dtmm_boards::Core;
use dtmm_cost::{CostModel, Kernel, LayerShape, layer_shapes};
use dtmm_graph::{Graph, Masks, TensorId, transform};
use dtmm_pack::{LayerSize, SizeModel, StorageForm};
use dtmm_prune::{Arena, ArenaTensor, Cycles, Index, LayerCycles, Method, StoredLayer, prunable_layers};

use crate::Error;

/// Flash, RAM and time of a pruned graph.
pub struct Counted {
    /// Bytes of the whole package.
    pub flash: usize,
    /// Bytes of them that say where the kept weights are.
    pub index: usize,
    /// How the kept weights are marked.
    pub storage: String,
    /// Bytes of the arena.
    pub ram: usize,
    /// What each layer computes.
    pub layers: Vec<LayerCost>,
}

/// One layer with the kernel that runs it.
pub struct LayerCost {
    pub name: String,
    pub kernel: Kernel,
    pub work: dtmm_cost::Work,
}

impl Counted {
    /// Counts the package as its writer does, or with weights and index as `method` would store them where the package
    /// has no such form.
    pub fn of(graph: &Graph, masks: &Masks, method: Method) -> Result<Self, Error> {
        let fail = |source| Error::Pack { model: graph.name.clone(), source };
        let size = SizeModel::new(graph).map_err(fail)?.size(masks);
        let ram = dtmm_pack::plan(&zeroed(graph, masks)).map_err(fail)?.arena_bytes;
        let stored = dtmm_prune::stored(graph, masks, method);
        let kernels = |shape: &LayerShape| kernel(shape, graph, masks, &size.layers, stored.as_deref());
        let layers = layer_shapes(&folded(graph)).iter().map(kernels).collect();
        let (flash, index, storage) = match &stored {
            None => (size.total, size.layers.iter().map(|l| l.index_bytes).sum(), "package".into()),
            Some(stored) => listed(graph, size.dense_total, stored),
        };
        Ok(Counted { flash, index, storage, ram, layers })
    }

    /// Cycles of one inference.
    pub fn cycles(&self, model: &CostModel, core: Core) -> Result<f64, Error> {
        self.layers.iter().map(|l| l.cycles(model, core)).sum()
    }
}

impl LayerCost {
    /// Cycles of the layer.
    pub fn cycles(&self, model: &CostModel, core: Core) -> Result<f64, Error> {
        Ok(model.cycles(core, self.kernel, &self.work)?)
    }
}

/// The graph as the device runs it: batch norms folded, activations fused. Tensor ids stay.
fn folded(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    transform::for_inference(&mut graph);
    graph
}

/// The graph with its pruned weights zero, which decides how they are stored and what the kernels need.
fn zeroed(graph: &Graph, masks: &Masks) -> Graph {
    let mut graph = graph.clone();
    for (&tensor, mask) in masks {
        if let Some(weights) = graph.tensor_mut(tensor).f32_data_mut() {
            weights.iter_mut().zip(mask).filter(|(_, kept)| !**kept).for_each(|(w, _)| *w = 0.0);
        }
    }
    graph
}

fn kernel(
    shape: &LayerShape,
    graph: &Graph,
    masks: &Masks,
    sizes: &[LayerSize],
    stored: Option<&[StoredLayer]>,
) -> LayerCost {
    let cost = |kernel, work| LayerCost { name: shape.name.clone(), kernel, work };
    let dense = || cost(shape.kernel, shape.dense);
    let Some(mask) = shape.weights.and_then(|w| masks.get(&w)) else { return dense() };
    let kept = mask.iter().filter(|k| **k).count() as f64;
    if let Some(stored) = stored {
        let own = stored.iter().find(|l| l.name == shape.name);
        let kernel = match own.map_or(Index::None, |l| l.index) {
            Index::Csr => Kernel::SingleWeights,
            Index::Pattern => Kernel::Patterns,
            Index::Positions => Kernel::OfFour,
            Index::Pairs => shape.runs_kernel().unwrap_or(shape.kernel),
            Index::None | Index::Bitmap | Index::Gaps => return dense(),
        };
        let runs = own.map_or(0.0, |l| l.units as f64);
        return cost(kernel, shape.sparse(own.map_or(kept, |l| l.weight_bytes as f64), runs));
    }
    let size = sizes.iter().find(|l| Some(l.weights) == shape.weights);
    match (size.filter(|l| l.storage != StorageForm::Dense), shape.runs_kernel()) {
        (Some(size), Some(kernel)) => {
            let channels = shape.weights.and_then(|w| graph.tensor(w).shape.last().copied()).unwrap_or(1);
            let (runs, weights) = runs_of(mask, channels, size.group.max(1));
            cost(kernel, shape.sparse(weights, runs))
        }
        _ => dense(),
    }
}

/// Stored runs of `group` channels and the weights in them.
fn runs_of(mask: &[bool], channels: usize, group: usize) -> (f64, f64) {
    let runs = mask.chunks(channels.max(1)).flat_map(|row| row.chunks(group));
    let kept = runs.filter(|run| run.contains(&true));
    kept.fold((0.0, 0.0), |(n, weights), run| (n + 1.0, weights + run.len() as f64))
}

fn listed(graph: &Graph, dense_total: usize, layers: &[StoredLayer]) -> (usize, usize, String) {
    let dense: usize = prunable_layers(graph).iter().map(|l| l.layout.len()).sum();
    let sum = |bytes: fn(&StoredLayer) -> u64| layers.iter().map(bytes).sum::<u64>() as usize;
    let (weights, index) = (sum(|l| l.weight_bytes), sum(|l| l.index_bytes));
    let storage = layers.iter().map(|l| l.index).find(|i| *i != Index::None).map_or("dense", name);
    (dense_total - dense + weights + index, index, storage.into())
}

fn name(index: Index) -> &'static str {
    match index {
        Index::None => "dense",
        Index::Bitmap => "bitmap",
        Index::Gaps => "gaps",
        Index::Csr => "compressed sparse rows",
        Index::Pattern => "patterns",
        Index::Pairs => "two bytes for each filterlet and filter",
        Index::Positions => "two bits of position",
    }
}

/// What the scheduler needs to know of time on `core`.
pub fn timed(graph: &Graph, model: &CostModel, core: Core) -> Result<Cycles, String> {
    let mut cycles = Cycles { other: 0.0, layers: BTreeMap::new() };
    for shape in layer_shapes(&folded(graph)) {
        let dense = model.cycles(core, shape.kernel, &shape.dense).map_err(|e| e.to_string())?;
        match (shape.weights, shape.runs_kernel()) {
            (Some(weights), kernel) => {
                let own = layer_cycles(&shape, kernel, dense, model, core)?;
                add(&mut cycles.layers, weights, own);
            }
            _ => cycles.other += dense,
        }
    }
    Ok(cycles)
}

fn layer_cycles(
    shape: &LayerShape,
    kernel: Option<Kernel>,
    dense: f64,
    model: &CostModel,
    core: Core,
) -> Result<LayerCycles, String> {
    let Some(kernel) = kernel else {
        return Ok(LayerCycles { dense, sparse: dense, per_run: 0.0, per_weight: 0.0 });
    };
    let at =
        |weights, runs| model.cycles(core, kernel, &shape.sparse(weights, runs)).map_err(|e| e.to_string());
    let sparse = at(0.0, 0.0)?;
    Ok(LayerCycles { dense, sparse, per_run: at(0.0, 1.0)? - sparse, per_weight: at(1.0, 0.0)? - sparse })
}

/// Weights used by several layers take the time of all of them.
fn add(layers: &mut BTreeMap<TensorId, LayerCycles>, weights: TensorId, own: LayerCycles) {
    let sum = layers.entry(weights).or_default();
    *sum = LayerCycles {
        dense: sum.dense + own.dense,
        sparse: sum.sparse + own.sparse,
        per_run: sum.per_run + own.per_run,
        per_weight: sum.per_weight + own.per_weight,
    };
}

/// What the memory planner makes of a graph, for the scheduler.
pub fn arena(graph: &Graph) -> Result<Arena, String> {
    let plan = dtmm_pack::plan(graph).map_err(|e| e.to_string())?;
    let tensor = |t: dtmm_pack::TensorPlace| ArenaTensor {
        name: t.name,
        bytes: t.bytes as u64,
        alive: (t.first, t.last),
    };
    Ok(Arena {
        bytes: plan.arena_bytes as u64,
        steps: plan.layers.into_iter().map(|l| (l.name, l.live_bytes as u64)).collect(),
        tensors: plan.tensors.into_iter().map(tensor).collect(),
    })
}
