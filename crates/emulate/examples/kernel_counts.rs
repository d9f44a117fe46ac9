//! Instructions of the kernels for the layers that CMSIS-NN was measured with, dense and with random masks, as CSV:
//! `cargo run -p dtmm-emulate --example kernel_counts m55 > docs/results/kernels_m55.csv`. A second argument keeps the layers
//! whose names contain it: `kernel_counts m4 k1`.

use dtmm_emulate::{Case, Core, Options, run};
use dtmm_testkit::{Form, Problem, Weighted};

const SEED: u64 = 7;
/// Shares of the runs that are pruned, in percent.
const SPARSITIES: [u32; 4] = [0, 50, 80, 90];

/// A layer, and millions of instructions of CMSIS-NN's dense int8 kernel for it on M0, M3, M4 and M55.
struct Row {
    name: &'static str,
    layer: Weighted,
    cmsis: [f64; 4],
    /// Channels of a run.
    groups: &'static [usize],
}

fn rows() -> Vec<Row> {
    let conv = |h, w, c, o, k| Weighted::conv2d([h, w, c], o, [k, k]);
    let row = |name, layer, cmsis, groups| Row { name, layer, cmsis, groups };
    vec![
        row("32x32x3-16 k3", conv(32, 32, 3, 16, 3), [5.19, 2.41, 2.11, 0.599], &[3]),
        row("32x32x16-16 k3", conv(32, 32, 16, 16, 3), [17.8, 7.23, 5.49, 0.915], &[16]),
        row("16x16x32-32 k3", conv(16, 16, 32, 32, 3), [15.8, 6.13, 4.54, 0.597], &[32]),
        row("16x16x64-64 k3", conv(16, 16, 64, 64, 3), [59.8, 22.7, 16.62, 1.94], &[64]),
        row("8x8x64-64 k3", conv(8, 8, 64, 64, 3), [14.9, 5.68, 4.16, 0.485], &[64]),
        row("8x8x128-128 k3", conv(8, 8, 128, 128, 3), [58.1, 21.9, 15.95, 1.77], &[128]),
        row("25x5x64-64 k1", conv(25, 5, 64, 64, 1), [3.87, 1.59, 1.07, 0.203], &[64, 16, 4]),
        row("48x48x8-16 k1", conv(48, 48, 8, 16, 1), [5.22, 2.09, 1.95, 0.642], &[8, 4]),
        row(
            "depthwise 25x5x64 k3",
            Weighted::depthwise([25, 5, 64], [3, 3]),
            [1.60, 0.665, 0.561, 0.167],
            &[],
        ),
        row("FC 256-64", Weighted::fully_connected(256, 64), [0.105, 0.058, 0.034, 0.0086], &[64, 16, 4]),
    ]
}

/// One line of the table.
struct Line {
    name: &'static str,
    group: usize,
    sparsity: u32,
    cmsis: f64,
    problem: Problem,
}

fn lines(core: Core) -> Vec<Line> {
    let column = match core {
        Core::M0 => 0,
        Core::M3 => 1,
        Core::M4 | Core::M7 => 2,
        Core::M55 => 3,
    };
    let mut lines = vec![];
    for row in rows() {
        let mut add = |group, sparsity, layer: Weighted| {
            let problem = layer.problem(&mut dtmm_testkit::random(SEED));
            lines.push(Line { name: row.name, group, sparsity, cmsis: row.cmsis[column], problem });
        };
        add(0, 0, row.layer.clone());
        for &group in row.groups {
            for sparsity in SPARSITIES {
                let kept = 1.0 - f64::from(sparsity) / 100.0;
                add(group, sparsity, row.layer.clone().sparse(Form::Bitmap(group), kept));
            }
        }
    }
    lines
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let core: Core = std::env::args().nth(1).unwrap_or_else(|| "m55".into()).parse()?;
    let part = std::env::args().nth(2).unwrap_or_default();
    let mut lines = lines(core);
    lines.retain(|line| line.name.contains(&part));
    let cases: Vec<_> =
        lines.iter().map(|l| Case { package: &l.problem.package, input: &l.problem.input }).collect();
    let reports = run(core, &cases, &Options::default())?;
    println!(
        "core,layer,group (0 = dense),sparsity %,dense MACs,instructions,CMSIS-NN dense,ratio,stack bytes"
    );
    for (line, report) in lines.iter().zip(&reports) {
        if report.outputs.first() != Some(&line.problem.expected) {
            return Err(format!("{}: not what the reference gives", line.name).into());
        }
        let count: u64 = report.layers.iter().map(|l| l.instructions).sum();
        let cmsis = line.cmsis * 1e6;
        println!(
            "{core},{},{},{},{},{count},{cmsis:.0},{:.3},{}",
            line.name,
            line.group,
            line.sparsity,
            line.problem.dense_macs,
            count as f64 / cmsis,
            report.stack_bytes
        );
    }
    Ok(())
}
