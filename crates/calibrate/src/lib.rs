//! Fits the cost model's numbers to layers that run on emulated cores.
//!
//! [`calibrate`] draws shapes of every operator, each with dense weights and with masks of several sparsities and run
//! lengths, runs them as packages of one layer, and fits each kernel's numbers to what the emulator counted. The shapes
//! of a share of the layers are held out: what the numbers say of those is the error that the model states.
//! [`store`] puts the numbers into a model.
#![forbid(unsafe_code)]

mod choice;
mod fitted;
mod grid;
mod kept;
mod measure;
mod store;

pub use choice::{Choice, Regret, regret};
pub use fitted::{CoreFit, KernelFit};
pub use grid::Size;
pub use kept::Kept;
pub use measure::{CalibrateError, MeasuredLayer};
pub use store::store;

use dtmm_emulate::Core;

/// Measures and fits one core; what `kept` knows is not measured again. `progress` is told how many of how many layers are done, and ends the work by
/// returning false.
///
/// # Errors
/// What is missing to emulate, a kernel with a wrong result, an end that was asked for.
pub fn calibrate(
    core: Core,
    size: Size,
    seed: u64,
    kept: &mut Kept,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<CoreFit, CalibrateError> {
    let layers = measure::measure(core, grid::layers(size, seed), seed, kept, progress)?;
    Ok(fitted::fit(core, layers))
}
