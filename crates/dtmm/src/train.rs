//! `train`: an architecture from scratch, or a model further.

use std::path::{Path, PathBuf};
use std::time::Instant;

use dtmm_data::{Dataset, Samples, Splits};
use dtmm_graph::{Graph, Preprocessing};
use dtmm_report::{DatasetInfo, EpochRow, TrainReport};
use dtmm_train::{Augmentation, FitOptions};

use crate::fitting::Follow;
use crate::model::load_float;
use crate::source::Input;
use crate::trainable::trainable;
use crate::{DataSource, Error, PreprocessChoice, Progress, files, fitting, float, onnx, preprocess};

/// What a training begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// An architecture with random weights; see [`dtmm_train::arch::list`] for the names.
    Architecture(String),
    /// A trained model (`.onnx`, `.tflite`), with all of its weights.
    Model(PathBuf),
}

/// A training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainRequest {
    /// What it begins with.
    pub start: Start,
    /// Training and test samples.
    pub data: DataSource,
    /// From raw sample to model input; `Auto` centres bytes, and normalises features by their mean and deviation.
    pub preprocess: PreprocessChoice,
    /// Passes over the training samples.
    pub epochs: usize,
    /// Highest learning rate.
    pub lr: f32,
    /// Samples in one step.
    pub batch: usize,
    /// Weight decay.
    pub weight_decay: f32,
    /// The ONNX file to write; `FILE.checkpoint` beside it lets an interrupted training go on.
    pub output: PathBuf,
    /// Random seed.
    pub seed: u64,
    /// Threads; 0 means one for each core. The model does not depend on it.
    pub threads: usize,
}

/// Trains, writes the model, and measures it on the test split.
///
/// # Errors
/// Data that cannot be loaded, an unknown architecture, a training that diverges, interruption.
pub fn train(request: &TrainRequest, progress: &dyn Progress) -> Result<TrainReport, Error> {
    let start = Instant::now();
    let data = request.data.load()?;
    let (graph, data, input) = match &request.start {
        Start::Architecture(name) => fresh(request, name, data)?,
        Start::Model(path) => trained(request, path, &data, progress)?,
    };
    let (trained, epochs) = fit(request, &graph, &data, progress)?;
    onnx::write(&request.output, &dtmm_onnx::channels_first(trained.clone()))?;
    let accuracy = float::measured("test accuracy", &trained, &data.test, &input, request.threads, progress)?;
    let _ = std::fs::remove_file(checkpoint(&request.output));
    Ok(TrainReport {
        arch: graph.name.clone(),
        dataset: dataset_info(&data),
        seed: request.seed,
        output: request.output.display().to_string(),
        parameters: parameters(&trained),
        accuracy,
        epochs,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// A graph that knows its input, and the samples in its shape.
type Prepared = (Graph, Splits, Preprocessing);

fn fresh(request: &TrainRequest, name: &str, data: Splits) -> Result<Prepared, Error> {
    let input = match &request.preprocess {
        PreprocessChoice::Fixed(p) => p.clone(),
        PreprocessChoice::Auto => natural(&data.train),
    };
    let mut graph = dtmm_train::arch::build(name, data.train.shape, data.train.classes.len(), request.seed)
        .map_err(|source| Error::train(name, source))?;
    graph.preprocessing = Some(input.clone());
    Ok((graph, data, input))
}

fn trained(
    request: &TrainRequest,
    path: &Path,
    data: &Splits,
    progress: &dyn Progress,
) -> Result<Prepared, Error> {
    let graph = load_float(path)?;
    let shape = Input::of_graph(&graph)?;
    let data = Splits { train: shape.fit(&data.train)?, test: shape.fit(&data.test)? };
    let input = preprocess::chosen(&request.preprocess, &graph, &data.train, request.threads, progress)?;
    let mut graph = trainable(&graph, &data.train, &input, request.threads)?;
    graph.preprocessing = Some(input.clone());
    Ok((graph, data, input))
}

fn fit(
    request: &TrainRequest,
    graph: &Graph,
    data: &Splits,
    progress: &dyn Progress,
) -> Result<(Graph, Vec<EpochRow>), Error> {
    let (train, validation) = fitting::hold_out(&data.train, request.seed)?;
    files::make_folder_of(&request.output)?;
    let options = FitOptions {
        epochs: request.epochs,
        batch: request.batch,
        lr: request.lr,
        weight_decay: request.weight_decay,
        augmentation: augmentation(&data.train),
        seed: request.seed,
        threads: request.threads,
        checkpoint: Some(checkpoint(&request.output)),
        ..FitOptions::default()
    };
    let mut follow = Follow::new(progress, &format!("training {}", graph.name), &options, train.len());
    let fitted = dtmm_train::fit(graph, &train, Some(&validation), &options, &mut follow)
        .map_err(|source| fitting::error(source, &graph.name, &request.output))?;
    follow.finish(&fitted.history);
    Ok((fitted.graph, fitting::epoch_rows(&fitted.history, 0)))
}

fn checkpoint(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".checkpoint");
    name.into()
}

/// Bytes become -1..1 such that the int8 input is `byte - 128`: the device needs no arithmetic. Features are
/// normalised by the mean and deviation of the training samples.
fn natural(data: &Dataset) -> Preprocessing {
    match &data.samples {
        Samples::U8(_) => Preprocessing { scale: 1.0 / 128.0, mean: vec![1.0], std: vec![], resize: None },
        Samples::F32(v) => {
            let n = v.len().max(1) as f64;
            let mean = v.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let variance = v.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
            let std = if variance > 0.0 { variance.sqrt() as f32 } else { 1.0 };
            Preprocessing { scale: 1.0, mean: vec![mean as f32], std: vec![std], resize: None }
        }
    }
}

/// Colour images are shifted and mirrored; grey ones (digits, glyphs) only shifted; features shifted in time.
pub(crate) fn augmentation(data: &Dataset) -> Augmentation {
    match (&data.samples, data.shape[2]) {
        (Samples::U8(_), 3) => Augmentation::images(),
        (Samples::U8(_), _) => Augmentation { pad_crop: 2, ..Augmentation::none() },
        (Samples::F32(_), _) => Augmentation::features(),
    }
}

pub(crate) fn dataset_info(data: &Splits) -> DatasetInfo {
    DatasetInfo {
        name: data.train.name.clone(),
        train_samples: data.train.len(),
        test_samples: data.test.len(),
        classes: data.train.classes.len(),
    }
}

/// Values that training changes.
fn parameters(graph: &Graph) -> usize {
    graph.tensors.iter().filter(|t| t.data.is_some()).map(dtmm_graph::Tensor::len).sum()
}
