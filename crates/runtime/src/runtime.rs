//! The runtime: a checked package and an arena.

use dtmm_format::Package;
use dtmm_kernels::needs;

use crate::hook::{Hook, NoHook};
use crate::{RunError, memory, run};

/// A package ready to run in the caller's arena.
#[derive(Debug)]
pub struct Runtime<'a> {
    package: Package<'a>,
    arena: &'a mut [i8],
}

impl<'a> Runtime<'a> {
    /// Binds a package to an arena of at least [`Package::arena_bytes`]; a longer one is cut. On Cortex-M both lie at a
    /// multiple of [`needs::ALIGNMENT`].
    ///
    /// # Errors
    /// [`RunError::ArenaTooSmall`], [`RunError::ArenaAlignment`], [`RunError::PackageAlignment`], and [`RunError::Scratch`]
    /// for a layer that was planned with less scratch memory than its kernel needs.
    pub fn new(package: Package<'a>, arena: &'a mut [i8]) -> Result<Self, RunError> {
        let (needed, given) = (package.arena_bytes(), arena.len());
        let arena = arena.get_mut(..needed).ok_or(RunError::ArenaTooSmall { needed, given })?;
        if !arena.as_ptr().addr().is_multiple_of(needs::ALIGNMENT) {
            return Err(RunError::ArenaAlignment);
        }
        if !package.as_bytes().as_ptr().addr().is_multiple_of(needs::ALIGNMENT) {
            return Err(RunError::PackageAlignment);
        }
        for i in 0..package.header().layer_count {
            run::has_scratch(&package, i, arena).then_some(()).ok_or(RunError::Scratch(i))?;
        }
        Ok(Runtime { package, arena })
    }

    /// The package.
    pub const fn package(&self) -> &Package<'a> {
        &self.package
    }

    /// The elements of model input `i` (NHWC int8) to fill before each run; empty when there is no such input.
    pub fn input_mut(&mut self, i: usize) -> &mut [i8] {
        let place = memory::place(&self.package, self.package.input(i));
        self.arena.get_mut(place).unwrap_or_default()
    }

    /// The elements of model output `i` (NHWC int8) of the last run; empty when there is no such output.
    pub fn output(&self, i: usize) -> &[i8] {
        let place = memory::place(&self.package, self.package.output(i));
        self.arena.get(place).unwrap_or_default()
    }

    /// Runs all layers.
    ///
    /// # Errors
    /// [`RunError::Layer`] when a kernel refuses a layer, which the checks at load rule out.
    pub fn run(&mut self) -> Result<(), RunError> {
        self.run_with(&mut NoHook)
    }

    /// Runs all layers and calls `hook` around each.
    ///
    /// # Errors
    /// As [`Runtime::run`].
    pub fn run_with(&mut self, hook: &mut impl Hook) -> Result<(), RunError> {
        for i in 0..self.package.header().layer_count {
            hook.before(i);
            run::layer(&self.package, i, self.arena).map_err(|error| RunError::Layer(i, error))?;
            let output = memory::place(&self.package, self.package.layer_output(i));
            hook.after(i, self.arena.get(output).unwrap_or_default());
        }
        Ok(())
    }
}
