//! Writing models as ONNX.

use std::path::Path;

use dtmm_graph::Graph;

use crate::{Error, files};

/// Writes `graph` to `path`, whole or not at all.
pub(crate) fn write(path: &Path, graph: &Graph) -> Result<(), Error> {
    let bytes =
        dtmm_onnx::export(graph).map_err(|source| Error::OnnxExport { path: path.to_owned(), source })?;
    files::write(path, &bytes)
}
