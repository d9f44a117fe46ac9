use super::{Human, bytes, dimensions, percent, table, thousands};
use crate::{BudgetRow, CompressReport, LayerRow, Quantization};

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
        let stored = if self.flash.storage == "package" {
            String::new()
        } else {
            let (flash, index) = (bytes(self.flash.stored_bytes), bytes(self.flash.index_bytes));
            format!(
                "{} would store it as {} in {flash}, {index} of them index; the package has no such form\n",
                self.scheduler, self.flash.storage
            )
        };
        let latency = self.latency.iter().find(|l| l.seconds.is_some());
        let latency = latency.map_or_else(String::new, |l| {
            let seconds = l.seconds.unwrap_or_default();
            let share = ratio_of(l.cycles, l.dense_cycles);
            format!("latency on {}: {:.2} ms estimated, {share}\n", l.core, seconds * 1e3)
        });
        let bound = format!(
            "last round: {} of the importance removed, {} at least by the bound (gap {})\n",
            percent(self.bound.importance_removed),
            percent(self.bound.least_possible),
            percent(self.bound.gap)
        );
        let int8 = self.quantization.as_ref().map_or_else(String::new, quantization);
        let budgets: String = self.budgets.iter().map(budget).collect();
        format!("{}\n{summary}{stored}{int8}{latency}{bound}{budgets}", layers(&self.layers))
    }
}

fn quantization(q: &Quantization) -> String {
    let trained = match q.qat_validation {
        Some(after) if after > q.rounded_validation => {
            format!(", {} after {} quantisation-aware epochs", percent(after), q.qat_epochs)
        }
        Some(after) => {
            format!(", {} after {} quantisation-aware epochs, not taken", percent(after), q.qat_epochs)
        }
        None => String::new(),
    };
    let (float, rounded) = (percent(q.float_validation), percent(q.rounded_validation));
    format!("on held-out samples: float {float}, int8 {rounded}{trained}\n")
}

fn ratio_of(after: f64, before: f64) -> String {
    format!("{:.3}x", after / before.max(1.0))
}

fn budget(row: &BudgetRow) -> String {
    let amount = |v: f64| {
        if row.unit == "B" { bytes(v as usize) } else { format!("{v:.2} {}", row.unit) }
    };
    let kept = if row.kept { "kept".to_owned() } else { format!("missed, {}", amount(row.taken)) };
    format!("{} budget {}: {kept}\n", row.resource, amount(row.budget))
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
