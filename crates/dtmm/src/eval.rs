//! `eval`: accuracy, per class and confused pairs.

use std::path::PathBuf;
use std::time::Instant;

use dtmm_data::{Dataset, Split};
use dtmm_graph::{Graph, Preprocessing};
use dtmm_pack::HostModel;
use dtmm_report::EvalReport;

use crate::model::pack_int8;
use crate::source::Input;
use crate::{
    DataSource, Error, Model, PreprocessChoice, Progress, describe, float, int8, load_model, preprocess,
};

/// An evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalRequest {
    /// Model or package.
    pub model: PathBuf,
    /// Samples.
    pub data: DataSource,
    /// Which of them.
    pub split: Split,
    /// From raw sample to model input.
    pub preprocess: PreprocessChoice,
    /// Threads; 0 means one for each core. No result depends on it.
    pub threads: usize,
}

/// A model that answers samples.
pub(crate) enum Predictor {
    /// A float model.
    Float(Box<Graph>),
    /// A package.
    Package(Box<HostModel>),
}

impl Predictor {
    /// The class answered for each sample.
    pub fn answers(
        &self,
        data: &Dataset,
        input: &Preprocessing,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<Vec<usize>, Error> {
        match self {
            Predictor::Float(graph) => float::answers(graph, data, input, threads, progress),
            Predictor::Package(model) => int8::answers(model, data, input, threads, progress),
        }
    }
}

/// Measures the accuracy of a model or package.
///
/// # Errors
/// A model or data set that cannot be loaded, or that do not fit together.
pub fn eval(request: &EvalRequest, progress: &dyn Progress) -> Result<EvalReport, Error> {
    let (model, _) = load_model(&request.model)?;
    let (predictor, shape, stored) = prepare(model, request)?;
    let splits = request.data.load()?;
    let data = match request.split {
        Split::Train => &splits.train,
        Split::Test => &splits.test,
    };
    let data = shape.fit(data)?;
    let input = match (&request.preprocess, &stored) {
        (PreprocessChoice::Fixed(p), _) | (PreprocessChoice::Auto, Some(p)) => p.clone(),
        (PreprocessChoice::Auto, None) => {
            preprocess::best(&predictor, &shape.fit(&splits.train)?, request.threads, progress)?
        }
    };
    let start = Instant::now();
    progress.begin("evaluating", data.len() as u64);
    let answers = predictor.answers(&data, &input, request.threads, progress)?;
    let seconds = start.elapsed().as_secs_f64();
    progress.end("done");
    let outputs = shape.outputs.max(data.classes.len());
    let mut confusion = vec![vec![0; outputs]; outputs];
    answers.iter().zip(&data.labels).for_each(|(&a, &l)| confusion[l as usize][a] += 1);
    let (accuracy, classes) = EvalReport::summarize(&confusion, &data.classes);
    Ok(EvalReport {
        model: request.model.display().to_string(),
        dataset: request.data.path.display().to_string(),
        split: match request.split {
            Split::Train => "train".into(),
            Split::Test => "test".into(),
        },
        samples: data.len(),
        preprocessing: describe(&input),
        accuracy,
        classes,
        confusion,
        samples_per_second: data.len() as f64 / seconds.max(1e-9),
    })
}

/// The predictor, its input, and the preprocessing that the model asks for.
fn prepare(model: Model, request: &EvalRequest) -> Result<(Predictor, Input, Option<Preprocessing>), Error> {
    let package = match model {
        Model::Float(graph) => {
            let (input, stored) = (Input::of_graph(&graph)?, graph.preprocessing.clone());
            return Ok((Predictor::Float(Box::new(graph)), input, stored));
        }
        Model::Int8(graph) => pack_int8(&graph)?.bytes,
        Model::Package(bytes) => bytes,
    };
    let fail = |source| Error::Package { path: request.model.clone(), source };
    let host = HostModel::new(&package).map_err(fail)?;
    let stored = host.preprocessing().map_err(fail)?;
    let input = Input::of_package(&host, &request.model.display().to_string())?;
    Ok((Predictor::Package(Box::new(host)), input, stored))
}
