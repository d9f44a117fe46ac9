use super::{Human, bytes, dimensions, percent, table, thousands};
use crate::{CompressReport, LayerRow};

impl Human for CompressReport {
    fn human(&self) -> String {
        let ratio = |after: usize, before: usize| format!("{:.3}x", after as f64 / before.max(1) as f64);
        let pp = |after: f64| format!("{:+.2} pp", (after - self.accuracy.float) * 100.0);
        let row = |name: &str, before: String, after: String, change: String| {
            vec![name.to_owned(), before, after, change]
        };
        let summary = table(
            &["", "before", "after", "change"],
            1,
            vec![
                row(
                    "flash (int8 package)",
                    bytes(self.flash.dense_int8_bytes),
                    bytes(self.flash.package_bytes),
                    ratio(self.flash.package_bytes, self.flash.dense_int8_bytes),
                ),
                row(
                    "RAM (arena)",
                    bytes(self.ram.dense_arena_bytes),
                    bytes(self.ram.arena_bytes),
                    ratio(self.ram.arena_bytes, self.ram.dense_arena_bytes),
                ),
                row(
                    "weights",
                    thousands(self.total_weights as u64),
                    thousands(self.kept_weights as u64),
                    ratio(self.kept_weights, self.total_weights),
                ),
                row(
                    "accuracy, pruned float",
                    percent(self.accuracy.float),
                    percent(self.accuracy.pruned),
                    pp(self.accuracy.pruned),
                ),
                row(
                    "accuracy, int8 package",
                    percent(self.accuracy.float),
                    percent(self.accuracy.int8),
                    pp(self.accuracy.int8),
                ),
            ],
        );
        let budget = bytes(self.flash.budget_bytes);
        let stored = if self.flash.storage == "package" {
            String::new()
        } else {
            let (flash, index) = (bytes(self.flash.stored_bytes), bytes(self.flash.index_bytes));
            format!(
                "{} would store it as {} in {flash}, {index} of them index; the package has no such form\n",
                self.scheduler, self.flash.storage
            )
        };
        format!("{}\n{summary}{stored}flash budget {budget}: kept\n", layers(&self.layers))
    }
}

/// The layers that hold weights, before and after.
fn layers(rows: &[LayerRow]) -> String {
    let header =
        ["layer", "operator", "output", "weights", "kept", "bytes before", "after", "storage", "group"];
    let rows = rows
        .iter()
        .filter(|l| l.dense_weights > 0)
        .map(|l| {
            vec![
                l.name.clone(),
                l.op.clone(),
                dimensions(&l.output_shape),
                thousands(l.dense_weights as u64),
                percent(1.0 - l.sparsity()),
                thousands(l.dense_bytes as u64),
                thousands(l.bytes as u64),
                l.storage.clone(),
                l.group.map_or_else(|| "-".into(), |g| g.to_string()),
            ]
        })
        .collect();
    table(&header, 3, rows)
}
