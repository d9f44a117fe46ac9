//! Runs packages on an emulated core and reports outputs, checksums and stack use of each.
//!
//! The emulator loads a file of cases to a fixed address (see [`cases`]), so packages run in place as they would from
//! flash. What happened goes to the file `report.bin` by semihosting (see [`report`]). Marker instructions around each
//! layer tell the emulator's plugin where to count (see [`mark`]).
#![no_std]
#![no_main]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod mark;
mod memory;
mod profile;
mod report;
mod semihosting;
mod startup;
mod ticks;

use dtmm_format::Package;
use dtmm_runtime::{RunError, Runtime};

use cases::Case;
use profile::Profile;
use report::Report;

/// Exit status when the file of cases is not where the image expects it.
const NO_CASES: u32 = 103;
/// Exit status when the report cannot be written.
const NO_REPORT: u32 = 104;
/// Refusal code of a case whose input has another length than the package's inputs.
const INPUT_LENGTH: u8 = 255;

/// Runs all cases; the exit status is 0 when all were reported.
pub(crate) fn main() -> u32 {
    let Some(cases) = cases::all(memory::cases()) else { return NO_CASES };
    let Some(mut report) = Report::create() else { return NO_REPORT };
    ticks::start();
    let free = memory::free();
    for case in cases {
        memory::paint_stack();
        match run(&case, free, &mut report) {
            Ok(()) => report.end(memory::stack_used()),
            Err(code) => report.refused(code),
        }
    }
    if report.complete() { 0 } else { NO_REPORT }
}

/// Loads and runs one package; layers and outputs go to the report. The error is the stable code of the refusal.
fn run(case: &Case<'_>, free: &mut [i8], report: &mut Report) -> Result<(), u8> {
    let package = Package::check(case.package).map_err(|error| error.code())?;
    let arena = package.arena_bytes();
    memory::paint_guard(free, arena);
    let mut runtime = Runtime::new(package, free).map_err(|error| error.code())?;
    fill(&mut runtime, case.input).ok_or(INPUT_LENGTH)?;
    memory::mark_stack_top();
    let mut profile = Profile::new(report, case.keep_outputs);
    run_layers(&mut runtime, &mut profile).map_err(|error| error.code())?;
    for i in 0..package.outputs().count() {
        report.output(runtime.output(i));
    }
    report.guard(memory::guard_is_intact(free, arena));
    Ok(())
}

/// A frame of its own, so that all of the runtime's stack is counted.
#[inline(never)]
fn run_layers(runtime: &mut Runtime<'_>, profile: &mut Profile<'_>) -> Result<(), RunError> {
    runtime.run_with(profile)
}

/// Copies the concatenated inputs; `None` when their lengths do not add up.
fn fill(runtime: &mut Runtime<'_>, mut input: &[i8]) -> Option<()> {
    for i in 0..runtime.package().inputs().count() {
        let place = runtime.input_mut(i);
        let (values, rest) = input.split_at_checked(place.len())?;
        place.copy_from_slice(values);
        input = rest;
    }
    input.is_empty().then_some(())
}
