//! From a float graph to ONNX bytes.
//!
//! Inside the file spatial tensors are `[N, C, H, W]` and features `[N, F]`; the model's own inputs and outputs have the
//! shapes that the ports name. Weights of dense layers behind a flattened image are permuted to the order that ONNX's
//! Flatten gives, so that no transpose is needed.

mod build;
mod forms;
mod ops;
mod ports;

use std::io::Write;
use std::path::Path;

use dtmm_graph::{Graph, Port};
use prost::Message;

use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto};
use crate::{ExportError, PREPROCESSING_KEY, metadata};
use build::Exporter;

/// HardSwish needs 14; nothing else needs more than 13.
const OPSET: i64 = 14;
/// The first version of the file format that goes with opset 14.
const IR_VERSION: i64 = 7;

/// Writes a float graph as an ONNX model with a dynamic batch; see [`channels_first`] for graphs built in NHWC.
///
/// # Errors
/// [`ExportError`] when the graph is invalid or holds integer tensors.
pub fn export(graph: &Graph) -> Result<Vec<u8>, ExportError> {
    graph
        .verify()
        .map_err(|source| ExportError::Verify { graph: graph.name.clone(), source: Box::new(source) })?;
    let mut exporter = Exporter::new(graph);
    exporter.inputs()?;
    for node in &graph.nodes {
        exporter.node(node)?;
    }
    exporter.outputs()?;
    let mut model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "dtmm".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        graph: Some(GraphProto { name: graph_name(graph), ..exporter.onnx }),
        ..Default::default()
    };
    if let Some(json) = graph.preprocessing.as_ref().and_then(|p| serde_json::to_string(p).ok()) {
        metadata::set(&mut model, PREPROCESSING_KEY, json);
    }
    Ok(model.encode_to_vec())
}

/// ONNX wants a graph name.
fn graph_name(graph: &Graph) -> String {
    if graph.name.is_empty() { "model".into() } else { graph.name.clone() }
}

/// Writes [`export`]'s bytes to `path`, which either keeps its old content or gets the whole new one.
///
/// # Errors
/// As [`export`], and when the file cannot be written.
pub fn export_file(graph: &Graph, path: impl AsRef<Path>) -> Result<(), ExportError> {
    let path = path.as_ref();
    let bytes = export(graph)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        // The temporary file is private to its owner; a model is an ordinary file.
        make_readable(file.path())?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|source| ExportError::Write { file: path.display().to_string(), source })
}

#[cfg(unix)]
fn make_readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// The same graph with its rank-4 NHWC inputs and outputs presented as NCHW, the order that ONNX models usually have:
/// an input of `[1, 32, 32, 3]` becomes `[1, 3, 32, 32]`, an output of `[1, 1, 1, 10]` becomes `[1, 10]`.
///
/// Ports that do not present their tensor as it is (an imported NCHW model) stay as they are.
pub fn channels_first(mut graph: Graph) -> Graph {
    let shapes: Vec<Vec<usize>> = graph.tensors.iter().map(|t| t.shape.clone()).collect();
    for port in graph.inputs.iter_mut().chain(&mut graph.outputs) {
        to_channels_first(port, &shapes[port.tensor.index()]);
    }
    graph
}

fn to_channels_first(port: &mut Port, shape: &[usize]) {
    let (&[n, h, w, c], &[0, 1, 2, 3]) = (shape, &port.perm[..]) else { return };
    (port.source_shape, port.perm) = match (h, w) {
        (1, 1) => (vec![n, c], vec![0, 1]),
        _ => (vec![n, c, h, w], vec![0, 2, 3, 1]),
    };
}
