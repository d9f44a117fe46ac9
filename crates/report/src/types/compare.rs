//! The reports of `dtmm compare` and of a sweep.

use serde::{Deserialize, Serialize};

use super::CoreLatency;

/// One method at one budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompareRow {
    /// Method, with `@importance` where it has its own.
    pub method: String,
    /// What decided which weights went.
    pub importance: String,
    /// The budget as a share of the dense package, or as asked for.
    pub budget: String,
    /// False when the method cannot meet the budget; then `note` says why and all numbers are 0.
    pub feasible: bool,
    /// Why there is no result.
    pub note: String,
    /// The budget in bytes.
    pub budget_bytes: usize,
    /// Bytes of package, weights and index as the method stores them.
    pub stored_bytes: usize,
    /// Bytes of them that are index.
    pub index_bytes: usize,
    /// How the method stores its weights.
    pub storage: String,
    /// Bytes of the file that was written, in the package's own forms.
    pub package_bytes: usize,
    /// Stored bytes over those of the dense package.
    pub share_of_dense: f64,
    /// Arena bytes.
    pub arena_bytes: usize,
    /// Weights that are not zero.
    pub kept_weights: usize,
    /// Accuracy of the float model as it came in.
    pub accuracy_float: f64,
    /// Accuracy of the pruned float model.
    pub accuracy_pruned: f64,
    /// Accuracy of the int8 package.
    pub accuracy_int8: f64,
    /// Distance of the last plan from its bound, share of importance.
    pub gap: f64,
    /// Estimated time on each core.
    pub latency: Vec<CoreLatency>,
    /// Seconds of work.
    pub seconds: f64,
}

/// Methods at budgets, or the points of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareReport {
    /// The model's path as the user gave it.
    pub model: String,
    /// The data's path as the user gave it.
    pub data: String,
    /// Fine-tuning epochs of each run.
    pub epochs: usize,
    /// Random seed.
    pub seed: u64,
    /// The runs that are finished.
    pub rows: Vec<CompareRow>,
}

impl CompareReport {
    /// The rows as comma-separated values with a header; cycles of each core at the end.
    pub fn csv(&self) -> String {
        let cores: Vec<&str> =
            self.rows.iter().find(|r| r.feasible).map_or_else(Vec::new, |r| names(r).collect());
        let fixed = [
            "method",
            "importance",
            "budget",
            "feasible",
            "budget_bytes",
            "stored_bytes",
            "index_bytes",
            "storage",
            "package_bytes",
            "share_of_dense",
            "arena_bytes",
            "kept_weights",
            "accuracy_float",
            "accuracy_pruned",
            "accuracy_int8",
            "gap",
            "seconds",
            "note",
        ];
        let header = fixed.map(String::from).into_iter().chain(cores.iter().map(|c| format!("cycles_{c}")));
        let mut text = line(header);
        for r in &self.rows {
            let cells = [
                r.method.clone(),
                r.importance.clone(),
                r.budget.clone(),
                r.feasible.to_string(),
                r.budget_bytes.to_string(),
                r.stored_bytes.to_string(),
                r.index_bytes.to_string(),
                r.storage.clone(),
                r.package_bytes.to_string(),
                format!("{:.4}", r.share_of_dense),
                r.arena_bytes.to_string(),
                r.kept_weights.to_string(),
                format!("{:.4}", r.accuracy_float),
                format!("{:.4}", r.accuracy_pruned),
                format!("{:.4}", r.accuracy_int8),
                format!("{:.5}", r.gap),
                format!("{:.1}", r.seconds),
                r.note.clone(),
            ];
            let cycles = r.latency.iter().map(|l| format!("{:.0}", l.cycles));
            text += &line(cells.into_iter().chain(cycles));
        }
        text
    }
}

fn names(row: &CompareRow) -> impl Iterator<Item = &str> {
    row.latency.iter().map(|l| l.core.as_str())
}

/// Cells with commas or quotes are quoted.
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |cell: String| {
        let plain = !cell.contains([',', '"', '\n']);
        if plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
    };
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_are_quoted() {
        let row =
            CompareRow { method: "lagrangian".into(), note: "a, \"b\"".into(), ..CompareRow::default() };
        let report =
            CompareReport { model: "m".into(), data: "d".into(), epochs: 1, seed: 0, rows: vec![row] };
        let csv = report.csv();
        assert_eq!(csv.lines().count(), 2);
        assert!(
            csv.starts_with("method,importance,") && csv.trim_end().ends_with("\"a, \"\"b\"\"\""),
            "{csv}"
        );
    }
}
