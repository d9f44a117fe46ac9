//! The table of steps, cheapest first.

mod clippy;
mod edges;
mod emulated;
mod format;
mod fuzz;
mod licences;
mod miri;
mod panics;
mod rustdoc;
mod spdx;
mod tests;

use crate::step::Step;

/// The steps of `cargo xtask test`.
pub fn test() -> Vec<Step> {
    vec![
        Step { name: "edges", about: "crates depend on each other only as allowed", run: edges::run },
        Step { name: "licences", about: "all dependencies have permissive licences", run: licences::run },
        Step {
            name: "tests",
            about: "unit and integration tests of all crates but the command",
            run: tests::libraries,
        },
        Step { name: "doc-tests", about: "examples in the documentation", run: tests::docs },
        Step { name: "emulated", about: "kernels and models on emulated cores", run: emulated::run },
        Step { name: "cli", about: "the command, end to end", run: tests::cli },
        Step {
            name: "panics",
            about: "no panicking code in the device crates' release objects",
            run: panics::run,
        },
        Step { name: "miri", about: "unit tests of the device crates under Miri", run: miri::run },
        Step { name: "fuzz", about: "each fuzz target for a bounded time", run: fuzz::run },
    ]
}

/// The steps of `cargo xtask ci`.
pub fn ci() -> Vec<Step> {
    let mut steps = vec![
        Step { name: "format", about: "rustfmt", run: format::run },
        Step { name: "clippy", about: "clippy without warnings", run: clippy::run },
        Step { name: "rustdoc", about: "documentation without warnings", run: rustdoc::run },
    ];
    steps.extend(test());
    steps
}
