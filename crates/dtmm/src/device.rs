//! What commands that run packages on devices share: the package of a file, and an input for it.

use std::path::Path;

use dtmm_data::NpyData;
use dtmm_graph::Data;
use dtmm_pack::{HostModel, PackError};

use crate::float_tail::FloatTail;
use crate::model::pack_int8;
use crate::{Error, Model, load_model, run};

/// A package with one input for all its ports.
pub(crate) struct Loaded {
    pub package: Vec<u8>,
    pub host: HostModel,
    /// Values of each input, NHWC int8.
    pub inputs: Vec<Vec<i8>>,
    /// Where the input came from, in words.
    pub input_name: String,
}

impl Loaded {
    /// The package at `model`, or of the int8 model there, with the first sample of a `.npy` file or a fixed pattern.
    pub fn new(model: &Path, input: Option<&Path>) -> Result<Self, Error> {
        let package = package(model)?;
        let fail = |source: PackError| Error::Package { path: model.to_owned(), source };
        let host = HostModel::new(&package).map_err(fail)?;
        let (inputs, input_name) = match input {
            None => (pattern(&host), "a fixed pattern".to_owned()),
            Some(path) => (first_sample(&host, model, path)?, path.display().to_string()),
        };
        Ok(Loaded { package, host, inputs, input_name })
    }

    /// All inputs, one after another.
    pub fn flat_input(&self) -> Vec<i8> {
        self.inputs.concat()
    }
}

/// The package of a file; an int8 model is packed, without what it computes in float at its end.
fn package(path: &Path) -> Result<Vec<u8>, Error> {
    match load_model(path)?.0 {
        Model::Package(bytes) => Ok(bytes),
        Model::Int8(graph) => {
            let split = FloatTail::split(&graph);
            Ok(pack_int8(split.as_ref().map_or(&graph, |s| &s.int8))?.bytes)
        }
        Model::Float(graph) => Err(Error::Mismatch {
            what: format!("model '{}'", graph.name),
            expected: "a package or an int8 .tflite model".into(),
            found: "a float model".into(),
            help: "`dtmm compress` makes an int8 package of it".into(),
        }),
    }
}

/// Values that cover the whole range, the same in every run.
fn pattern(host: &HostModel) -> Vec<Vec<i8>> {
    let values = |n: usize| (0..n).map(|i| (i * 37 % 251) as u8 as i8).collect();
    host.inputs().iter().map(|p| values(p.elements())).collect()
}

fn first_sample(host: &HostModel, model: &Path, path: &Path) -> Result<Vec<Vec<i8>>, Error> {
    let [port] = host.inputs() else {
        return Err(Error::Mismatch {
            what: format!("inputs of model '{}'", model.display()),
            expected: "1".into(),
            found: host.inputs().len().to_string(),
            help: "without --input, every input gets a fixed pattern".into(),
        });
    };
    let array = dtmm_data::read_npy(path)?;
    // Values as they are inside the package are taken too.
    if let NpyData::I8(values) = &array.data
        && values.len() == port.elements()
        && port.element_type != dtmm_graph::ElementType::I8
    {
        return Ok(vec![values.clone()]);
    }
    let mut samples = run::samples(&array, &port.source_shape, port.element_type, path)?;
    let first: Data = samples.swap_remove(0);
    host.quantize_source(&[first]).map_err(|source| Error::Package { path: model.to_owned(), source })
}
