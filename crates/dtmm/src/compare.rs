//! `compare`: every method at every budget, the same data, epochs and seed.

use std::path::{Path, PathBuf};

use dtmm_prune::UnitKind;
use dtmm_report::{CompareReport, CompareRow, CompressReport};

use crate::compress::{Shared, compress_with};
use crate::{
    Budgets, ChannelCut, CompressRequest, Error, ImportanceKind, Method, Progress, SizeBudget, Units, files,
};

/// The budget of the unpruned package.
const ALL: SizeBudget = SizeBudget::Share(1.0);

/// A way to choose masks, with its importance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MethodSpec {
    /// How masks are chosen.
    pub method: Method,
    /// What decides which weights go; `None`: as the base request says.
    pub importance: Option<ImportanceKind>,
}

impl MethodSpec {
    /// `METHOD` or `METHOD@IMPORTANCE`, by their names; `None` for others.
    pub fn from_name(text: &str, seed: u64) -> Option<Self> {
        let (method, importance) = text.split_once('@').map_or((text, None), |(m, i)| (m, Some(i)));
        let importance = match importance {
            None => None,
            Some(name) => Some(ImportanceKind::from_name(name)?),
        };
        Some(MethodSpec { method: Method::from_name(method, seed)?, importance })
    }

    /// The name that [`MethodSpec::from_name`] reads.
    pub fn name(&self) -> String {
        let importance = self.importance.map_or_else(String::new, |i| format!("@{}", i.name()));
        format!("{}{importance}", self.method.name())
    }
}

/// A comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareRequest {
    /// Model, data, epochs, seed; its budgets and scheduler are replaced, its output is the folder of the comparison.
    pub base: CompressRequest,
    /// Flash budgets.
    pub budgets: Vec<SizeBudget>,
    /// Methods.
    pub methods: Vec<MethodSpec>,
}

/// Runs the grid, dense first, each run in a folder of its own below the output, and writes the table and the page after
/// each run. Runs that are finished are not done again; what does not depend on method and budget is worked out once.
///
/// # Errors
/// As [`crate::compress`]; a budget that a method cannot meet is a row, not an error.
pub fn compare(request: &CompareRequest, progress: &dyn Progress) -> Result<CompareReport, Error> {
    let mut report = CompareReport {
        model: request.base.model.display().to_string(),
        data: request.base.data.path.display().to_string(),
        epochs: request.base.epochs,
        seed: request.base.seed,
        rows: vec![],
    };
    let total = 1 + request.methods.len() * request.budgets.len();
    let shared = Shared::default();
    let dense = run(request, None, &shared, progress)?;
    report.rows.push(dense);
    write(&request.base.output, &report)?;
    for &budget in &request.budgets {
        for spec in &request.methods {
            let number = report.rows.len() + 1;
            progress.note(&format!("run {number} of {total}: {} at {}", spec.name(), budget_name(budget)));
            report.rows.push(run(request, Some((*spec, budget)), &shared, progress)?);
            write(&request.base.output, &report)?;
        }
    }
    Ok(report)
}

/// One cell of the grid; `None` is the unpruned package.
fn run(
    request: &CompareRequest,
    cell: Option<(MethodSpec, SizeBudget)>,
    shared: &Shared,
    progress: &dyn Progress,
) -> Result<CompareRow, Error> {
    let name = cell
        .map_or_else(|| "dense".into(), |(spec, budget)| format!("{}-{}", spec.name(), budget_name(budget)));
    let folder: PathBuf = request.base.output.join("runs").join(name.replace([':', '@'], "_"));
    let mut own = CompressRequest { output: folder, ..request.base.clone() };
    let budget = cell.map_or(ALL, |c| c.1);
    own.budgets = Budgets { flash: Some(budget), ..Budgets::default() };
    match cell {
        None => (own.epochs, own.scheduler, own.units) = (0, Method::Lagrangian, Units::default()),
        Some((spec, _)) => {
            own.scheduler = spec.method;
            // The methods with units of their own keep them.
            own.units = if spec.method.has_units() { own.units } else { Units::default() };
            own.importance = spec.importance.unwrap_or(own.importance);
        }
    }
    if !own.chooses_channels() {
        own.channel_cut = ChannelCut::Auto;
    }
    // Nothing is pruned of the dense model, and other methods have no runs of channels.
    own.permute &= cell.is_some() && matches!(own.grain(), UnitKind::SubFilterlet(_));
    let method = cell.map_or_else(|| "dense".into(), |(spec, _)| spec.name());
    match compress_with(&own, shared, progress) {
        Ok(report) if cell.is_none() => {
            Ok(CompareRow { budget: "none".into(), budget_bytes: 0, ..row(method, &report) })
        }
        Ok(report) => Ok(row(method, &report)),
        Err(Error::Schedule { source, .. }) => {
            progress.note(&format!("{name}: {source}"));
            Ok(CompareRow {
                method,
                budget: budget_name(budget),
                note: source.to_string(),
                ..CompareRow::default()
            })
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn row(method: String, report: &CompressReport) -> CompareRow {
    let flash = &report.flash;
    let share = |bytes: usize| bytes as f64 / flash.dense_int8_bytes.max(1) as f64;
    CompareRow {
        method,
        importance: report.importance.clone(),
        budget: flash.budget_bytes.map_or_else(String::new, |b| format!("{:.4}x", share(b))),
        feasible: true,
        note: String::new(),
        budget_bytes: flash.budget_bytes.unwrap_or(0),
        stored_bytes: flash.stored_bytes,
        index_bytes: flash.index_bytes,
        storage: flash.storage.clone(),
        package_bytes: flash.package_bytes,
        share_of_dense: share(flash.stored_bytes),
        arena_bytes: report.ram.arena_bytes,
        kept_weights: report.kept_weights,
        accuracy_float: report.accuracy.float,
        accuracy_pruned: report.accuracy.pruned,
        accuracy_int8: report.accuracy.int8,
        gap: report.bound.gap,
        latency: report.latency.clone(),
        seconds: report.seconds,
    }
}

fn budget_name(budget: SizeBudget) -> String {
    match budget {
        SizeBudget::Bytes(n) => n.to_string(),
        SizeBudget::Share(share) => format!("{share:.4}x"),
    }
}

fn write(out: &Path, report: &CompareReport) -> Result<(), Error> {
    files::write(&out.join("compare.csv"), report.csv().as_bytes())?;
    files::write(&out.join("compare.html"), dtmm_report::compare_html(report)?.as_bytes())?;
    let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
    files::write(&out.join("compare.json"), json.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["lagrangian", "anneal@taylor", "filter-only@l1", "2:4"] {
            assert_eq!(MethodSpec::from_name(name, 1).unwrap().name(), name);
        }
        assert_eq!(MethodSpec::from_name("magic", 0), None);
        assert_eq!(MethodSpec::from_name("anneal@luck", 0), None);
    }
}
