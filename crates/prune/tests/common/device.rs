//! A device whose arena and time follow simple rules, and requests for plans.

use dtmm_graph::{Graph, Masks};
use dtmm_prune::{
    Arena, ArenaTensor, Cycles, Device, Importance, LayerCycles, Limits, Options, PrunableLayer, PrunePlan,
    Request, ScheduleError, prunable_layers, schedule,
};

use super::sizer;

/// Input and output of the running layer are alive.
pub fn arena(graph: &Graph) -> Result<Arena, String> {
    let bytes = |t: dtmm_graph::TensorId| graph.tensor(t).len() as u64;
    let steps: Vec<(String, u64)> =
        graph.nodes.iter().map(|n| (n.name.clone(), bytes(n.inputs[0]) + bytes(n.output))).collect();
    let tensors = graph.nodes.iter().enumerate().map(|(i, n)| ArenaTensor {
        name: graph.tensor(n.output).name.clone(),
        bytes: bytes(n.output),
        alive: (i, i + 1),
    });
    Ok(Arena { bytes: steps.iter().map(|s| s.1).max().unwrap_or(0), tensors: tensors.collect(), steps })
}

/// A cycle per weight and pixel, two for weights in runs, four for a run.
pub fn cycles(graph: &Graph) -> Result<Cycles, String> {
    let layer = |l: PrunableLayer| {
        let output = &graph.tensor(graph.nodes[l.node].output).shape;
        let pixels = (output[1] * output[2]) as f64;
        let dense = pixels * l.layout.len() as f64;
        (l.weights, LayerCycles { dense, sparse: pixels, per_run: 4.0 * pixels, per_weight: 2.0 * pixels })
    };
    Ok(Cycles { other: 1000.0, layers: prunable_layers(graph).into_iter().map(layer).collect() })
}

/// Cycles of the unpruned model.
pub fn all_cycles(graph: &Graph) -> f64 {
    let cycles = cycles(graph).unwrap();
    cycles.other + cycles.layers.values().map(|l| l.dense).sum::<f64>()
}

/// A plan by the magnitude of the weights, after earlier rounds left `current`.
pub fn plan_after(
    graph: &Graph,
    current: &Masks,
    (budget, limits): (u64, Limits),
    options: &Options,
) -> Result<PrunePlan, ScheduleError> {
    let importance = Importance::magnitude_l1(graph).unwrap();
    schedule(&Request {
        graph,
        importance: &importance,
        current,
        budget,
        options,
        sizer: &sizer,
        device: Device { limits, timer: Some(&cycles), planner: Some(&arena) },
    })
}
