//! Runs the grid on an emulated core.

use dtmm_cost::{Form, Kernel, Work, package_layer};
use dtmm_emulate::{Case, Core, CycleModel, EmulateError, Options};
use dtmm_format::Package;
use dtmm_testkit::{Problem, Random, random};
use thiserror::Error;

use crate::grid::Planned;
use crate::kept::{self, Kept, Taken};

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
    /// Measurements cannot be kept.
    #[error("measurements cannot be written")]
    Keep(#[source] std::io::Error),
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

/// Measures all layers, but those that are known already.
pub(crate) fn measure(
    core: Core,
    layers: Vec<Planned>,
    seed: u64,
    kept: &mut Kept,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Vec<MeasuredLayer>, CalibrateError> {
    let mut random = random(seed ^ 1);
    let image = dtmm_emulate::image(core).map_err(|source| CalibrateError::Emulate { core, source })?;
    let on = On { core, image: kept::hash(image) };
    let mut measured = Vec::with_capacity(layers.len());
    for some in layers.chunks(AT_ONCE) {
        if !progress(measured.len(), layers.len()) {
            return Err(CalibrateError::Interrupted);
        }
        measured.extend(batch(&on, some, kept, &mut random)?);
    }
    progress(measured.len(), layers.len());
    Ok(measured)
}

/// What the layers run on.
struct On {
    core: Core,
    /// Hash of the firmware.
    image: u64,
}

fn batch(
    on: &On,
    layers: &[Planned],
    kept: &mut Kept,
    random: &mut Random,
) -> Result<Vec<MeasuredLayer>, CalibrateError> {
    let problems: Vec<Problem> = layers.iter().map(|l| l.what.problem(random)).collect();
    let key = |p: &Problem| kept::key(on.core, on.image, &case(p));
    let unknown: Vec<&Problem> = problems.iter().filter(|p| kept.get(&key(p)).is_none()).collect();
    let taken = run(on.core, &unknown)?;
    kept.add(unknown.iter().map(|p| key(p)).zip(taken).collect()).map_err(CalibrateError::Keep)?;
    let each = layers.iter().zip(&problems);
    let described = each.map(|(layer, problem)| described(layer, problem, kept.get(&key(problem))?));
    let wrong = |p: &Problem| CalibrateError::Wrong { core: on.core, layer: p.name.clone() };
    described.zip(&problems).map(|(layer, problem)| layer.ok_or_else(|| wrong(problem))).collect()
}

fn case(problem: &Problem) -> Case<'_> {
    Case { package: &problem.package, input: &problem.input }
}

/// What the emulator counts; a wrong result is an error.
fn run(core: Core, problems: &[&Problem]) -> Result<Vec<Taken>, CalibrateError> {
    let cases: Vec<Case<'_>> = problems.iter().map(|p| case(p)).collect();
    let models = models(core);
    let options = Options { opcodes: !models.is_empty(), largest_machine: true, ..Options::default() };
    let reports = dtmm_emulate::run(core, &cases, &options)
        .map_err(|source| CalibrateError::Emulate { core, source })?;
    let each = problems.iter().zip(&reports);
    each.map(|(problem, report)| {
        let right = report.refused.is_none() && report.outputs.first() == Some(&problem.expected);
        let layer = report.layers.first().filter(|_| right);
        let layer = layer.ok_or_else(|| CalibrateError::Wrong { core, layer: problem.name.clone() })?;
        let cycles = models.iter().map(|m| m.cycles(&layer.opcodes)).collect();
        Ok(Taken { instructions: layer.instructions, cycles })
    })
    .collect()
}

/// The cycle models of what runs on an emulated core.
pub(crate) fn models(core: Core) -> Vec<CycleModel> {
    let own = CycleModel::of(core);
    let twin = own.filter(|m| *m == CycleModel::M0).map(|_| CycleModel::M0Plus);
    own.into_iter().chain(twin).collect()
}

/// A layer with what it does and took.
fn described(layer: &Planned, problem: &Problem, taken: &Taken) -> Option<MeasuredLayer> {
    let package = Package::check(&problem.package).ok()?;
    let first = package.layers().next()?;
    let (shape, stored) = package_layer(&package, &first)?;
    let (kernel, work) = shape.work(&stored);
    Some(MeasuredLayer {
        name: problem.name.clone(),
        shape: layer.shape,
        held_out: layer.held_out,
        kernel,
        work,
        form: (stored.form, stored.group),
        instructions: taken.instructions as f64,
        cycles: taken.cycles.iter().map(|&n| n as f64).collect(),
    })
}
