//! The page of a comparison or a sweep: accuracy against bytes, and against time on each core.

use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::curves::{Curve, curves, legend};
use super::{HtmlError, environment};
use crate::{CompareReport, CompareRow};

const TEMPLATE: &str = include_str!("compare.html");

#[derive(Serialize)]
struct CorePlot {
    core: String,
    error: f64,
    svg: String,
}

/// The report of a comparison as one HTML page.
///
/// # Errors
/// [`HtmlError`] when a plot cannot be drawn; the data itself is always accepted.
pub fn compare_html(report: &CompareReport) -> Result<String, HtmlError> {
    let mut env = environment();
    env.add_template("compare", TEMPLATE)?;
    let of_bytes = by_method(report, |r| Some(r.stored_bytes as f64));
    let bytes = curves(&of_bytes, "bytes", (1070, 420))?;
    let cores: Vec<String> = report
        .rows
        .iter()
        .find(|r| r.feasible)
        .map_or_else(Vec::new, |r| r.latency.iter().map(|l| l.core.clone()).collect());
    let plots = cores.into_iter().map(|core| {
        let of =
            |r: &CompareRow| r.latency.iter().find(|l| l.core == core).map(|l| (l.cycles / 1e6, l.error));
        let error = report.rows.iter().filter_map(of).map(|l| l.1).fold(0.0, f64::max);
        let svg =
            curves(&by_method(report, |r| of(r).map(|l| l.0)), "million cycles, estimated", (540, 300))?;
        Ok(CorePlot { core, error, svg })
    });
    Ok(env.get_template("compare")?.render(context! {
        r => Value::from(Serde(report)),
        legend => legend(&of_bytes),
        bytes_plot => bytes,
        core_plots => Value::from(Serde(plots.collect::<Result<Vec<_>, HtmlError>>()?)),
    })?)
}

/// One curve for each method, in the order in which they first appear.
fn by_method(report: &CompareReport, x: impl Fn(&CompareRow) -> Option<f64>) -> Vec<Curve> {
    let mut all: Vec<Curve> = Vec::new();
    for row in report.rows.iter().filter(|r| r.feasible) {
        let Some(x) = x(row) else { continue };
        let point = (x, row.accuracy_int8 * 100.0);
        match all.iter_mut().find(|c| c.name == row.method) {
            Some(curve) => curve.points.push(point),
            None => all.push(Curve { name: row.method.clone(), points: vec![point] }),
        }
    }
    all
}
