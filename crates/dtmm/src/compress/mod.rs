//! `compress`: a model and a budget in, a measured package out.
//!
//! The stages, each stored in the run directory: measure the float model; rounds of importance → schedule → apply →
//! fine-tune; calibrate, quantize (with quantisation-aware epochs where rounding costs accuracy) and pack; measure the package.

mod budgets;
mod channel_cut;
mod chip;
mod count;
mod explain;
mod finish;
mod importance;
mod plan;
mod qat;
mod request;
mod rounds;
mod run_dir;
mod shared;
mod smallest;
mod sweep;
mod teacher;
mod trials;
mod tune;
mod units;

use std::path::PathBuf;

use dtmm_cost::CostModel;
use dtmm_data::{Dataset, Splits};
use dtmm_graph::{Graph, Masks, Preprocessing};
use dtmm_pack::HostModel;
use dtmm_prune::Method;
use dtmm_report::{Accuracy, CompressReport};

use crate::inspect::Facts;
use crate::model::load_float;
use crate::source::Input;
use crate::{Error, Progress, files, fitting, float, preprocess};

pub use budgets::{Budgets, Objective, SizeBudget};
use budgets::{Ceilings, Target};
pub use channel_cut::ChannelCut;
use count::Counted;
pub use request::{CompressRequest, ImportanceKind};
use run_dir::RunDir;
pub(crate) use shared::Shared;
use shared::once;
pub use sweep::sweep;
use tune::Tuned;
pub use units::Units;

/// Everything that the stages work on; nothing of it changes.
struct Job<'a> {
    request: &'a CompressRequest,
    progress: &'a dyn Progress,
    /// The float model as it came in.
    graph: Graph,
    /// Whose answers fine-tuning follows.
    teacher: Graph,
    input: Preprocessing,
    /// Trained on.
    train: Dataset,
    /// Never trained on; guides the run.
    validation: Dataset,
    /// Measured once at the end.
    test: Dataset,
    /// The unpruned package.
    dense: Facts,
    /// What it takes.
    unpruned: Ceilings,
    /// What the result may take.
    ceilings: Ceilings,
    /// The budgets with what a board fills in.
    budgets: Budgets,
    target: Target,
    costs: CostModel,
    /// What other requests have worked out.
    shared: &'a Shared,
    /// Where the results go.
    output: PathBuf,
}

/// Compresses a model into `request.output`. A run that was killed goes on; a finished one gives its report again.
///
/// # Errors
/// Bad input, an impossible budget, an output folder of another run, interruption.
pub fn compress(request: &CompressRequest, progress: &dyn Progress) -> Result<CompressReport, Error> {
    compress_with(request, &Shared::default(), progress)
}

/// [`compress`] for one of several requests.
pub(crate) fn compress_with(
    request: &CompressRequest,
    shared: &Shared,
    progress: &dyn Progress,
) -> Result<CompressReport, Error> {
    let (job, mut run) = prepare(request, (0, shared), progress)?;
    let report_path = request.output.join("report.json");
    if let Ok(text) = std::fs::read(&report_path)
        && let Ok(report) = serde_json::from_slice(&text)
    {
        let report: CompressReport = report;
        let _ = shared.float.set(report.accuracy.float);
        return Ok(report);
    }
    let tuned = match job.budgets.objective() {
        Objective::Drop => tune::prune_and_tune(&job, &mut run, &job.ceilings)?,
        objective => smallest::smallest(&job, &mut run, objective, job.budgets.max_drop.unwrap_or(0.0))?,
    };
    finish(&job, &mut run, &tuned)
}

/// Quantizes, packs, measures and writes a tuned model.
fn finish(job: &Job, run: &mut RunDir, tuned: &Tuned) -> Result<CompressReport, Error> {
    let (threads, progress) = (job.request.threads, job.progress);
    let measure =
        |stage: &str, graph: &Graph| float::measured(stage, graph, &job.test, &job.input, threads, progress);
    let float = run.stage("float", || once(&job.shared.float, || measure("float accuracy", &job.graph)))?;
    let pruned = run.stage("pruned", || measure("pruned accuracy", &tuned.graph))?;
    let (packed, quantization) = finish::quantize_and_pack(job, tuned, run)?;
    let int8 = run.stage("int8", || finish::measure(job, &packed))?;
    let accuracy = Accuracy { float, pruned, int8 };
    let report = finish::report(job, tuned, (&packed, quantization), accuracy, run.seconds())?;
    finish::write(job, tuned, &packed, &report)?;
    Ok(report)
}

/// Reads and checks everything; `points` of a sweep are part of the request's key, 0 is a single package.
fn prepare<'a>(
    request: &'a CompressRequest,
    (points, shared): (usize, &'a Shared),
    progress: &'a dyn Progress,
) -> Result<(Job<'a>, RunDir), Error> {
    request.check()?;
    let (budgets, target) = request.budgets.resolve()?;
    let bytes = files::read(&request.model)?;
    let taught = request.teacher.as_ref().map(|path| files::read(path)).transpose()?;
    let graph = load_float(&request.model)?;
    let splits = once(&shared.data, || fit_data(request, &graph))?;
    let choose = || preprocess::chosen(&request.preprocess, &graph, &splits.train, request.threads, progress);
    let input = once(&shared.input, choose)?;
    let run = RunDir::open(
        &request.output,
        &request::key(request, points, (&bytes, taught.as_deref()), (&splits, &input)),
    )?;
    let (train, validation) = fitting::hold_out(&splits.train, request.seed)?;
    // The package stores the preprocessing.
    let graph = Graph { preprocessing: Some(input.clone()), ..graph };
    let dense = Facts::of(&graph)?;
    let costs = CostModel::builtin();
    let cycles = Counted::of(&graph, &Masks::new(), Method::Lagrangian)?.cycles(&costs, target.core)?;
    let unpruned = Ceilings {
        flash: Some(dense.size.dense_total),
        ram: Some(dense.plan.arena_bytes),
        cycles: Some(cycles),
    };
    let ceilings = Ceilings {
        flash: budgets.flash.map(|b| b.bytes(dense.size.dense_total)),
        ram: budgets.ram.map(|b| b.bytes(dense.plan.arena_bytes)),
        cycles: budgets.latency.zip(target.clock_hz).map(|(seconds, clock)| seconds * clock),
    };
    let teacher = match &request.teacher {
        Some(path) => teacher::load(path, &graph)?,
        None => graph.clone(),
    };
    let (test, output) = (splits.test, request.output.clone());
    let job = Job {
        request,
        progress,
        graph,
        teacher,
        input,
        train,
        validation,
        test,
        dense,
        unpruned,
        ceilings,
        budgets,
        target,
        costs,
        shared,
        output,
    };
    Ok((job, run))
}

fn fit_data(request: &CompressRequest, graph: &Graph) -> Result<Splits, Error> {
    let splits = request.data.load()?;
    let shape = Input::of_graph(graph)?;
    for (name, split) in [("training", &splits.train), ("test", &splits.test)] {
        if split.is_empty() {
            return Err(Error::Mismatch {
                what: format!("{name} samples in {}", request.data.path.display()),
                expected: "at least 1".into(),
                found: "0".into(),
                help: "training samples calibrate and fine-tune the model, test samples measure it".into(),
            });
        }
    }
    Ok(Splits { train: shape.fit(&splits.train)?, test: shape.fit(&splits.test)? })
}

/// The package as the host runs it.
fn host(job: &Job, bytes: &[u8]) -> Result<HostModel, Error> {
    HostModel::new(bytes).map_err(|source| Error::Pack { model: job.graph.name.clone(), source })
}
