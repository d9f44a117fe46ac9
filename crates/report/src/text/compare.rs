use super::{Human, percent, table, thousands};
use crate::{CompareReport, CompareRow};

impl Human for CompareReport {
    fn human(&self) -> String {
        let header = [
            "method",
            "budget",
            "bytes",
            "index",
            "of dense",
            "arena",
            "float",
            "int8",
            "gap",
            "M cycles m4",
        ];
        table(&header, 2, self.rows.iter().map(row).collect())
    }
}

fn row(r: &CompareRow) -> Vec<String> {
    let mut cells = vec![r.method.clone(), r.budget.clone()];
    if !r.feasible {
        cells.extend(["out of reach", "", "", "", "", "", "", ""].map(String::from));
        return cells;
    }
    let m4 = r.latency.iter().find(|l| l.core == "m4").map_or(0.0, |l| l.cycles);
    cells.extend([
        thousands(r.stored_bytes as u64),
        thousands(r.index_bytes as u64),
        format!("{:.3}x", r.share_of_dense),
        thousands(r.arena_bytes as u64),
        percent(r.accuracy_pruned),
        percent(r.accuracy_int8),
        percent(r.gap),
        format!("{:.2}", m4 / 1e6),
    ]);
    cells
}
