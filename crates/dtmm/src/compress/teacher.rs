//! Another model than the pruned one as the teacher.

use std::path::Path;

use dtmm_graph::Graph;

use crate::Error;
use crate::model::load_float;

/// The teacher in `path`, which must take and give what `student` does.
///
/// # Errors
/// When the file cannot be read, or its inputs, outputs or preprocessing differ.
pub fn load(path: &Path, student: &Graph) -> Result<Graph, Error> {
    let teacher = load_float(path)?;
    let differs = |what: &str, expected: String, found: String| Error::Mismatch {
        what: format!("{what} of the teacher {}", path.display()),
        expected,
        found,
        help: format!("--teacher must name a float model of the same task as {}", student.name),
    };
    if ports(student) != ports(&teacher) {
        return Err(differs("input and output", ports(student), ports(&teacher)));
    }
    match (&student.preprocessing, &teacher.preprocessing) {
        (Some(expected), Some(found)) if expected != found => {
            Err(differs("preprocessing", format!("{expected:?}"), format!("{found:?}")))
        }
        _ => Ok(teacher),
    }
}

/// Inputs by shape (NHWC), outputs by size: one score for each class has several layouts.
fn ports(g: &Graph) -> String {
    let inputs = g.inputs.iter().map(|p| format!("{:?}", &g.tensor(p.tensor).shape[1..]));
    let outputs = g.outputs.iter().map(|p| g.tensor(p.tensor).len().to_string());
    format!("{} to {} values", inputs.collect::<Vec<_>>().join(", "), outputs.collect::<Vec<_>>().join(", "))
}
