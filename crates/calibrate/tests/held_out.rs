//! The numbers that come with the tool predict layers of shapes that were never fitted to.

use dtmm_calibrate::{CalibrateError, Size, calibrate};
use dtmm_cost::CostModel;
use dtmm_emulate::{Core, EmulateError};

/// Not the seed of the numbers that come with the tool, so every shape is another one.
const SEED: u64 = 77;

/// Other shapes than those that the stated errors come from may be a little worse.
const MARGIN: f64 = 0.05;

/// Instructions. The error of a layer below it (a millisecond at 10 MHz) is counted as if it had so many.
const SMALL: f64 = 10_000.0;

fn predicted(core: Core) {
    let fit = match calibrate(core, Size::Sample, SEED, &mut |_, _| true) {
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
    println!("{core}: {} layers, median {median:.4}, max {max:.4} ({})", errors.len(), worst);
    assert!(median <= 0.05, "{core}: median error {median:.4}");
    // The M7 has the M4's numbers.
    let stated = model.cores[&on].fit.or(model.cores[&dtmm_boards::Core::M4].fit).expect("it is fitted").max;
    assert!(max <= stated + MARGIN, "{core}: error {max:.4}: {}", worst);
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
