//! Reading models and packages.

use std::path::Path;

use dtmm_graph::Graph;
use dtmm_pack::{HostModel, PackResult};

use crate::{Error, files};

/// A file that `dtmm` can work with.
pub enum Model {
    /// A float model.
    Float(Graph),
    /// An int8 TFLite model.
    Int8(Graph),
    /// A package.
    Package(Vec<u8>),
}

/// What kind of file a model came from, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// ONNX.
    Onnx,
    /// TFLite.
    Tflite,
    /// DTMM package.
    Package,
}

impl Container {
    /// Tells the format from the first bytes; ONNX has no magic number, so the name decides.
    pub fn detect(path: &Path, bytes: &[u8]) -> Option<Container> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            _ if bytes.starts_with(b"DTMM") => Some(Container::Package),
            _ if bytes.get(4..8) == Some(b"TFL3".as_slice()) => Some(Container::Tflite),
            Some("onnx") => Some(Container::Onnx),
            Some("tflite" | "lite") => Some(Container::Tflite),
            Some("dtmm") => Some(Container::Package),
            _ => None,
        }
    }
}

/// Reads a model or package.
///
/// # Errors
/// A file that cannot be read, is of no known format, or is refused by its importer.
pub fn load_model(path: &Path) -> Result<(Model, Container), Error> {
    let bytes = files::read(path)?;
    let container =
        Container::detect(path, &bytes).ok_or_else(|| Error::UnknownFormat { path: path.to_owned() })?;
    let path_of = || path.to_owned();
    let graph = match container {
        Container::Package => {
            HostModel::new(&bytes).map_err(|source| Error::Package { path: path_of(), source })?;
            return Ok((Model::Package(bytes), container));
        }
        Container::Onnx => dtmm_onnx::import_file(path)
            .map_err(|source| Error::Onnx { path: path_of(), source: Box::new(source) })?,
        Container::Tflite => dtmm_tflite::import_file(path)
            .map_err(|source| Error::Tflite { path: path_of(), source: Box::new(source) })?,
    };
    let model = if graph.is_int8() { Model::Int8(graph) } else { Model::Float(graph) };
    Ok((model, container))
}

/// A model in float; an int8 one is dequantised.
pub(crate) fn load_float(path: &Path) -> Result<Graph, Error> {
    match load_model(path)?.0 {
        Model::Float(graph) => Ok(graph),
        Model::Int8(graph) => dtmm_quant::dequantize(&graph)
            .map(|(graph, _)| graph)
            .map_err(|source| Error::Quant { model: graph.name.clone(), source }),
        Model::Package(_) => Err(Error::Mismatch {
            what: path.display().to_string(),
            expected: "a model (.onnx, .tflite)".into(),
            found: "a package".into(),
            help: "give the model that the package was made from".into(),
        }),
    }
}

/// The package of an int8 graph.
pub(crate) fn pack_int8(graph: &Graph) -> Result<PackResult, Error> {
    dtmm_pack::pack(graph).map_err(|source| Error::Pack { model: graph.name.clone(), source })
}
