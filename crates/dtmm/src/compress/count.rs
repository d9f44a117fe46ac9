//! What a pruned graph takes on the device, in the storage of the method that pruned it.

use std::collections::BTreeMap;

use dtmm_boards::Core;
use dtmm_cost::{CostModel, Form, Kernel, Layer, LayerShape, Stored, Work, layer_shapes};
use dtmm_graph::{Graph, Masks, TensorId, transform};
use dtmm_pack::{LayerRow, LayerSize, PackResult, SizeModel, StorageForm};
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
    pub work: Work,
}

impl Counted {
    /// Counts the package as its writer does, or with weights and index as `method` would store them where the package
    /// has no such form.
    pub fn of(graph: &Graph, masks: &Masks, method: Method) -> Result<Self, Error> {
        let fail = |source| Error::Pack { model: graph.name.clone(), source };
        let size = SizeModel::new(graph).map_err(fail)?.size(masks);
        let ram = dtmm_pack::plan(&zeroed(graph, masks)).map_err(fail)?.arena_bytes;
        let stored = dtmm_prune::stored(graph, masks, method);
        let kernels = |shape: &LayerShape| kernel(shape, masks, &size.layers, stored.as_deref());
        let layers = layer_shapes(&folded(graph)).iter().map(kernels).collect();
        let (flash, index, storage) = match &stored {
            None => (size.total, size.layers.iter().map(|l| l.index_bytes).sum(), "package".into()),
            Some(stored) => listed(graph, size.dense_total, stored),
        };
        Ok(Counted { flash, index, storage, ram, layers })
    }

    /// The same with the layers of a finished package, whose storage forms may be faster ones than the smallest.
    pub fn in_package(self, packed: &PackResult, work: Vec<Option<(Kernel, Work)>>) -> Self {
        let layer = |(row, work): (&LayerRow, Option<(Kernel, Work)>)| {
            work.map(|(kernel, work)| LayerCost { name: row.name.clone(), kernel, work })
        };
        Counted { layers: packed.layers.iter().zip(work).filter_map(layer).collect(), ..self }
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
    masks: &Masks,
    sizes: &[LayerSize],
    stored: Option<&[StoredLayer]>,
) -> LayerCost {
    let cost = |(kernel, work)| LayerCost { name: shape.name.clone(), kernel, work };
    let dense = || cost((shape.layer.kernel, shape.layer.dense_work()));
    let Some(mask) = shape.weights.and_then(|w| masks.get(&w)) else { return dense() };
    if let Some(stored) = stored {
        let own = stored.iter().find(|l| l.name == shape.name);
        let kernel = match own.map_or(Index::None, |l| l.index) {
            Index::Csr => Kernel::SingleWeights,
            Index::Pattern => Kernel::Patterns,
            Index::Positions => Kernel::OfFour,
            Index::Pairs => return cost(shape.masked(mask, (Form::Bitmap, shape.layer.dims()[2]))),
            Index::None | Index::Bitmap | Index::Gaps => return dense(),
        };
        let kept = mask.iter().filter(|k| **k).count() as f64;
        let (weights, runs) = own.map_or((kept, 0.0), |l| (l.weight_bytes as f64, l.units as f64));
        return cost((kernel, shape.counted(weights, runs)));
    }
    let size = sizes.iter().find(|l| Some(l.weights) == shape.weights);
    match size.map(|l| (form(l.storage), l.group)) {
        None | Some((Form::Dense, _)) => dense(),
        Some(form) => cost(shape.masked(mask, form)),
    }
}

/// The storage form for the cost model.
pub fn form(storage: StorageForm) -> Form {
    match storage {
        StorageForm::Dense => Form::Dense,
        StorageForm::Bitmap => Form::Bitmap,
        StorageForm::Gaps => Form::Gaps,
    }
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
        let own = layer_cycles(&shape.layer, model, core)?;
        match shape.weights {
            Some(weights) => add(&mut cycles.layers, weights, own),
            None => cycles.other += own.dense,
        }
    }
    Ok(cycles)
}

/// Half of the runs kept: how runs lie beside each other then is typical of what the scheduler weighs.
const TYPICAL: f64 = 0.5;
/// Channels of the shortest runs.
const SHORTEST: usize = 4;

fn layer_cycles(layer: &Layer, model: &CostModel, core: Core) -> Result<LayerCycles, String> {
    let time = |stored: &Stored| {
        let (kernel, work) = layer.work(stored);
        model.cycles(core, kernel, &work).map_err(|e| e.to_string())
    };
    let [_, _, channels] = layer.dims();
    let dense = time(&Stored::dense(layer))?;
    if layer.runs_kernel().is_none() {
        return Ok(LayerCycles { dense, sparse: dense, per_run: 0.0, per_weight: 0.0 });
    }
    let runs = |group: usize, share: f64| Stored::random(layer, (Form::Bitmap, group), share);
    let sparse = time(&runs(channels, 0.0))?;
    let slope = |group: usize| -> Result<f64, String> {
        let stored = runs(group, TYPICAL);
        Ok((time(&stored)? - sparse).max(0.0) / stored.kept.max(1.0))
    };
    // A run's time is a part of its own and one for each weight; long and short runs tell them apart.
    let whole = slope(channels)?;
    if channels <= SHORTEST {
        return Ok(LayerCycles { dense, sparse, per_run: 0.0, per_weight: whole / channels.max(1) as f64 });
    }
    let short = slope(SHORTEST)?;
    let per_weight = ((whole - short) / (channels - SHORTEST) as f64).clamp(0.0, whole / channels as f64);
    Ok(LayerCycles { dense, sparse, per_run: whole - per_weight * channels as f64, per_weight })
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
