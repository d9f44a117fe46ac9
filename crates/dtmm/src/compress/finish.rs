//! The last stages: quantize, pack, measure, write.

use dtmm_cost::{layer_shapes, package_work};
use dtmm_graph::{Data, Graph};
use dtmm_pack::{LayerRow as PackedRow, PackResult, StorageChoice};
use dtmm_report::{Accuracy, CompressReport, DatasetInfo, Flash, LayerRow, Quantization, Ram, Versions};

use super::count::{Counted, form};
use super::explain;
use super::plan::take;
use super::qat::quantized;
use super::tune::Tuned;
use super::{Job, Objective, RunDir, host};
use crate::inspect::{ram_points, storage_name};
use crate::model::pack_int8;
use crate::{Error, describe, files, int8, onnx};

/// The int8 package of the pruned model, within the budget, and how its numbers were chosen.
pub fn quantize_and_pack(
    job: &Job,
    tuned: &Tuned,
    run: &mut RunDir,
) -> Result<(PackResult, Quantization), Error> {
    let (graph, quantization) = quantized(job, tuned, run)?;
    let smallest = pack_int8(&graph)?;
    within(job, tuned, &smallest)?;
    let fast = fast(job, &graph, &smallest)?;
    Ok((fast.unwrap_or(smallest), quantization))
}

/// The package with the storage form of each layer that is fastest on the core asked for, where flash and RAM allow it and
/// the method is one that the package stores; `None` to keep the smallest one.
fn fast(job: &Job, graph: &Graph, smallest: &PackResult) -> Result<Option<PackResult>, Error> {
    if !job.request.scheduler.has_package() || job.budgets.objective() == Objective::Flash {
        return Ok(None);
    }
    let shapes = layer_shapes(graph);
    let time = |name: &str, choice: &StorageChoice| {
        let shape = shapes.iter().find(|s| s.name == name)?;
        let mask: Vec<bool> = match &graph.tensor(shape.weights?).data {
            Some(Data::I8(weights)) => weights.iter().map(|w| *w != 0).collect(),
            _ => return None,
        };
        let (kernel, work) = shape.masked(&mask, (form(choice.form), choice.group));
        job.costs.cycles(job.target.core, kernel, &work).ok()
    };
    let packed = dtmm_pack::pack_fast(graph, job.ceilings.flash, &time)
        .map_err(|source| Error::Pack { model: graph.name.clone(), source })?;
    let ram = job.ceilings.ram.unwrap_or(smallest.plan.arena_bytes).max(smallest.plan.arena_bytes);
    Ok(Some(packed).filter(|p| p.plan.arena_bytes <= ram))
}

/// What was promised is kept by the bytes that will be written.
fn within(job: &Job, tuned: &Tuned, packed: &PackResult) -> Result<(), Error> {
    // The package cannot store what the other methods count; those were held to the budget by their own count.
    let flash = if job.request.scheduler.has_package() { packed.bytes.len() } else { 0 };
    let ram = packed.plan.arena_bytes;
    for (resource, taken, limit) in [("flash", flash, job.ceilings.flash), ("RAM", ram, job.ceilings.ram)] {
        if let Some(limit) = limit.filter(|&limit| taken > limit) {
            let [taken, budget] = [taken, limit].map(dtmm_report::bytes);
            return Err(Error::OverBudget { resource: resource.into(), taken, budget });
        }
    }
    let cycles = take(job, &tuned.graph, &tuned.masks)?.cycles.unwrap_or(0.0);
    match job.ceilings.cycles.filter(|&limit| cycles > limit) {
        None => Ok(()),
        Some(limit) => {
            let [taken, budget] = [cycles, limit].map(|c| format!("{c:.0} cycles"));
            Err(Error::OverBudget { resource: "latency".into(), taken, budget })
        }
    }
}

/// Test accuracy of the package, run by the device runtime.
pub fn measure(job: &Job, packed: &PackResult) -> Result<f64, Error> {
    let host = host(job, &packed.bytes)?;
    int8::measured("package accuracy", &host, &job.test, &job.input, job.request.threads, job.progress)
}

/// What the result takes: as the package has it where the package can store what the method counts.
fn counted(job: &Job, tuned: &Tuned, packed: &PackResult) -> Result<Counted, Error> {
    let counted = Counted::of(&tuned.graph, &tuned.masks, job.request.scheduler)?;
    if !job.request.scheduler.has_package() {
        return Ok(counted);
    }
    let fail = |source| Error::Package { path: job.request.model.clone(), source };
    let work = host(job, &packed.bytes)?.with_package(package_work).map_err(fail)?;
    Ok(counted.in_package(packed, work))
}

pub fn report(
    job: &Job,
    tuned: &Tuned,
    (packed, quantization): (&PackResult, Quantization),
    accuracy: Accuracy,
    seconds: f64,
) -> Result<CompressReport, Error> {
    let method = job.request.scheduler;
    let counted = counted(job, tuned, packed)?;
    let mut layers = layer_rows(job, tuned, packed);
    explain::layers(job, tuned, &counted, &mut layers)?;
    let own = |bytes: usize| if method.has_package() { packed.bytes.len() } else { bytes };
    Ok(CompressReport {
        versions: Versions {
            dtmm: env!("CARGO_PKG_VERSION").into(),
            package_format: u32::from(dtmm_format::VERSION),
        },
        model: job.request.model.display().to_string(),
        dataset: DatasetInfo {
            name: job.request.data.path.display().to_string(),
            train_samples: job.train.len() + job.validation.len(),
            test_samples: job.test.len(),
            classes: job.train.classes.len(),
        },
        seed: job.request.seed,
        scheduler: method.name().into(),
        importance: job.request.importance.name().into(),
        preprocessing: describe(&job.input),
        accuracy: accuracy.clone(),
        quantization: Some(quantization),
        flash: Flash {
            dense_int8_bytes: job.dense.size.dense_total,
            budget_bytes: job.ceilings.flash,
            package_bytes: packed.bytes.len(),
            stored_bytes: own(counted.flash),
            index_bytes: counted.index,
            storage: counted.storage.clone(),
        },
        ram: Ram {
            dense_arena_bytes: job.dense.plan.arena_bytes,
            arena_bytes: packed.plan.arena_bytes,
            budget_bytes: job.ceilings.ram,
            peak_layer: explain::peak_layer(&packed.plan),
            binding: explain::binding(&packed.plan),
            timeline: ram_points(&packed.plan),
        },
        latency: explain::latency(job, &counted)?,
        budgets: explain::budgets(job, &counted, packed, &accuracy)?,
        bound: explain::bound(&tuned.plan),
        kept_weights: packed.layers.iter().map(|l| l.nonzero).sum(),
        total_weights: job.dense.layers.iter().map(|l| l.dense_weights).sum(),
        layers,
        trials: tuned.trials.clone(),
        rounds: tuned.rounds.clone(),
        epochs: tuned.epochs.clone(),
        seconds,
    })
}

/// One row for each layer of the incoming model; a layer that is gone has no bytes left.
fn layer_rows(job: &Job, tuned: &Tuned, packed: &PackResult) -> Vec<LayerRow> {
    let row = |before: &LayerRow| {
        let after = packed.layers.iter().find(|l| l.name == before.name);
        let plan = tuned.plan.layers.iter().find(|l| l.name == before.name);
        let kept = |l: &PackedRow| LayerRow {
            output_shape: [1].into_iter().chain(l.output).collect(),
            weights: l.nonzero,
            macs: scaled_macs(before, l),
            bytes: l.bytes,
            // Layers without weights take the same bytes before and after.
            dense_bytes: if l.weights == 0 { l.bytes } else { before.dense_bytes },
            storage: storage_name(l.storage, l.weights),
            group: (l.group > 0).then_some(l.group),
            ..before.clone()
        };
        let gone = || LayerRow { weights: 0, macs: 0, bytes: 0, storage: "-".into(), ..before.clone() };
        LayerRow {
            importance_removed: plan.map(|p| p.importance_removed_share),
            note: plan.map(|p| p.reason.to_string()).unwrap_or_default(),
            ..after.map_or_else(gone, kept)
        }
    };
    job.dense.layers.iter().map(row).collect()
}

/// A kept weight is used once at each output pixel.
fn scaled_macs(before: &LayerRow, after: &PackedRow) -> u64 {
    let pixels = (after.output[0] * after.output[1]) as u64;
    if before.dense_weights == 0 { 0 } else { pixels * after.nonzero as u64 }
}

/// Writes the package, the pruned float model and the reports; the JSON report last, as the mark of a finished run.
pub fn write(job: &Job, tuned: &Tuned, packed: &PackResult, report: &CompressReport) -> Result<(), Error> {
    let out = &job.output;
    onnx::write(&out.join("model.onnx"), &tuned.graph)?;
    files::write(&out.join("model.dtmm"), &packed.bytes)?;
    files::write(&out.join("report.html"), dtmm_report::compress_html(report)?.as_bytes())?;
    let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
    files::write(&out.join("report.json"), json.as_bytes())
}
