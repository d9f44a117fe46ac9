//! Every kernel gives the reference's bytes on every core: random and extreme layers, each a package of its own.

mod common;

use dtmm_emulate::{Core, Options};
use dtmm_testkit::Problem;

const SEED: u64 = 20_240_501;
const WEIGHTED: usize = 160;

fn solves(core: Core) {
    let problems = dtmm_testkit::tests(SEED, WEIGHTED);
    let cases: Vec<_> = problems.iter().map(|p| common::case(&p.package, &p.input)).collect();
    let Some(reports) = common::run(core, &cases, &Options::default()) else { return };
    let wrong: Vec<String> = problems
        .iter()
        .zip(&reports)
        .filter(|(p, r)| r.refused.is_some() || r.outputs.first() != Some(&p.expected) || !r.arena_kept)
        .map(|(p, r)| difference(p, r))
        .collect();
    assert!(
        wrong.is_empty(),
        "{core}: {} of {} problems:\n{}",
        wrong.len(),
        problems.len(),
        wrong.join("\n")
    );
    let runs = problems.iter().zip(&reports);
    let (problem, report) = runs.max_by_key(|(_, r)| r.stack_bytes).expect("there are problems");
    println!("{core}: {} problems, deepest stack {} bytes", problems.len(), report.stack_bytes);
    assert!(
        report.stack_bytes <= common::STACK,
        "{core}: {} bytes of stack: {}",
        report.stack_bytes,
        problem.name
    );
}

fn difference(problem: &Problem, report: &dtmm_emulate::CaseReport) -> String {
    if let Some(code) = report.refused {
        return format!("refused with code {code}: {}", problem.name);
    }
    if !report.arena_kept {
        return format!("wrote behind the arena: {}", problem.name);
    }
    let found = report.outputs.first().cloned().unwrap_or_default();
    let pairs = || problem.expected.iter().zip(&found);
    let (wrong, first) =
        (pairs().filter(|(a, b)| a != b).count(), pairs().position(|(a, b)| a != b).unwrap_or(0));
    format!(
        "{wrong} of {} wrong, first at {first}: {:?} instead of {}: {}",
        problem.expected.len(),
        found.get(first),
        problem.expected[first],
        problem.name
    )
}

#[test]
fn kernels_on_m0() {
    solves(Core::M0);
}

#[test]
fn kernels_on_m3() {
    solves(Core::M3);
}

#[test]
fn kernels_on_m4() {
    solves(Core::M4);
}

#[test]
fn kernels_on_m7() {
    solves(Core::M7);
}

#[test]
fn kernels_on_m55() {
    solves(Core::M55);
}
