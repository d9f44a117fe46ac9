//! `calibrate`: the cost model's numbers from layers on emulated cores.

use std::path::{Path, PathBuf};

use dtmm_calibrate::{CalibrateError, CoreFit, Kept, Size};
use dtmm_cost::{CostModel, FitRecord};
use dtmm_emulate::Core;
use dtmm_report::{CalibrateReport, CalibratedCore, CalibratedKernel};

use crate::{Error, Progress, files};

/// A calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrateRequest {
    /// Cores to measure.
    pub cores: Vec<Core>,
    /// A third of the layers.
    pub quick: bool,
    /// Seed of shapes, masks and of which shapes are held out.
    pub seed: u64,
    /// Where measurements are kept: what it holds of the same kernels is not measured again.
    pub measurements: Option<PathBuf>,
    /// Where the model with the new numbers goes.
    pub output: Option<PathBuf>,
}

/// Measures layers of many shapes and sparsities on emulated cores and fits the cost model to them.
///
/// # Errors
/// What is missing to emulate, a kernel with a wrong result, interruption, a file that cannot be written.
pub fn calibrate(request: &CalibrateRequest, progress: &dyn Progress) -> Result<CalibrateReport, Error> {
    let mut model = CostModel::builtin();
    let mut cores = Vec::with_capacity(request.cores.len());
    let mut kept = kept(request.measurements.as_deref())?;
    for &core in &request.cores {
        let fit = one(core, request, &mut kept, progress)?;
        dtmm_calibrate::store(&mut model, &fit);
        cores.push(described(&fit));
    }
    if let Some(path) = &request.output {
        let json = serde_json::to_string_pretty(&model).unwrap_or_default() + "\n";
        files::write(path, json.as_bytes())?;
    }
    let written = request.output.as_ref().map(|p| p.display().to_string());
    Ok(CalibrateReport { seed: request.seed, written, cores })
}

fn kept(path: Option<&Path>) -> Result<Kept, Error> {
    let Some(path) = path else { return Ok(Kept::nothing()) };
    files::make_folder_of(path)?;
    Kept::open(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn one(
    core: Core,
    request: &CalibrateRequest,
    kept: &mut Kept,
    progress: &dyn Progress,
) -> Result<CoreFit, Error> {
    let size = if request.quick { Size::Quick } else { Size::Full };
    let mut begun = false;
    let mut tell = |done: usize, all: usize| {
        if !begun {
            progress.begin(&format!("measuring layers on {core}"), all as u64);
            begun = true;
        }
        progress.advance(done as u64, "");
        !progress.interrupted()
    };
    let fit = dtmm_calibrate::calibrate(core, size, request.seed, kept, &mut tell)
        .map_err(|e| failed(e, request))?;
    progress.end(&format!("{} layers", fit.layers.len()));
    Ok(fit)
}

fn failed(error: CalibrateError, request: &CalibrateRequest) -> Error {
    match error {
        CalibrateError::Emulate { core, source } => Error::Emulate { core, source },
        CalibrateError::Wrong { core, layer } => Error::Mismatch {
            what: format!("a layer on {core}"),
            expected: "the reference's output".into(),
            found: format!("another one: {layer}"),
            help: "report this layer; its time would mean nothing".into(),
        },
        CalibrateError::Keep(source) => {
            Error::Write { path: request.measurements.clone().unwrap_or_default(), source }
        }
        CalibrateError::Interrupted => {
            let path = request.measurements.as_ref().or(request.output.as_ref());
            Error::Interrupted { kept: path.cloned() }
        }
    }
}

fn described(fit: &CoreFit) -> CalibratedCore {
    let kernel = |name: String, r: FitRecord| CalibratedKernel {
        kernel: name,
        fitted: r.fitted,
        held_out: r.held_out,
        median: r.median,
        max: r.max,
        cycles_median: r.cycles_median,
        cycles_max: r.cycles_max,
    };
    let kernels = fit.kernels.iter();
    CalibratedCore {
        core: fit.core.name().into(),
        all: kernel("all".into(), fit.all),
        kernels: kernels
            .map(|(k, f)| kernel(format!("{k:?}"), f.coefficients.fit.unwrap_or_default()))
            .collect(),
        choices: fit.regret.choices,
        dense_faster: fit.regret.dense_faster,
        wrong_choices: fit.regret.wrong,
        worst_choice: fit.regret.max(),
    }
}
