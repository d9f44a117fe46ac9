//! The self-contained HTML report: one file, inline SVG, no scripts, nothing fetched.

mod compare;
mod curves;
mod heat_map;
mod plot;

pub use compare::compare_html;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use thiserror::Error;

use crate::{CompressReport, bytes, percent};

const TEMPLATE: &str = include_str!("compress.html");

/// Why the HTML could not be made.
#[derive(Debug, Error)]
pub enum HtmlError {
    /// The template failed.
    #[error("report template: {0}")]
    Template(#[from] minijinja::Error),
    /// A plot failed.
    #[error("report plot: {0}")]
    Plot(String),
}

/// The report of a compression as one HTML page.
///
/// # Errors
/// [`HtmlError`] when a plot cannot be drawn; the data itself is always accepted.
pub fn compress_html(report: &CompressReport) -> Result<String, HtmlError> {
    let mut env = environment();
    env.add_template("compress", TEMPLATE)?;
    let kept: Vec<f64> = report.layers.iter().map(|l| 1.0 - l.sparsity()).collect();
    Ok(env.get_template("compress")?.render(context! {
        r => Value::from(Serde(report)),
        kept => kept,
        ratio => report.flash.package_bytes as f64 / report.flash.dense_int8_bytes.max(1) as f64,
        drop_pp => format!("{:+.2}", (report.accuracy.int8 - report.accuracy.float) * 100.0),
        sparsity_plot => plot::sparsity(report)?,
        bytes_plot => plot::layer_bytes(report)?,
        ram_plot => plot::ram(report)?,
        heat_maps => Value::from(Serde(heat_map::all(report))),
        training_plot => plot::training(report)?,
    })?)
}

/// The filters that all pages use.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
    env.add_filter("bytes", |n: usize| bytes(n));
    env.add_filter("percent", |f: f64| percent(f));
    env.add_filter("thousands", |n: u64| crate::text::thousands(n));
    env.add_filter("dimensions", |shape: Vec<usize>| crate::text::dimensions(&shape));
    env.add_filter("amount", |v: f64, unit: String| match unit.as_str() {
        "B" => bytes(v as usize),
        unit => format!("{v:.2} {unit}"),
    });
    env.add_filter("cycles", |n: Option<f64>| {
        n.map_or_else(|| "–".into(), |n| crate::text::thousands(n as u64))
    });
    env
}
