//! Runs the grid on an emulated core.

use dtmm_cost::{Form, Kernel, Work, package_layer};
use dtmm_emulate::{Case, CaseReport, Core, CycleModel, EmulateError, Options};
use dtmm_format::Package;
use dtmm_testkit::{Problem, Random, random};
use thiserror::Error;

use crate::grid::Planned;

/// Why a core could not be measured.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// The emulator did not run the layers.
    #[error("the layers cannot be run on {core}")]
    Emulate {
        /// The core.
        core: Core,
        /// What went wrong.
        source: EmulateError,
    },
    /// A kernel gives another result than the reference; its time would mean nothing.
    #[error("{core} computes something else than the reference: {layer}")]
    Wrong {
        /// The core.
        core: Core,
        /// The layer in words.
        layer: String,
    },
    /// The end was asked for.
    #[error("interrupted")]
    Interrupted,
}

/// A layer with what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredLayer {
    /// The layer in words.
    pub name: String,
    /// Number of its shape.
    pub shape: usize,
    /// Kept from the fit.
    pub held_out: bool,
    /// Kernel.
    pub kernel: Kernel,
    /// What the kernel does.
    pub work: Work,
    /// How the weights are stored, and the channels of a run.
    pub form: (Form, usize),
    /// Instructions counted.
    pub instructions: f64,
    /// Cycles by the core's public timing table, and by that of the M0+ for the M0; empty without one.
    pub cycles: Vec<f64>,
}

/// Layers of one start of the emulator.
const AT_ONCE: usize = 80;

/// Measures all layers.
pub(crate) fn measure(
    core: Core,
    layers: Vec<Planned>,
    seed: u64,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Vec<MeasuredLayer>, CalibrateError> {
    let mut random = random(seed ^ 1);
    let mut measured = Vec::with_capacity(layers.len());
    for some in layers.chunks(AT_ONCE) {
        if !progress(measured.len(), layers.len()) {
            return Err(CalibrateError::Interrupted);
        }
        measured.extend(batch(core, some, &mut random)?);
    }
    progress(measured.len(), layers.len());
    Ok(measured)
}

fn batch(core: Core, layers: &[Planned], random: &mut Random) -> Result<Vec<MeasuredLayer>, CalibrateError> {
    let problems: Vec<Problem> = layers.iter().map(|l| l.what.problem(random)).collect();
    let cases: Vec<Case<'_>> =
        problems.iter().map(|p| Case { package: &p.package, input: &p.input }).collect();
    let options = Options { opcodes: !models(core).is_empty(), largest_machine: true, ..Options::default() };
    let reports = dtmm_emulate::run(core, &cases, &options)
        .map_err(|source| CalibrateError::Emulate { core, source })?;
    let each = layers.iter().zip(&problems).zip(&reports);
    each.map(|((layer, problem), report)| measured(core, layer, problem, report)).collect()
}

/// The cycle models of what runs on an emulated core.
pub(crate) fn models(core: Core) -> Vec<CycleModel> {
    let own = CycleModel::of(core);
    let twin = own.filter(|m| *m == CycleModel::M0).map(|_| CycleModel::M0Plus);
    own.into_iter().chain(twin).collect()
}

fn measured(
    core: Core,
    layer: &Planned,
    problem: &Problem,
    report: &CaseReport,
) -> Result<MeasuredLayer, CalibrateError> {
    let wrong = || CalibrateError::Wrong { core, layer: problem.name.clone() };
    if report.refused.is_some() || report.outputs.first() != Some(&problem.expected) {
        return Err(wrong());
    }
    let package = Package::check(&problem.package).map_err(|_| wrong())?;
    let first = package.layers().next().ok_or_else(wrong)?;
    let (shape, stored) = package_layer(&package, &first).ok_or_else(wrong)?;
    let run = report.layers.first().ok_or_else(wrong)?;
    let (kernel, work) = shape.work(&stored);
    Ok(MeasuredLayer {
        name: problem.name.clone(),
        shape: layer.shape,
        held_out: layer.held_out,
        kernel,
        work,
        form: (stored.form, stored.group),
        instructions: run.instructions as f64,
        cycles: models(core).iter().map(|m| m.cycles(&run.opcodes) as f64).collect(),
    })
}
