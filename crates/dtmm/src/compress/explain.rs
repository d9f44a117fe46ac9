//! Why the result looks as it does, for the report.

use dtmm_boards::Core;
use dtmm_graph::Graph;
use dtmm_pack::{MemoryPlan, PackResult};
use dtmm_prune::{PrunableLayer, PrunePlan, UnitKind, prunable_layers};
use dtmm_report::{Accuracy, Bound, BudgetRow, CoreLatency, KeptMap, LayerRow, TensorBytes};

use super::Job;
use super::count::{Counted, LayerCost};
use super::tune::Tuned;
use crate::Error;

/// Adds to each layer's row its unit, cycles and the picture of what is kept.
pub fn layers(job: &Job, tuned: &Tuned, counted: &Counted, rows: &mut [LayerRow]) -> Result<(), Error> {
    let dense = Counted::of(&job.graph, &dtmm_graph::Masks::new(), job.request.scheduler)?;
    let own = prunable_layers(&tuned.graph);
    for row in rows {
        let cycles = |c: &Counted| {
            let layer = c.layers.iter().find(|l| l.name == row.name);
            layer.map(|l| l.cycles(&job.costs, job.target.core)).transpose()
        };
        (row.dense_cycles, row.cycles) = (cycles(&dense)?, cycles(counted)?);
        if let Some(plan) = tuned.plan.layers.iter().find(|l| l.name == row.name) {
            row.unit = plan.unit.to_string();
        }
        row.kept_map = own.iter().find(|l| l.name == row.name).map(|l| kept_map(&tuned.graph, l));
    }
    Ok(())
}

/// Rows are kernel positions, or groups of four input channels where there is one position; columns are the filters that
/// stay.
fn kept_map(graph: &Graph, layer: &PrunableLayer) -> KeptMap {
    const LEVELS: f64 = 15.0;
    let layout = &layer.layout;
    let kind = if layout.positions == 1 { UnitKind::SubFilterlet(4) } else { UnitKind::Filterlet };
    let weights = graph.tensor(layer.weights).f32_data().unwrap_or_default();
    let share = |unit: usize| {
        let (mut all, mut kept) = (0.0f64, 0.0f64);
        for e in layout.elements(kind, unit) {
            all += 1.0;
            kept += if weights.get(e).is_some_and(|w| *w != 0.0) { 1.0 } else { 0.0 };
        }
        // A unit with anything in it is never shown as empty.
        (kept / all.max(1.0) * LEVELS).ceil() as u32
    };
    let rows = layout.unit_count(kind) / layout.filters.max(1);
    let cells = (0..rows).flat_map(|r| (0..layout.filters).map(move |o| o * rows + r));
    KeptMap {
        columns: layout.filters,
        rows,
        row: if layout.positions == 1 { "four input channels" } else { "kernel position" }.into(),
        shares: cells.map(|u| char::from_digit(share(u), 16).unwrap_or('f')).collect(),
    }
}

/// The layer at which most bytes are alive.
pub fn peak_layer(plan: &MemoryPlan) -> String {
    plan.layers.get(plan.peak_layer).map_or_else(String::new, |l| l.name.clone())
}

/// What is alive there, largest first.
pub fn binding(plan: &MemoryPlan) -> Vec<TensorBytes> {
    let at = plan.peak_layer;
    let alive = plan.tensors.iter().filter(|t| t.first <= at && at <= t.last);
    let mut tensors: Vec<TensorBytes> =
        alive.map(|t| TensorBytes { name: t.name.clone(), bytes: t.bytes }).collect();
    if let Some(layer) = plan.layers.get(at).filter(|l| l.scratch_bytes > 0) {
        tensors.push(TensorBytes { name: "scratch".into(), bytes: layer.scratch_bytes });
    }
    tensors.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.name.cmp(&b.name)));
    tensors
}

/// Estimated cycles before and after on every core.
pub fn latency(job: &Job, counted: &Counted) -> Result<Vec<CoreLatency>, Error> {
    let dense = Counted::of(&job.graph, &dtmm_graph::Masks::new(), job.request.scheduler)?;
    let row = |core: Core| {
        let target = core == job.target.core;
        let cycles = counted.cycles(&job.costs, core)?;
        Ok(CoreLatency {
            core: core.name().into(),
            dense_cycles: dense.cycles(&job.costs, core)?,
            cycles,
            instructions: instructions(job, counted, core)?,
            seconds: job.target.clock_hz.filter(|_| target).map(|clock| cycles / clock),
            error: error(job, counted, core)?,
        })
    };
    Core::ALL.into_iter().map(row).collect()
}

fn instructions(job: &Job, counted: &Counted, core: Core) -> Result<f64, Error> {
    let own = |l: &LayerCost| Ok(job.costs.coefficients(core, l.kernel)?.instructions(&l.work));
    counted.layers.iter().map(own).sum()
}

/// The largest error that the cost model states for a kernel in use, weighted by the kernels' share of the cycles.
fn error(job: &Job, counted: &Counted, core: Core) -> Result<f64, Error> {
    let (mut cycles, mut errors) = (0.0, 0.0);
    for layer in &counted.layers {
        let own = layer.cycles(&job.costs, core)?;
        cycles += own;
        errors += own * job.costs.coefficients(core, layer.kernel)?.error;
    }
    Ok(if cycles > 0.0 { errors / cycles } else { 0.0 })
}

/// Every budget against what the result takes.
pub fn budgets(
    job: &Job,
    counted: &Counted,
    packed: &PackResult,
    accuracy: &Accuracy,
) -> Result<Vec<BudgetRow>, Error> {
    let flash = if job.request.scheduler.has_package() { packed.bytes.len() } else { counted.flash };
    let bytes = |n: usize| n as f64;
    let mut rows = Vec::new();
    let mut push = |resource: &str, unit: &str, budget: Option<f64>, taken: f64| {
        if let Some(budget) = budget {
            let kept = taken <= budget;
            rows.push(BudgetRow { resource: resource.into(), unit: unit.into(), budget, taken, kept });
        }
    };
    push("flash", "B", job.ceilings.flash.map(bytes), bytes(flash));
    push("RAM", "B", job.ceilings.ram.map(bytes), bytes(packed.plan.arena_bytes));
    if let Some(clock) = job.target.clock_hz {
        let cycles = counted.cycles(&job.costs, job.target.core)?;
        push("latency (estimated)", "ms", job.ceilings.cycles.map(|c| c / clock * 1e3), cycles / clock * 1e3);
    }
    let drop = (accuracy.float - accuracy.int8) * 100.0;
    push("accuracy drop", "pp", job.budgets.max_drop.map(|d| d * 100.0), drop);
    Ok(rows)
}

/// How good the last plan is.
pub fn bound(plan: &PrunePlan) -> Bound {
    let share = |part: f64| if plan.importance_total > 0.0 { part / plan.importance_total } else { 0.0 };
    Bound {
        importance_removed: share(plan.importance_removed),
        least_possible: share(plan.bound),
        gap: plan.gap(),
        byte_price: plan.price,
        cycle_price: plan.cycle_price,
    }
}
