//! From cases to reports.

use std::path::Path;
use std::time::Duration;

use dtmm_format::Package;

use crate::qemu::{self, CASES, COUNTS, End, REPORT, Start};
use crate::{CaseReport, Core, EmulateError, Machine, cases, counts, image, report};

/// A package with its input.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The package, as it would lie in flash.
    pub package: &'a [u8],
    /// The values of all inputs, NHWC int8, one input after another.
    pub input: &'a [i8],
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep every layer's output.
    pub layer_outputs: bool,
    /// Count each instruction of the firmware by itself.
    pub opcodes: bool,
    /// Let one instruction take one nanosecond of the machine's time, so that ticks tell instructions; slower.
    pub virtual_time: bool,
    /// Take the core's largest machine even when a smaller one has room.
    pub largest_machine: bool,
    /// Time for each start of the emulator.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            layer_outputs: false,
            opcodes: false,
            virtual_time: false,
            largest_machine: false,
            limit: Duration::from_secs(600),
        }
    }
}

/// Runs each case once on an emulated core. The smallest machine with room for all of them is taken, and the emulator is
/// started as often as the machine's memory asks for.
///
/// # Errors
/// What is missing on this computer, a case without room, or a firmware that crashes. A package that the device refuses
/// is no error: its report says so.
pub fn run(core: Core, cases: &[Case<'_>], options: &Options) -> Result<Vec<CaseReport>, EmulateError> {
    let machine = choose(core, cases, options.largest_machine)?;
    let plugin = image::plugin(qemu::plugin_api()?)?;
    let image = image::firmware(core, machine)?;
    let start = Start {
        machine,
        image: &image,
        plugin: &plugin,
        opcodes: options.opcodes,
        virtual_time: options.virtual_time,
        limit: options.limit,
    };
    let mut reports = Vec::with_capacity(cases.len());
    while reports.len() < cases.len() {
        let rest = &cases[reports.len()..];
        let batch = &rest[..batch(machine, rest)];
        let finished = run_batch(&start, batch, options, reports.len())?;
        reports.extend(finished);
    }
    Ok(reports)
}

/// Whether one of the core's machines has room for the case.
///
/// # Errors
/// [`EmulateError::Room`] says what the largest machine lacks.
pub fn fits(core: Core, case: &Case<'_>) -> Result<(), EmulateError> {
    choose(core, std::slice::from_ref(case), false).map(drop)
}

fn choose(core: Core, cases: &[Case<'_>], largest_only: bool) -> Result<&'static Machine, EmulateError> {
    let (largest, smaller) = core.machines().split_last().ok_or(EmulateError::Report("no machine"))?;
    let fits = |machine: &Machine| (0..).zip(cases).try_for_each(|(i, case)| room(machine, i, case));
    match smaller.iter().find(|m| !largest_only && fits(m).is_ok()) {
        Some(machine) => Ok(machine),
        None => fits(largest).map(|()| largest),
    }
}

fn room(machine: &Machine, index: usize, case: &Case<'_>) -> Result<(), EmulateError> {
    // Of a package that is no package, the device will say so.
    let arena = Package::check(case.package).map_or(0, |p| p.arena_bytes());
    let parts = [
        ("package and input", cases::file_len(&[*case]), machine.cases_bytes),
        ("arena", arena, machine.arena_bytes),
    ];
    match parts.into_iter().find(|(_, needed, available)| needed > available) {
        Some((what, needed, available)) => {
            Err(EmulateError::Room { case: index, machine: machine.qemu, what, needed, available })
        }
        None => Ok(()),
    }
}

/// How many of the cases one start of the emulator has room for; at least one.
fn batch(machine: &Machine, cases: &[Case<'_>]) -> usize {
    let mut used = dtmm_format::ALIGNMENT;
    let fits = |case: &&Case<'_>| {
        used += cases::cost(case);
        used <= machine.cases_bytes
    };
    cases.iter().take_while(fits).count().max(1)
}

fn run_batch(
    start: &Start<'_>,
    cases: &[Case<'_>],
    options: &Options,
    before: usize,
) -> Result<Vec<CaseReport>, EmulateError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| EmulateError::File { path, source }
    };
    let folder = tempfile::tempdir().map_err(io(&std::env::temp_dir()))?;
    let cases_file = folder.path().join(CASES);
    let file = cases::file(cases, options.layer_outputs);
    std::fs::write(&cases_file, file).map_err(io(&cases_file))?;
    let end = qemu::start(start, folder.path())?;
    let report_file = folder.path().join(REPORT);
    let reports = report::parse(&std::fs::read(&report_file).unwrap_or_default())?;
    finished(&end, &reports, before, options)?;
    if reports.len() != cases.len() {
        return Err(EmulateError::Report("cases are missing"));
    }
    let counts_file = folder.path().join(COUNTS);
    let counted = std::fs::read_to_string(&counts_file).map_err(io(&counts_file))?;
    with_counts(reports.into_iter().map(|(report, _)| report).collect(), counts::regions(&counted)?)
}

/// An error when the firmware did not come to its end.
fn finished(
    end: &End,
    reports: &[(CaseReport, bool)],
    before: usize,
    options: &Options,
) -> Result<(), EmulateError> {
    let done = reports.iter().take_while(|(_, complete)| *complete).count();
    let (case, layers) = (before + done, reports.get(done).map_or(0, |(r, _)| r.layers.len()));
    let reason = match end {
        End::Status(0) => return Ok(()),
        End::Status(101) => "it panicked",
        End::Status(qemu::FAULT) => "a fault: an access outside the memory or a stack too deep",
        End::Status(103) => "the cases are not where it expects them",
        End::Status(_) => "it could not write its report",
        End::TimeOver => {
            return Err(EmulateError::Time { seconds: options.limit.as_secs(), case, layers });
        }
    };
    Err(EmulateError::Crash { case, layers, reason })
}

/// The plugin counts one region for each layer that ran, in order.
fn with_counts(
    mut reports: Vec<CaseReport>,
    regions: Vec<counts::Region>,
) -> Result<Vec<CaseReport>, EmulateError> {
    let layers = reports.iter().map(|r| r.layers.len()).sum::<usize>();
    if layers != regions.len() {
        return Err(EmulateError::Report("layers and counts differ in number"));
    }
    let runs = reports.iter_mut().flat_map(|r| &mut r.layers);
    for (layer, (instructions, opcodes)) in runs.zip(regions) {
        (layer.instructions, layer.opcodes) = (instructions, opcodes);
    }
    Ok(reports)
}
