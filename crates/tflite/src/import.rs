//! Drives an import: operators in order, then ports and checks.

use std::path::Path;

use dtmm_graph::transform::{fuse_padding, remove_dead_nodes};
use dtmm_graph::{Graph, VerifyError};

use crate::error::{ImportError, NodeError, UnsupportedNode};
use crate::flat::Flat;
use crate::importer::{Importer, NodeView, Slot};
use crate::names::{CUSTOM, builtin_name};
use crate::schema::{Model, Operator};
use crate::{ops, ports};

/// Larger files are no microcontroller models.
const MAX_FILE: u64 = 1 << 29;

/// Imports a model from the bytes of a `.tflite` file; `name` is used in messages and becomes the graph's name.
///
/// # Errors
/// [`ImportError`]: garbled files, unsupported operators (all of them at once), inconsistent nodes.
pub fn import(bytes: &[u8], name: &str) -> Result<Graph, ImportError> {
    import_named(bytes, name, name)
}

/// Imports a `.tflite` file; the graph is named after the file without its extension.
///
/// # Errors
/// As [`import`], or when the file cannot be read.
pub fn import_file(path: impl AsRef<Path>) -> Result<Graph, ImportError> {
    let path = path.as_ref();
    let failed = |source| ImportError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    let file = path.display().to_string();
    if size > MAX_FILE {
        let what = format!("{size} bytes are more than any microcontroller model has");
        return Err(ImportError::Format { file, what });
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let name = path.file_stem().map_or_else(|| file.clone(), |s| s.to_string_lossy().into_owned());
    import_named(&bytes, &file, &name)
}

fn import_named(bytes: &[u8], file: &str, name: &str) -> Result<Graph, ImportError> {
    let format = |what: String| ImportError::Format { file: file.to_owned(), what };
    if bytes.get(4..8) != Some(b"TFL3") {
        return Err(format(identifier_problem(bytes)));
    }
    let flat = Flat::new(bytes);
    let model = Model::read(&flat).map_err(|e| format(e.to_string()))?;
    let mut importer = Importer::new(&model, name);
    let mut unsupported = ports::add_inputs(&mut importer, file)?;
    import_nodes(&mut importer, file, &mut unsupported)?;
    if !unsupported.is_empty() {
        return Err(ImportError::Unsupported { file: file.to_owned(), nodes: unsupported });
    }
    ports::add_outputs(&mut importer, file)?;
    let mut graph = importer.graph;
    let failed = |source: VerifyError| ImportError::Graph { file: file.to_owned(), source };
    graph.verify().map_err(failed)?;
    fuse_padding(&mut graph);
    remove_dead_nodes(&mut graph);
    graph.drop_unused_tensors();
    ports::default_preprocessing(&mut graph);
    Ok(graph)
}

fn identifier_problem(bytes: &[u8]) -> String {
    if bytes.len() < 8 {
        return format!("it has only {} bytes", bytes.len());
    }
    "the identifier TFL3 is missing at byte 4".into()
}

/// Imports every node, and goes on after an unsupported one so that all of them are reported.
fn import_nodes(
    importer: &mut Importer<'_>,
    file: &str,
    unsupported: &mut Vec<UnsupportedNode>,
) -> Result<(), ImportError> {
    for (index, source) in importer.model.operators.iter().enumerate() {
        let node = view(importer, index, source);
        let reason = match ops::import_node(importer, &node) {
            Ok(()) => continue,
            Err(NodeError::Poisoned) => None,
            Err(NodeError::Unsupported(reason)) => Some(reason),
            // After an unsupported node, what follows may look wrong only because of it.
            Err(NodeError::Invalid(_)) if !unsupported.is_empty() => None,
            Err(NodeError::Invalid(what)) => {
                let NodeView { operator, name, .. } = node;
                return Err(ImportError::Node { file: file.to_owned(), index, name, operator, what });
            }
        };
        for t in source.outputs.iter().filter_map(|&t| usize::try_from(t).ok()) {
            // An output that does not exist or is written twice cannot be poisoned, and need not.
            let _ = importer.set(t, Slot::Poisoned);
        }
        if let Some(reason) = reason {
            let NodeView { operator, name, .. } = node;
            unsupported.push(UnsupportedNode { operator, index: Some(index), name, reason });
        }
    }
    Ok(())
}

fn view<'m>(importer: &Importer<'m>, index: usize, source: &'m Operator<'m>) -> NodeView<'m> {
    let operator = match importer.model.codes.get(source.code) {
        Some(code) if code.builtin == CUSTOM => format!("custom operator '{}'", code.custom),
        Some(code) => builtin_name(code.builtin),
        None => format!("operator code {}", source.code),
    };
    let output = source.outputs.first().and_then(|&t| usize::try_from(t).ok());
    let tensor = output.and_then(|t| importer.model.tensors.get(t));
    // Converters join the names of all fused operators with semicolons; the first is enough.
    let name = tensor.and_then(|t| t.name.split(';').next()).filter(|n| !n.is_empty());
    let name = name.map_or_else(|| format!("{operator}_{index}"), str::to_owned);
    NodeView { operator, name, source }
}
