//! The numbers that come with the tool predict layers of shapes that were never fitted to.

use dtmm_calibrate::{CalibrateError, Kept, Size, calibrate, regret};
use dtmm_cost::CostModel;
use dtmm_emulate::{Core, EmulateError};

/// Not the seed of the numbers that come with the tool, so every shape is another one.
const SEED: u64 = 77;

/// The most that a layer's instructions, and those of the median layer, may be off. The M7 has the M4's numbers.
const MAX: f64 = 0.10;
const MEDIAN: f64 = 0.01;

/// The most by which the form that the numbers choose may be slower than the other one.
const REGRET: f64 = 0.05;

/// Instructions. The error of a layer below it (a fifth of a millisecond at 10 MHz) is counted as if it had so many.
const SMALL: f64 = 2_000.0;

fn predicted(core: Core) {
    let fit = match calibrate(core, Size::Sample, SEED, &mut Kept::nothing(), &mut |_, _| true) {
        Ok(fit) => fit,
        Err(CalibrateError::Emulate {
            source:
                error @ (EmulateError::Qemu { .. } | EmulateError::Target { .. } | EmulateError::Plugins { .. }),
            ..
        }) => {
            println!("SKIPPED: {core}: {error}");
            return;
        }
        Err(error) => panic!("{core}: {error}"),
    };
    let model = CostModel::builtin();
    let on = core.name().parse().expect("emulated cores are cores");
    let mut errors: Vec<(f64, &str)> = vec![];
    for l in &fit.layers {
        let predicted = model.instructions(on, l.kernel, &l.work).expect("every kernel is known");
        errors.push(((predicted - l.instructions).abs() / l.instructions.max(SMALL), &l.name));
    }
    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ((median, _), (max, worst)) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    let regret = regret(&fit.layers, |l| model.instructions(on, l.kernel, &l.work).ok());
    println!("{core}: {} layers, median {median:.4}, max {max:.4} ({worst})", errors.len());
    println!("{core}: {} choices, {} wrong, worst {:.4}", regret.choices, regret.wrong, regret.max());
    assert!(median <= MEDIAN, "{core}: median error {median:.4}");
    assert!(max <= MAX, "{core}: error {max:.4}: {worst}");
    assert!(regret.max() <= REGRET, "{core}: {:?}", regret.worst);
}

#[test]
fn layers_on_m0() {
    predicted(Core::M0);
}

#[test]
fn layers_on_m3() {
    predicted(Core::M3);
}

#[test]
fn layers_on_m4() {
    predicted(Core::M4);
}

#[test]
fn layers_on_m7() {
    predicted(Core::M7);
}

#[test]
fn layers_on_m55() {
    predicted(Core::M55);
}
