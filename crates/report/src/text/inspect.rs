use super::{Human, bytes, dimensions, percent, table, thousands};
use crate::{InspectReport, LayerRow};

impl Human for InspectReport {
    fn human(&self) -> String {
        let header = ["layer", "operator", "output", "MACs", "weights", "kept", "bytes", "storage", "group"];
        let layers = table(&header, 3, self.layers.iter().map(row).collect());
        let peak = self.ram.iter().max_by_key(|p| p.live_bytes);
        let peak = peak.map_or_else(String::new, |p| format!(" (peak at {})", p.layer));
        let dense = if self.kind.contains("package") { "package" } else { "dense int8 package" };
        format!(
            "{} ({})\ninput   {}\noutput  {}\nprepare {}\n\n{layers}\n{dense} {}, arena {}{peak}, {} MACs, {} weights\n",
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
