//! Runs packages on emulated Cortex-M cores: outputs, checksums, stack use, and exact instruction counts of each layer.
//!
//! [`run`] builds the firmware of `firmware/` for the core (cargo keeps what is built), starts QEMU with a plugin that
//! counts, and gives one [`CaseReport`] for each case. Many cases share one start of the emulator.
//!
//! ```no_run
//! use dtmm_emulate::{Case, Core, Options, run};
//! # fn f(package: &[u8], input: &[i8]) -> Result<(), dtmm_emulate::EmulateError> {
//! let reports = run(Core::M4, &[Case { package, input }], &Options::default())?;
//! for layer in &reports[0].layers {
//!     println!("{} instructions", layer.instructions);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod cases;
mod counts;
mod cycles;
mod error;
mod image;
mod machine;
mod qemu;
mod report;
mod run;
mod sources;

pub use counts::OpcodeCount;
pub use cycles::CycleModel;
pub use error::EmulateError;
pub use image::{image, static_library};
pub use machine::{Core, Machine, UnknownCore};
pub use qemu::run_image;
pub use report::{CaseReport, LayerRun, checksum};
pub use run::{Case, Options, fits, run};
pub use sources::root;
