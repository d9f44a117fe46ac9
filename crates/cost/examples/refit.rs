//! Fits the coefficients of one core to measured instruction counts and prints the whole cost model:
//!
//! ```sh
//! cargo run -p dtmm-emulate --example kernel_counts m4 > docs/results/kernels_m4.csv
//! cargo run -p dtmm-cost --example refit docs/results/kernels_m4.csv > model.json
//! ```
//!
//! Each table replaces the convolutions and fully connected layers of its core. Coefficients are the non-negative ones of
//! least squares on relative errors; the error stated is the worst layer's.

use std::collections::BTreeMap;
use std::error::Error;

use dtmm_cost::{Basis, Coefficients, CostModel, Kernel, Work};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One measured layer.
struct Sample {
    work: Work,
    instructions: f64,
}

fn main() -> Result<()> {
    let mut model = CostModel::builtin();
    for path in std::env::args().skip(1) {
        refit(&mut model, &std::fs::read_to_string(&path)?).map_err(|e| format!("{path}: {e}"))?;
    }
    println!("{}", serde_json::to_string_pretty(&model)?);
    Ok(())
}

fn refit(model: &mut CostModel, table: &str) -> Result<()> {
    let mut samples: BTreeMap<Kernel, Vec<Sample>> = BTreeMap::new();
    let mut core = None;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [name, layer, group, sparsity, macs, instructions, ..] = cells[..] else {
            return Err(format!("'{line}' has too few cells").into());
        };
        core = Some(name.parse::<dtmm_boards::Core>()?);
        let (group, sparsity): (f64, f64) = (group.parse()?, sparsity.parse()?);
        let macs = macs.parse::<f64>()? * (1.0 - sparsity / 100.0);
        let (kernel, mut work) =
            shape(layer, group > 0.0).ok_or_else(|| format!("layer '{layer}' is unknown"))?;
        (work.macs, work.runs) = (macs, if group > 0.0 { macs / group } else { 0.0 });
        samples.entry(kernel).or_default().push(Sample { work, instructions: instructions.parse()? });
    }
    let costs = core.and_then(|core| model.cores.get_mut(&core)).ok_or("no layer of a known core")?;
    for (kernel, samples) in samples {
        costs.kernels.insert(kernel, fit(&samples));
    }
    Ok(())
}

/// `32x32x16-16 k3`, `depthwise 25x5x64 k3` or `FC 256-64`: kernel, outputs and inputs.
fn shape(layer: &str, sparse: bool) -> Option<(Kernel, Work)> {
    let numbers: Vec<f64> = layer
        .split(|c: char| !c.is_ascii_digit())
        .filter(|d| !d.is_empty())
        .map(|d| d.parse().unwrap_or(0.0))
        .collect();
    let work = |outputs: f64, inputs: f64| Work { outputs, inputs, ..Work::default() };
    match numbers[..] {
        [i, o] if layer.starts_with("FC") => {
            Some((if sparse { Kernel::DenseRuns } else { Kernel::Dense }, work(o, i)))
        }
        [h, w, c, k] if layer.starts_with("depthwise") => {
            Some((Kernel::Depthwise, work(h * w * c, h * w * c * k * k)))
        }
        [h, w, c, o, k] => {
            Some((if sparse { Kernel::ConvRuns } else { Kernel::Conv }, work(h * w * o, h * w * c * k * k)))
        }
        _ => None,
    }
}

/// Instructions of one call whatever the layer's size: the measured layers are too large to tell.
const FIXED: f64 = 1500.0;

/// The best of all choices of coefficients that come out non-negative.
fn fit(samples: &[Sample]) -> Coefficients {
    const COUNT: usize = 4;
    let row = |s: &Sample| {
        [s.work.macs, s.work.runs, s.work.outputs, s.work.inputs]
            .map(|v| v / (s.instructions - FIXED).max(1.0))
    };
    let rows: Vec<[f64; COUNT]> = samples.iter().map(row).collect();
    let mut best = (f64::INFINITY, [0.0; COUNT]);
    for subset in 1u32..1 << COUNT {
        let columns: Vec<usize> = (0..COUNT).filter(|c| subset >> c & 1 == 1).collect();
        // As many unknowns as samples would fit anything.
        if columns.len() * 2 > samples.len() && columns != [0] {
            continue;
        }
        let Some(solved) = least_squares(&rows, &columns) else { continue };
        let loss: f64 = rows.iter().map(|r| (dot(r, &solved) - 1.0).powi(2)).sum();
        if solved.iter().all(|v| *v >= 0.0) && loss < best.0 - 1e-12 {
            best = (loss, solved);
        }
    }
    let round = |v: f64| (v * 1e4).round() / 1e4;
    let [per_mac, per_run, per_output, per_input] = best.1.map(round);
    let worst = rows.iter().map(|r| (dot(r, &best.1) - 1.0).abs()).fold(0.0, f64::max);
    // A kernel seen on one layer is known no better than that.
    let error = if samples.len() < 3 { worst.max(0.2) } else { worst };
    Coefficients {
        fixed: FIXED,
        per_mac,
        per_run,
        per_output,
        per_input,
        error: round(error),
        basis: Basis::Fitted,
    }
}

fn dot(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Coefficients of `columns` for which the rows come closest to 1; `None` when they are not independent.
fn least_squares(rows: &[[f64; 4]], columns: &[usize]) -> Option<[f64; 4]> {
    let n = columns.len();
    let scale: Vec<f64> =
        columns.iter().map(|&c| rows.iter().map(|r| r[c] * r[c]).sum::<f64>().sqrt()).collect();
    if scale.contains(&0.0) {
        return None;
    }
    let cell = |r: &[f64; 4], i: usize| r[columns[i]] / scale[i];
    let mut m: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let products = (0..n).map(|j| rows.iter().map(|r| cell(r, i) * cell(r, j)).sum());
            products.chain([rows.iter().map(|r| cell(r, i)).sum()]).collect()
        })
        .collect();
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()))?;
        m.swap(i, pivot);
        if m[i][i].abs() < 1e-10 {
            return None;
        }
        let own = m[i].clone();
        for (k, other) in m.iter_mut().enumerate().filter(|(k, _)| *k != i) {
            let factor = other[i] / own[i];
            debug_assert!(k < n);
            other.iter_mut().zip(&own).for_each(|(o, v)| *o -= factor * v);
        }
    }
    let mut solved = [0.0; 4];
    for (i, &c) in columns.iter().enumerate() {
        solved[c] = m[i][n] / m[i][i] / scale[i];
    }
    Some(solved)
}
