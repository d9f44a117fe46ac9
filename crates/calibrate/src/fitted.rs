//! From measured layers to numbers.

use std::collections::BTreeMap;

use dtmm_cost::{Basis, Coefficients, Feature, Fit, FitRecord, Kernel, Sample, View, fit as fit_samples};
use dtmm_emulate::Core;

use crate::choice::{Regret, regret};
use crate::measure::MeasuredLayer;

/// A measured and fitted core.
#[derive(Clone, Debug)]
pub struct CoreFit {
    /// The core.
    pub core: Core,
    /// Its kernels.
    pub kernels: BTreeMap<Kernel, KernelFit>,
    /// The held-out layers of all kernels together.
    pub all: FitRecord,
    /// What choosing between dense and sparse weights by the numbers costs at worst.
    pub regret: Regret,
    /// What was measured.
    pub layers: Vec<MeasuredLayer>,
}

/// A fitted kernel.
#[derive(Clone, Debug)]
pub struct KernelFit {
    /// The numbers.
    pub coefficients: Coefficients,
    /// Numbers for the cycles of the M0+, which runs the M0's code.
    pub twin_cycles: BTreeMap<Feature, f64>,
    /// The held-out layer that is predicted worst, in words.
    pub worst: String,
}

/// Which counts a core's kernels have.
fn view(core: Core) -> View {
    match core {
        Core::M0 => View::Small,
        Core::M3 => View::Pairs,
        Core::M4 | Core::M7 => View::Dual,
        Core::M55 => View::Vector,
    }
}

/// Fits every kernel.
pub(crate) fn fit(core: Core, layers: Vec<MeasuredLayer>) -> CoreFit {
    let mut kernels = BTreeMap::new();
    let mut errors = Errors::default();
    for kernel in Kernel::REAL {
        let own: Vec<&MeasuredLayer> = layers.iter().filter(|l| l.kernel == kernel).collect();
        if !own.is_empty() {
            kernels.insert(kernel, fit_kernel(core, &own, &mut errors));
        }
    }
    let record = |fit: &Fit| (fit.median(), fit.max());
    let ((median, max), cycles) = (record(&errors.instructions), errors.cycles.as_ref().map(record));
    let all = FitRecord {
        fitted: errors.instructions.fitted,
        held_out: errors.instructions.errors.len(),
        median,
        max,
        cycles_median: cycles.map(|c| c.0),
        cycles_max: cycles.map(|c| c.1),
    };
    let predicted = |l: &MeasuredLayer| Some(kernels.get(&l.kernel)?.coefficients.instructions(&l.work));
    let regret = regret(&layers, predicted);
    CoreFit { core, kernels, all, regret, layers }
}

/// The errors of all kernels.
#[derive(Default)]
struct Errors {
    instructions: Fit,
    cycles: Option<Fit>,
}

fn fit_kernel(core: Core, layers: &[&MeasuredLayer], errors: &mut Errors) -> KernelFit {
    let sample = |measured: f64, l: &MeasuredLayer| Sample {
        work: l.work.clone(),
        measured: measured.max(1.0),
        held_out: l.held_out,
    };
    let fitted = |value: &dyn Fn(&MeasuredLayer) -> Option<f64>| {
        let samples: Option<Vec<Sample>> = layers.iter().map(|l| Some(sample(value(l)?, l))).collect();
        samples.map(|s| fit_samples(&s, view(core)))
    };
    let instructions = fitted(&|l| Some(l.instructions)).unwrap_or_default();
    let cycles = fitted(&|l| l.cycles.first().copied());
    let twin = fitted(&|l| l.cycles.get(1).copied());
    errors.instructions.fitted += instructions.fitted;
    errors.instructions.errors.extend(&instructions.errors);
    if let Some(cycles) = &cycles {
        errors.cycles.get_or_insert_default().errors.extend(&cycles.errors);
    }
    let record = FitRecord {
        fitted: instructions.fitted,
        held_out: instructions.errors.len(),
        median: digits(instructions.median()),
        max: digits(instructions.max()),
        cycles_median: cycles.as_ref().map(|c| digits(c.median())),
        cycles_max: cycles.as_ref().map(|c| digits(c.max())),
    };
    let held_out = layers.iter().filter(|l| l.held_out).zip(&instructions.errors);
    let worst = held_out.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    KernelFit {
        coefficients: Coefficients {
            instructions: instructions.numbers,
            cycles: cycles.map(|c| c.numbers).unwrap_or_default(),
            error: record.max,
            fit: Some(record),
            basis: Basis::Fitted,
        },
        twin_cycles: twin.map(|c| c.numbers).unwrap_or_default(),
        worst: worst.map_or_else(String::new, |(l, error)| format!("{:+.1} % {}", error * 100.0, l.name)),
    }
}

/// Four digits behind the point are more than a fit knows.
fn digits(v: f64) -> f64 {
    (v * 1e4).round() / 1e4
}
