//! What all emulated tests share.
#![allow(dead_code, reason = "each test file uses its part")]

use dtmm_emulate::{Case, CaseReport, Core, EmulateError, Options};

/// Bytes of stack that the runtime may use, its own frame and the measuring hook's included.
pub const STACK: usize = 1024;

/// A case.
pub fn case<'a>(package: &'a [u8], input: &'a [i8]) -> Case<'a> {
    Case { package, input }
}

/// The reports; `None` where emulator or target is missing, which is said loudly.
pub fn run(core: Core, cases: &[Case<'_>], options: &Options) -> Option<Vec<CaseReport>> {
    match dtmm_emulate::run(core, cases, options) {
        Ok(reports) => Some(reports),
        Err(
            error @ (EmulateError::Qemu { .. } | EmulateError::Target { .. } | EmulateError::Plugins { .. }),
        ) => {
            println!("SKIPPED: {core}: {error}");
            None
        }
        Err(error) => panic!("{core}: {error}"),
    }
}
