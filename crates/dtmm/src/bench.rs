//! `bench`: a package on emulated cores, layer by layer.

use std::path::PathBuf;

use dtmm_boards::Board;
use dtmm_emulate::{Case, CaseReport, Core, CycleModel, Options};
use dtmm_pack::{HostModel, PackedLayer};
use dtmm_report::{BenchLayer, BenchReport, CoreBench};

use crate::device::Loaded;
use crate::inspect::storage_name;
use crate::{Error, Progress};

/// A bench.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchRequest {
    /// Package or int8 model.
    pub model: PathBuf,
    /// Cores to run it on.
    pub cores: Vec<Core>,
    /// `.npy` file whose first sample is the input; a fixed pattern without it.
    pub input: Option<PathBuf>,
    /// Board whose clock turns cycles into time; without it a common one with the core.
    pub board: Option<String>,
}

/// Counts the instructions of one inference on each core.
///
/// # Errors
/// A model that cannot be packed or does not fit the emulated machine; what is missing to emulate.
pub fn bench(request: &BenchRequest, progress: &dyn Progress) -> Result<BenchReport, Error> {
    let loaded = Loaded::new(&request.model, request.input.as_deref())?;
    let board = request.board.as_deref().map(dtmm_boards::find).transpose()?;
    let fail = |source| Error::Package { path: request.model.clone(), source };
    let layers = loaded.host.layers().map_err(fail)?;
    progress.begin("emulating", request.cores.len() as u64);
    let mut cores = Vec::with_capacity(request.cores.len());
    for (i, &core) in request.cores.iter().enumerate() {
        progress.advance(i as u64, core.name());
        let board = board.filter(|b| runs_code_of(b.core, core)).or_else(|| usual_board(core));
        cores.push(on_core(core, board, &loaded, &layers)?);
    }
    progress.end("done");
    Ok(BenchReport {
        model: request.model.display().to_string(),
        package_bytes: loaded.host.package_bytes(),
        arena_bytes: loaded.host.arena_bytes().map_err(fail)?,
        input: loaded.input_name,
        cores,
    })
}

/// Runs one inference on an emulated core; with details where they can be turned into cycles.
fn on_core(
    core: Core,
    board: Option<&Board>,
    loaded: &Loaded,
    layers: &[PackedLayer],
) -> Result<CoreBench, Error> {
    let model = CycleModel::of(core).map(|m| if is_m0_plus(board) { CycleModel::M0Plus } else { m });
    let input = loaded.flat_input();
    let case = Case { package: &loaded.package, input: &input };
    let options = Options { opcodes: model.is_some(), ..Options::default() };
    let report = run_one(core, case, &options, &loaded.host)?;
    let total: u64 = report.layers.iter().map(|l| l.instructions).sum();
    let layers: Vec<BenchLayer> = layers
        .iter()
        .zip(&report.layers)
        .map(|(layer, run)| BenchLayer {
            instructions: run.instructions,
            share: run.instructions as f64 / total.max(1) as f64,
            cycles: model.map(|m| m.cycles(&run.opcodes)),
            checksum: run.checksum,
            ..row(layer)
        })
        .collect();
    let cycles = model.map(|_| layers.iter().filter_map(|l| l.cycles).sum::<u64>());
    let board = board.filter(|_| cycles.is_some());
    Ok(CoreBench {
        core: core.name().into(),
        instructions: total,
        cycles,
        milliseconds: cycles.zip(board).map(|(n, b)| n as f64 / f64::from(b.clock_hz) * 1e3),
        board: board.map(|b| b.name.to_owned()),
        clock_hz: board.map(|b| b.clock_hz),
        cycle_note: note(model),
        stack_bytes: report.stack_bytes,
        output_checksum: report.outputs.first().map_or(0, |y| dtmm_emulate::checksum(y)),
        layers,
    })
}

/// The report of one case that the device must take.
pub(crate) fn run_one(
    core: Core,
    case: Case<'_>,
    options: &Options,
    host: &HostModel,
) -> Result<CaseReport, Error> {
    let fail = |source| Error::Emulate { core, source };
    let mut reports = dtmm_emulate::run(core, &[case], options).map_err(fail)?;
    let report = reports.pop().unwrap_or_default();
    match report.refused {
        None => Ok(report),
        Some(code) => Err(Error::Mismatch {
            what: format!("the package of {} layers on {core}", host.layers().map_or(0, |l| l.len())),
            expected: "accepted by the device".into(),
            found: format!("refused with code {code}"),
            help: "host and firmware were built from different sources; rebuild the command".into(),
        }),
    }
}

fn row(layer: &PackedLayer) -> BenchLayer {
    let [h, w, _] = layer.output;
    let macs = |weights: usize| h as u64 * w as u64 * weights as u64;
    BenchLayer {
        name: layer.name.clone(),
        op: layer.op.clone(),
        storage: storage_name(layer.storage, layer.weights),
        macs: macs(layer.stored_weights),
        dense_macs: macs(layer.weights),
        ..BenchLayer::default()
    }
}

fn note(model: Option<CycleModel>) -> String {
    match model {
        Some(_) => format!("cycles are {}", CycleModel::LIMITS),
        None => "no cycles: this core issues several instructions at once, and Arm publishes no table that instruction counts could be used with".into(),
    }
}

fn is_m0_plus(board: Option<&Board>) -> bool {
    board.is_some_and(|b| b.core == dtmm_boards::Core::M0Plus)
}

/// Whether a board's core runs the emulated core's code at its own speed.
fn runs_code_of(board: dtmm_boards::Core, core: Core) -> bool {
    use dtmm_boards::Core as On;
    match core {
        Core::M0 => matches!(board, On::M0 | On::M0Plus),
        Core::M3 => board == On::M3,
        Core::M4 => board == On::M4,
        Core::M7 => board == On::M7,
        Core::M55 => board == On::M55,
    }
}

/// A common board with the core.
fn usual_board(core: Core) -> Option<&'static Board> {
    let name = match core {
        Core::M0 => "microbit",
        Core::M3 => "nucleo-f103rb",
        Core::M4 => "nucleo-f411re",
        Core::M7 => "nucleo-f746zg",
        Core::M55 => "mps3-an547",
    };
    dtmm_boards::find(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_core_has_a_usual_board_that_runs_its_code() {
        for core in Core::ALL {
            assert!(usual_board(core).is_some_and(|b| runs_code_of(b.core, core)), "{core}");
        }
    }
}
