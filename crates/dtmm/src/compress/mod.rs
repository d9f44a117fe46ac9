//! `compress`: a model and a budget in, a measured package out.
//!
//! The stages, each stored in the run directory: measure the float model; rounds of importance → schedule → apply →
//! fine-tune; calibrate, quantize and pack; measure the package.

mod count;
mod finish;
mod request;
mod rounds;
mod run_dir;
mod tune;

use dtmm_data::{Dataset, Splits};
use dtmm_graph::{Graph, Preprocessing};
use dtmm_pack::HostModel;
use dtmm_report::{Accuracy, CompressReport};

use crate::inspect::Facts;
use crate::model::load_float;
use crate::source::Input;
use crate::{Error, Progress, files, fitting, float, preprocess};

pub use request::{CompressRequest, FlashBudget, ImportanceKind};
use run_dir::RunDir;

/// Everything that the stages work on; nothing of it changes.
struct Job<'a> {
    request: &'a CompressRequest,
    progress: &'a dyn Progress,
    /// The float model as it came in.
    graph: Graph,
    input: Preprocessing,
    /// Trained on.
    train: Dataset,
    /// Never trained on; guides the run.
    validation: Dataset,
    /// Measured once at the end.
    test: Dataset,
    /// The unpruned package.
    dense: Facts,
    budget: usize,
}

/// Compresses a model into `request.output`. A run that was killed goes on; a finished one gives its report again.
///
/// # Errors
/// Bad input, an impossible budget, an output folder of another run, interruption.
pub fn compress(request: &CompressRequest, progress: &dyn Progress) -> Result<CompressReport, Error> {
    let (job, mut run) = prepare(request, progress)?;
    let report_path = request.output.join("report.json");
    if let Ok(text) = std::fs::read(&report_path)
        && let Ok(report) = serde_json::from_slice(&text)
    {
        return Ok(report);
    }
    let float = run.stage("float", || {
        let (threads, progress) = (request.threads, progress);
        float::measured("float accuracy", &job.graph, &job.test, &job.input, threads, progress)
    })?;
    let tuned = tune::prune_and_tune(&job, &mut run)?;
    let pruned = run.stage("pruned", || {
        let (threads, progress) = (request.threads, progress);
        float::measured("pruned accuracy", &tuned.graph, &job.test, &job.input, threads, progress)
    })?;
    let packed = finish::quantize_and_pack(&job, &tuned, &mut run)?;
    let int8 = run.stage("int8", || finish::measure(&job, &packed))?;
    let accuracy = Accuracy { float, pruned, int8 };
    let report = finish::report(&job, &tuned, &packed, accuracy, run.seconds())?;
    finish::write(&job, &tuned, &packed, &report)?;
    Ok(report)
}

fn prepare<'a>(request: &'a CompressRequest, progress: &'a dyn Progress) -> Result<(Job<'a>, RunDir), Error> {
    let bytes = files::read(&request.model)?;
    let graph = load_float(&request.model)?;
    let dense = Facts::of(&graph)?;
    let splits = fit_data(request, &graph)?;
    let input = preprocess::chosen(&request.preprocess, &graph, &splits.train, request.threads, progress)?;
    let run = RunDir::open(&request.output, &request::key(request, &bytes, &splits, &input))?;
    let (train, validation) = fitting::hold_out(&splits.train, request.seed)?;
    let budget = request.flash.bytes(dense.size.dense_total);
    let graph = Graph { preprocessing: Some(input.clone()), ..graph };
    Ok((Job { request, progress, graph, input, train, validation, test: splits.test, dense, budget }, run))
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
