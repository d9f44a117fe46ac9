//! `inspect`: what is inside a model or package.

use std::path::Path;

use dtmm_cost::{CostModel, Kernel, Work, layer_shapes, package_work};
use dtmm_graph::{Graph, Port};
use dtmm_pack::{HostModel, MemoryPlan, PackedLayer, PortDescription, SizeBreakdown, SizeModel, StorageForm};
use dtmm_report::{CompressReport, Estimate, InspectReport, LayerRow, RamPoint};

use crate::{Container, Error, Model, describe, load_model};

/// As [`inspect`], with the time that each layer is estimated to take on a board.
///
/// # Errors
/// As [`inspect`], and for an unknown board.
pub fn inspect_on(path: &Path, board: &str) -> Result<InspectReport, Error> {
    let board = dtmm_boards::find(board)?;
    let mut report = inspect(path)?;
    let model = CostModel::builtin();
    let work: Vec<(usize, Kernel, Work)> = match load_model(path)?.0 {
        Model::Package(bytes) => {
            let fail = |source| Error::Package { path: path.to_owned(), source };
            let work = HostModel::new(&bytes).map_err(fail)?.with_package(package_work).map_err(fail)?;
            work.into_iter()
                .enumerate()
                .filter_map(|(i, w)| w.map(|(kernel, work)| (i, kernel, work)))
                .collect()
        }
        Model::Float(mut graph) => {
            dtmm_graph::transform::for_inference(&mut graph);
            graph_work(&graph, &report.layers)
        }
        Model::Int8(graph) => graph_work(&graph, &report.layers),
    };
    let (mut instructions, mut cycles) = (0.0, 0.0);
    for (at, kernel, work) in work {
        let Some(row) = report.layers.get_mut(at) else { continue };
        let own = model.instructions(board.core, kernel, &work)?;
        let own_cycles = model.cycles(board.core, kernel, &work)?;
        (row.instructions, row.cycles) = (Some(own), Some(own_cycles));
        (instructions, cycles) = (instructions + own, cycles + own_cycles);
    }
    let seconds = cycles / f64::from(board.clock_hz);
    report.estimate = Some(Estimate {
        board: board.name.into(),
        core: board.core.name().into(),
        clock_hz: board.clock_hz,
        instructions,
        cycles,
        seconds,
        note: note(&model, board.core),
    });
    Ok(report)
}

/// Each layer's row, kernel and dense work.
fn graph_work(graph: &Graph, rows: &[LayerRow]) -> Vec<(usize, Kernel, Work)> {
    let row = |name: &str| rows.iter().position(|r| r.name == name);
    let shapes = layer_shapes(graph);
    shapes.iter().filter_map(|s| Some((row(&s.name)?, s.layer.kernel, s.layer.dense_work()))).collect()
}

/// Where a core's numbers come from.
fn note(model: &CostModel, core: dtmm_boards::Core) -> String {
    let Some(costs) = model.cores.get(&core) else { return String::new() };
    let fitted = costs.fit.map_or_else(
        || "instructions are those of a core that runs the same code".to_owned(),
        |f| {
            let [median, max] = [f.median, f.max].map(dtmm_report::percent);
            format!("instructions of layers of other shapes are off by {median} (median), {max} (at most)")
        },
    );
    let from_table = costs.kernels.values().any(|k| !k.cycles.is_empty());
    let cycles = if from_table {
        format!("cycles are {}", dtmm_emulate::CycleModel::LIMITS)
    } else {
        format!("cycles are assumed to be {} for each instruction", costs.cycles_per_instruction)
    };
    format!("{fitted}; {cycles}")
}

/// Describes a model or package. For a model, bytes and arena are those of its unpruned int8 package.
///
/// # Errors
/// A file that cannot be read or imported.
pub fn inspect(path: &Path) -> Result<InspectReport, Error> {
    let (model, container) = load_model(path)?;
    match model {
        Model::Float(graph) => of_graph(path, container, &graph, "float32"),
        Model::Int8(graph) => of_graph(path, container, &graph, "int8"),
        Model::Package(bytes) => of_package(path, &bytes),
    }
}

fn of_graph(path: &Path, container: Container, graph: &Graph, element: &str) -> Result<InspectReport, Error> {
    let facts = Facts::of(graph)?;
    let format = if container == Container::Onnx { "ONNX" } else { "TFLite" };
    Ok(InspectReport {
        model: path.display().to_string(),
        kind: format!("{format} {element}"),
        inputs: graph.inputs.iter().map(describe_port).collect(),
        outputs: graph.outputs.iter().map(describe_port).collect(),
        preprocessing: preprocessing(graph.preprocessing.as_ref()),
        package_bytes: facts.size.total,
        arena_bytes: facts.plan.arena_bytes,
        macs: facts.layers.iter().map(|l| l.dense_macs).sum(),
        weights: facts.layers.iter().map(|l| l.dense_weights).sum(),
        ram: facts.ram(),
        layers: facts.layers,
        estimate: None,
    })
}

fn of_package(path: &Path, bytes: &[u8]) -> Result<InspectReport, Error> {
    let fail = |source| Error::Package { path: path.to_owned(), source };
    let host = HostModel::new(bytes).map_err(fail)?;
    let mut layers: Vec<LayerRow> = host.layers().map_err(fail)?.into_iter().map(packed_row).collect();
    if let Some(report) = sidecar(path, host.package_bytes()) {
        rename(&mut layers, &report.layers);
    }
    Ok(InspectReport {
        model: path.display().to_string(),
        kind: "DTMM package, int8".into(),
        inputs: host.inputs().iter().map(describe_packed_port).collect(),
        outputs: host.outputs().iter().map(describe_packed_port).collect(),
        preprocessing: preprocessing(host.preprocessing().map_err(fail)?.as_ref()),
        package_bytes: host.package_bytes(),
        arena_bytes: host.arena_bytes().map_err(fail)?,
        macs: layers.iter().map(|l| l.macs).sum(),
        weights: layers.iter().map(|l| l.weights).sum(),
        ram: vec![],
        layers,
        estimate: None,
    })
}

fn packed_row(l: PackedLayer) -> LayerRow {
    let pixels = (l.output[0] * l.output[1]) as u64;
    // A dense layer's row may be padded in flash.
    let weights = l.stored_weights.min(l.weights);
    LayerRow {
        name: l.name,
        op: l.op,
        output_shape: [1].into_iter().chain(l.output).collect(),
        dense_macs: pixels * l.weights as u64,
        macs: pixels * weights as u64,
        dense_weights: l.weights,
        weights,
        bytes: l.bytes,
        storage: storage_name(l.storage, l.weights),
        group: (l.group > 0).then_some(l.group),
        ..LayerRow::default()
    }
}

/// The report that `compress` wrote beside the package, when it is about this package: flash has no room for names.
fn sidecar(package: &Path, bytes: usize) -> Option<CompressReport> {
    let text = std::fs::read(package.with_file_name("report.json")).ok()?;
    let report: CompressReport = serde_json::from_slice(&text).ok()?;
    (report.flash.package_bytes == bytes).then_some(report)
}

/// Gives the layers the names they had in the model. Both lists are in execution order; the report also knows layers
/// that are gone, and the package ones that quantisation put in.
fn rename(layers: &mut [LayerRow], known: &[LayerRow]) {
    let mut known = known.iter().filter(|l| l.bytes > 0);
    for layer in layers {
        let mut ahead = known.clone();
        let same =
            |l: &&LayerRow| l.op.eq_ignore_ascii_case(&layer.op) && l.output_shape == layer.output_shape;
        if let Some(found) = ahead.find(same) {
            layer.name.clone_from(&found.name);
            known = ahead;
        }
    }
}

/// Bytes, RAM and layers of a graph's unpruned package.
pub(crate) struct Facts {
    pub size: SizeBreakdown,
    pub plan: MemoryPlan,
    pub layers: Vec<LayerRow>,
}

impl Facts {
    /// Counts a graph, float or int8.
    pub fn of(graph: &Graph) -> Result<Self, Error> {
        let fail = |source| Error::Pack { model: graph.name.clone(), source };
        let mut inference = graph.clone();
        if !graph.is_int8() {
            dtmm_graph::transform::for_inference(&mut inference);
        }
        let size = SizeModel::new(graph).map_err(fail)?.size(&dtmm_graph::Masks::new());
        let plan = dtmm_pack::plan(graph).map_err(fail)?;
        let layers = inference.nodes.iter().map(|n| layer_row(&inference, n, &size)).collect();
        Ok(Facts { size, plan, layers })
    }

    /// Live bytes while each layer runs.
    pub fn ram(&self) -> Vec<RamPoint> {
        ram_points(&self.plan)
    }
}

pub(crate) fn ram_points(plan: &MemoryPlan) -> Vec<RamPoint> {
    plan.layers.iter().map(|l| RamPoint { layer: l.name.clone(), live_bytes: l.live_bytes }).collect()
}

fn layer_row(graph: &Graph, node: &dtmm_graph::Node, size: &SizeBreakdown) -> LayerRow {
    let weights = if node.op.has_weights() { graph.tensor(node.inputs[1]).len() } else { 0 };
    let bytes = size.layers.iter().find(|l| l.name == node.name).map_or(0, |l| l.bytes);
    LayerRow {
        name: node.name.clone(),
        op: node.op.name().into(),
        output_shape: graph.tensor(node.output).shape.clone(),
        dense_macs: graph.macs(node),
        macs: graph.macs(node),
        dense_weights: weights,
        weights,
        dense_bytes: bytes,
        bytes,
        storage: storage_name(StorageForm::Dense, weights),
        ..LayerRow::default()
    }
}

/// The storage form in words; layers without weights have none.
pub(crate) fn storage_name(form: StorageForm, weights: usize) -> String {
    match form {
        _ if weights == 0 => "-",
        StorageForm::Dense => "dense",
        StorageForm::Bitmap => "bitmap",
        StorageForm::Gaps => "gaps",
    }
    .into()
}

fn preprocessing(p: Option<&dtmm_graph::Preprocessing>) -> String {
    p.map_or_else(|| "not stored in the model".into(), describe)
}

fn describe_port(p: &Port) -> String {
    let quant = p.quant.as_ref().and_then(|q| Some((*q.scale.first()?, *q.zero_point.first()?)));
    port_text(&p.name, &p.element_type.to_string(), &p.source_shape, quant)
}

fn describe_packed_port(p: &PortDescription) -> String {
    let text = port_text(&p.name, &p.element_type.to_string(), &p.source_shape, p.source_quant);
    format!("{text}, int8 inside (scale {}, zero point {})", p.scale, p.zero_point)
}

fn port_text(name: &str, element: &str, shape: &[usize], quant: Option<(f32, i32)>) -> String {
    let quant = quant.map_or_else(String::new, |(s, z)| format!(" (scale {s}, zero point {z})"));
    format!("{name}: {element} {shape:?}{quant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, op: &str, channels: usize, bytes: usize) -> LayerRow {
        let output_shape = vec![1, 4, 4, channels];
        LayerRow { name: name.into(), op: op.into(), output_shape, bytes, ..LayerRow::default() }
    }

    #[test]
    fn names_come_in_order_past_layers_that_are_gone_or_new() {
        let known = [row("stem", "Conv2d", 8, 10), row("dead", "Conv2d", 8, 0), row("head", "Conv2d", 8, 10)];
        let mut layers = [row("Conv2d 0", "Conv2d", 8, 9), row("Quantize 1", "Quantize", 8, 1)].to_vec();
        layers.extend([row("Conv2d 2", "Conv2d", 8, 9), row("Conv2d 3", "Conv2d", 8, 9)]);
        rename(&mut layers, &known);
        let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["stem", "Quantize 1", "head", "Conv2d 3"]);
    }
}
