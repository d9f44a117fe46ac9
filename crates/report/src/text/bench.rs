use super::{Human, bytes, percent, table, thousands};
use crate::{BenchLayer, BenchReport, CoreBench, CoreVerify, VerifyReport};

impl Human for BenchReport {
    fn human(&self) -> String {
        let sizes = format!("package {}, arena {}", bytes(self.package_bytes), bytes(self.arena_bytes));
        let cores: String = self.cores.iter().map(core).collect();
        let all = if self.cores.len() > 1 { summary(&self.cores) } else { String::new() };
        format!("{} ({sizes}), input {}\n{cores}{all}", self.model, self.input)
    }
}

fn core(c: &CoreBench) -> String {
    let header =
        ["layer", "operator", "storage", "instructions", "share", "MACs", "kept", "instr/MAC", "est. cycles"];
    let layers = table(&header, 3, c.layers.iter().map(layer).collect());
    let cycles = c.cycles.map_or_else(String::new, |n| format!(", {} estimated cycles", thousands(n)));
    let time = match (c.milliseconds, &c.board, c.clock_hz) {
        (Some(ms), Some(board), Some(hz)) => {
            format!(", {ms:.2} ms at {} MHz ({board})", f64::from(hz) / 1e6)
        }
        _ => String::new(),
    };
    let total = format!("{} instructions{cycles}{time}", thousands(c.instructions));
    format!("\n{}\n{layers}{total}, stack {}\n{}\n", c.core, bytes(c.stack_bytes), c.cycle_note)
}

fn layer(l: &BenchLayer) -> Vec<String> {
    let dash = || "-".to_owned();
    let kept = |n: u64| if l.dense_macs == 0 { dash() } else { percent(n as f64 / l.dense_macs as f64) };
    vec![
        l.name.clone(),
        l.op.clone(),
        l.storage.clone(),
        thousands(l.instructions),
        percent(l.share),
        if l.dense_macs == 0 { dash() } else { thousands(l.macs) },
        kept(l.macs),
        l.instructions_per_mac().map_or_else(dash, |n| format!("{n:.2}")),
        l.cycles.map_or_else(dash, thousands),
    ]
}

fn summary(cores: &[CoreBench]) -> String {
    let row = |c: &CoreBench| {
        let dash = || "-".to_owned();
        vec![
            c.core.clone(),
            thousands(c.instructions),
            c.cycles.map_or_else(dash, thousands),
            c.milliseconds.map_or_else(dash, |ms| format!("{ms:.2}")),
            c.board.clone().unwrap_or_else(dash),
            thousands(c.stack_bytes as u64),
        ]
    };
    let header = ["core", "instructions", "est. cycles", "est. ms", "at the clock of", "stack"];
    format!("\n{}", table(&header, 1, cores.iter().map(row).collect()))
}

impl Human for VerifyReport {
    fn human(&self) -> String {
        let cores: String = self.cores.iter().map(verified).collect();
        format!("{}, input {}\n{cores}", self.model, self.input)
    }
}

fn verified(c: &CoreVerify) -> String {
    let Some(d) = &c.difference else {
        return format!("{:<4} {} layers give the host's bytes\n", c.core, c.layers);
    };
    let [h, w, channel] = d.at;
    format!(
        "{:<4} DIFFERS first in layer {} '{}' ({}): {} of {} values; the first at row {h}, column {w}, channel {channel} is {} on the device and {} on the host; {} layers before it are equal\n",
        c.core, d.layer, d.name, d.op, d.wrong, d.values, d.device, d.host, c.equal_layers
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Difference;

    #[test]
    fn bench_tables() {
        let layer = BenchLayer {
            name: "conv1".into(),
            op: "Conv2d".into(),
            storage: "bitmap".into(),
            instructions: 1_234_567,
            share: 1.0,
            macs: 500_000,
            dense_macs: 1_000_000,
            cycles: Some(2_000_000),
            checksum: 7,
        };
        let core = CoreBench {
            core: "m4".into(),
            instructions: 1_234_567,
            cycles: Some(2_000_000),
            board: Some("nucleo-f411re".into()),
            clock_hz: Some(100_000_000),
            milliseconds: Some(20.0),
            cycle_note: "estimated".into(),
            stack_bytes: 700,
            output_checksum: 7,
            layers: vec![layer],
        };
        let without = CoreBench { core: "m7".into(), cycles: None, milliseconds: None, ..core.clone() };
        let report = BenchReport {
            model: "m.dtmm".into(),
            package_bytes: 9000,
            arena_bytes: 3000,
            input: "x.npy".into(),
            cores: vec![core, without],
        };
        insta::assert_snapshot!(report.human(), @r"
        m.dtmm (package 9,000 B, arena 3,000 B), input x.npy

        m4
        ────────────────────────────────────────────────────────────────────────────────────────────────────
         layer   operator   storage   instructions      share      MACs      kept   instr/MAC   est. cycles
        ════════════════════════════════════════════════════════════════════════════════════════════════════
         conv1   Conv2d     bitmap       1,234,567   100.00 %   500,000   50.00 %        2.47     2,000,000
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        1,234,567 instructions, 2,000,000 estimated cycles, 20.00 ms at 100 MHz (nucleo-f411re), stack 700 B
        estimated

        m7
        ────────────────────────────────────────────────────────────────────────────────────────────────────
         layer   operator   storage   instructions      share      MACs      kept   instr/MAC   est. cycles
        ════════════════════════════════════════════════════════════════════════════════════════════════════
         conv1   Conv2d     bitmap       1,234,567   100.00 %   500,000   50.00 %        2.47     2,000,000
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        1,234,567 instructions, stack 700 B
        estimated

        ───────────────────────────────────────────────────────────────────────
         core   instructions   est. cycles   est. ms   at the clock of   stack
        ═══════════════════════════════════════════════════════════════════════
         m4        1,234,567     2,000,000     20.00     nucleo-f411re     700
        ───────────────────────────────────────────────────────────────────────
         m7        1,234,567             -         -     nucleo-f411re     700
        ───────────────────────────────────────────────────────────────────────
        ");
    }

    #[test]
    fn differences_name_the_place() {
        let difference = Difference {
            layer: 3,
            name: "conv4".into(),
            op: "Conv2d".into(),
            wrong: 2,
            values: 64,
            at: [1, 0, 5],
            device: -4,
            host: -5,
        };
        let core = |difference| CoreVerify { core: "m55".into(), equal_layers: 3, layers: 9, difference };
        let report = |d| VerifyReport { model: "m".into(), input: "x".into(), cores: vec![core(d)] };
        insta::assert_snapshot!(report(Some(difference)).human(), @r"
        m, input x
        m55  DIFFERS first in layer 3 'conv4' (Conv2d): 2 of 64 values; the first at row 1, column 0, channel 5 is -4 on the device and -5 on the host; 3 layers before it are equal
        ");
        insta::assert_snapshot!(report(None).human(), @r"
        m, input x
        m55  9 layers give the host's bytes
        ");
    }
}
