use super::{Human, bytes, dimensions, percent, table, thousands};
use crate::{Estimate, InspectReport, LayerRow};

impl Human for InspectReport {
    fn human(&self) -> String {
        let header = ["layer", "operator", "output", "MACs", "weights", "kept", "bytes", "storage", "group"];
        let layers = table(&header, 3, self.layers.iter().map(row).collect());
        let times = self.estimate.as_ref().map_or_else(String::new, |e| times(e, &self.layers));
        let peak = self.ram.iter().max_by_key(|p| p.live_bytes);
        let peak = peak.map_or_else(String::new, |p| format!(" (peak at {})", p.layer));
        let dense = if self.kind.contains("package") { "package" } else { "dense int8 package" };
        format!(
            "{} ({})\ninput   {}\noutput  {}\nprepare {}\n\n{layers}\n{dense} {}, arena {}{peak}, {} MACs, {} weights\n{times}",
            self.model,
            self.kind,
            self.inputs.join("; "),
            self.outputs.join("; "),
            self.preprocessing,
            bytes(self.package_bytes),
            bytes(self.arena_bytes),
            thousands(self.macs),
            thousands(self.weights as u64),
        )
    }
}

/// The layers' times on a board.
fn times(e: &Estimate, layers: &[LayerRow]) -> String {
    let header = ["layer", "operator", "est. instructions", "est. cycles", "est. ms", "share"];
    let count = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |n| thousands(n.round() as u64));
    let time = |l: &LayerRow| {
        let ms = l.cycles.map(|c| c / f64::from(e.clock_hz) * 1e3);
        vec![
            l.name.clone(),
            l.op.clone(),
            count(l.instructions),
            count(l.cycles),
            ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.3}")),
            l.cycles.map_or_else(|| "-".to_owned(), |c| percent(c / e.cycles.max(1.0))),
        ]
    };
    let rows = layers.iter().map(time).collect();
    format!(
        "\n{}{}: {} instructions, {} cycles, {:.2} ms at {} MHz, all estimated\n{}\n",
        table(&header, 2, rows),
        e.board,
        count(Some(e.instructions)),
        count(Some(e.cycles)),
        e.seconds * 1e3,
        f64::from(e.clock_hz) / 1e6,
        e.note
    )
}

fn row(l: &LayerRow) -> Vec<String> {
    let weights = if l.dense_weights == 0 { "-".into() } else { thousands(l.dense_weights as u64) };
    let kept = if l.dense_weights == 0 { "-".into() } else { percent(1.0 - l.sparsity()) };
    let macs = match thousands(l.dense_macs) {
        dense if l.macs == l.dense_macs => dense,
        dense => format!("{} of {dense}", thousands(l.macs)),
    };
    vec![
        l.name.clone(),
        l.op.clone(),
        dimensions(&l.output_shape),
        macs,
        weights,
        kept,
        thousands(l.bytes as u64),
        l.storage.clone(),
        l.group.map_or_else(|| "-".into(), |g| g.to_string()),
    ]
}
