//! `run`: a model on the samples of a `.npy` file.

use std::path::{Path, PathBuf};

use dtmm_data::{NpyArray, NpyData};
use dtmm_graph::{Data, ElementType, Graph, Port};
use dtmm_pack::{HostModel, PackError};
use dtmm_report::RunReport;
use dtmm_train::{ExecOptions, Executor, Mode};
use rayon::prelude::*;

use crate::float_tail::FloatTail;
use crate::model::pack_int8;
use crate::{Error, Model, Progress, int8, load_model, ports};

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRequest {
    /// Model or package.
    pub model: PathBuf,
    /// Samples, `[N, …]` in the model's own type and axis order.
    pub input: PathBuf,
    /// Outputs, `[N, …]` in the model's own type and axis order.
    pub output: PathBuf,
    /// Threads; 0 means one for each core. No result depends on it.
    pub threads: usize,
}

/// Results of all samples, one after another, with the shape and type of one.
struct Outputs {
    values: Vec<Data>,
    shape: Vec<usize>,
    element_type: ElementType,
}

/// Runs the model on each sample and writes the first output.
///
/// # Errors
/// Files that cannot be read or written, samples of the wrong shape or type.
pub fn run(request: &RunRequest, progress: &dyn Progress) -> Result<RunReport, Error> {
    let (model, _) = load_model(&request.model)?;
    let x = dtmm_data::read_npy(&request.input)?;
    let outputs = match model {
        Model::Float(graph) => run_float(&graph, &x, request, progress)?,
        Model::Int8(graph) => run_int8(&graph, &x, request, progress)?,
        Model::Package(bytes) => run_package(&bytes, &x, request, progress)?,
    };
    let samples = outputs.values.len();
    let shape: Vec<usize> = [samples].into_iter().chain(outputs.shape.iter().skip(1).copied()).collect();
    dtmm_data::write_npy(&request.output, &NpyArray { shape, data: join(&outputs) })?;
    Ok(RunReport {
        model: request.model.display().to_string(),
        samples,
        output_shape: outputs.shape,
        output_type: outputs.element_type.to_string(),
        output: request.output.display().to_string(),
    })
}

fn run_float(
    graph: &Graph,
    x: &NpyArray,
    request: &RunRequest,
    progress: &dyn Progress,
) -> Result<Outputs, Error> {
    let fail = |source| Error::train(&graph.name, source);
    let [input] = graph.inputs.as_slice() else {
        return Err(several_inputs(&graph.name, graph.inputs.len()));
    };
    let samples = samples(x, &input.source_shape, ElementType::F32, &request.input)?;
    let output = &graph.outputs[0];
    let mut executor =
        Executor::new(graph, ExecOptions { threads: request.threads, keep_all: false }).map_err(fail)?;
    progress.begin("running", samples.len() as u64);
    let mut values = Vec::with_capacity(samples.len());
    for (i, sample) in samples.iter().enumerate() {
        let Data::F32(sample) = sample else { continue };
        let x = ports::transpose(sample, &input.source_shape, &input.perm);
        let y = executor.forward(1, &[&x], Mode::Inference).map_err(fail)?;
        values.push(Data::F32(to_source(y, output)));
        progress.advance(i as u64 + 1, "");
    }
    progress.end("done");
    Ok(Outputs { values, shape: output.source_shape.clone(), element_type: ElementType::F32 })
}

/// In int8 as a package, but what the model computes in float at its end in float.
fn run_int8(
    graph: &Graph,
    x: &NpyArray,
    request: &RunRequest,
    progress: &dyn Progress,
) -> Result<Outputs, Error> {
    let Some(split) = FloatTail::split(graph) else {
        return run_package(&pack_int8(graph)?.bytes, x, request, progress);
    };
    let mut outputs = run_package(&pack_int8(&split.int8)?.bytes, x, request, progress)?;
    outputs.values = outputs.values.iter().filter_map(|x| split.finish(x)).collect();
    outputs.shape.clone_from(&graph.outputs[0].source_shape);
    Ok(outputs)
}

fn run_package(
    bytes: &[u8],
    x: &NpyArray,
    request: &RunRequest,
    progress: &dyn Progress,
) -> Result<Outputs, Error> {
    let fail = |source: PackError| Error::Package { path: request.model.clone(), source };
    let host = HostModel::new(bytes).map_err(fail)?;
    let [input] = host.inputs() else {
        return Err(several_inputs(&request.model.display().to_string(), host.inputs().len()));
    };
    let samples = samples(x, &input.source_shape, input.element_type, &request.input)?;
    let run = |sample: &Data| -> Result<Data, PackError> {
        let mut outputs = host.session()?.run_source(std::slice::from_ref(sample))?;
        Ok(outputs.swap_remove(0))
    };
    progress.begin("running", samples.len() as u64);
    let values: Result<Vec<Data>, PackError> =
        int8::pool(request.threads)?.install(|| samples.par_iter().map(run).collect());
    progress.end("done");
    let output = &host.outputs()[0];
    Ok(Outputs {
        values: values.map_err(fail)?,
        shape: output.source_shape.clone(),
        element_type: output.element_type,
    })
}

/// Cuts `[N, …]` into samples of the model's type; the shape of one sample, or the whole shape, may stand for N = 1.
pub(crate) fn samples(
    x: &NpyArray,
    shape: &[usize],
    wanted: ElementType,
    file: &Path,
) -> Result<Vec<Data>, Error> {
    let one = &shape[1.min(shape.len())..];
    let len: usize = one.iter().product();
    let rank_fits = x.shape.get(1..) == Some(one) || x.shape == one;
    let data = typed(&x.data, wanted).filter(|d| rank_fits && len > 0 && d.len() % len == 0);
    let Some(data) = data else {
        return Err(Error::Mismatch {
            what: format!("samples in {}", file.display()),
            expected: format!("{wanted} of shape [N, {}]", numbers(one)),
            found: format!("{} of shape [{}]", x.data.type_name(), numbers(&x.shape)),
            help: "`dtmm inspect` shows the input that the model takes".into(),
        });
    };
    Ok(match data {
        Data::F32(v) => v.chunks(len).map(|c| Data::F32(c.to_vec())).collect(),
        Data::I8(v) => v.chunks(len).map(|c| Data::I8(c.to_vec())).collect(),
        Data::U8(v) => v.chunks(len).map(|c| Data::U8(c.to_vec())).collect(),
        Data::I32(v) => v.chunks(len).map(|c| Data::I32(c.to_vec())).collect(),
    })
}

/// The values in the type that the model takes; float models take any number, integer models only their own type.
fn typed(data: &NpyData, wanted: ElementType) -> Option<Data> {
    Some(match (wanted, data) {
        (ElementType::F32, any) => Data::F32(any.to_f32()),
        (ElementType::I8, NpyData::I8(v)) => Data::I8(v.clone()),
        (ElementType::U8, NpyData::U8(v)) => Data::U8(v.clone()),
        (ElementType::I32, NpyData::I32(v)) => Data::I32(v.clone()),
        _ => return None,
    })
}

fn to_source(y: &[f32], port: &Port) -> Vec<f32> {
    let moved: Vec<usize> = port.perm.iter().map(|&p| port.source_shape[p]).collect();
    ports::transpose(y, &moved, &ports::inverse(&port.perm))
}

fn join(outputs: &Outputs) -> NpyData {
    macro_rules! concat {
        ($kind:ident) => {
            outputs
                .values
                .iter()
                .flat_map(|d| if let Data::$kind(v) = d { v.clone() } else { vec![] })
                .collect()
        };
    }
    match outputs.element_type {
        ElementType::F32 => NpyData::F32(concat!(F32)),
        ElementType::I8 => NpyData::I8(concat!(I8)),
        ElementType::U8 => NpyData::U8(concat!(U8)),
        ElementType::I32 => NpyData::I32(concat!(I32)),
    }
}

fn numbers(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn several_inputs(model: &str, found: usize) -> Error {
    Error::Mismatch {
        what: format!("inputs of model '{model}'"),
        expected: "1".into(),
        found: found.to_string(),
        help: "`dtmm run` feeds models with one input".into(),
    }
}
