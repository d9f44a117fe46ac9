//! The runtime: a checked package and an arena.

use dtmm_format::Package;

use crate::hook::{Hook, NoHook};
use crate::{RunError, memory, run};

/// A package ready to run in the caller's arena.
#[derive(Debug)]
pub struct Runtime<'a> {
    package: Package<'a>,
    arena: &'a mut [i8],
}

impl<'a> Runtime<'a> {
    /// Binds a package to an arena of at least [`Package::arena_bytes`]; a longer one is cut.
    ///
    /// A layer that was planned with less scratch memory than its fastest kernel needs runs the reference kernel, with
    /// the same result.
    ///
    /// # Errors
    /// [`RunError::ArenaTooSmall`], and [`RunError::Operator`] for a package with an operator that this build leaves out.
    pub fn new(package: Package<'a>, arena: &'a mut [i8]) -> Result<Self, RunError> {
        let (needed, given) = (package.arena_bytes(), arena.len());
        let arena = arena.get_mut(..needed).ok_or(RunError::ArenaTooSmall { needed, given })?;
        for (i, layer) in (0..).zip(package.layers()) {
            run::has(layer.params.opcode()).then_some(()).ok_or(RunError::Operator(i))?;
        }
        Ok(Runtime { package, arena })
    }

    /// The package.
    pub const fn package(&self) -> &Package<'a> {
        &self.package
    }

    /// The elements of model input `i` (NHWC int8) to fill before each run; empty when there is no such input.
    pub fn input_mut(&mut self, i: usize) -> &mut [i8] {
        let tensor = memory::tensor(&self.package, self.package.inputs().nth(i));
        let range = tensor.and_then(|t| t.arena_range());
        range.and_then(|range| self.arena.get_mut(range)).unwrap_or_default()
    }

    /// The elements of model output `i` (NHWC int8) of the last run; empty when there is no such output.
    pub fn output(&self, i: usize) -> &[i8] {
        let tensor = memory::tensor(&self.package, self.package.outputs().nth(i));
        tensor.and_then(|t| memory::whole(self.arena, &t)).unwrap_or_default()
    }

    /// Runs all layers.
    ///
    /// # Errors
    /// [`RunError::Layer`] when a kernel refuses a layer, which the package check rules out.
    pub fn run(&mut self) -> Result<(), RunError> {
        self.run_with(&mut NoHook)
    }

    /// Runs all layers and calls `hook` around each.
    ///
    /// # Errors
    /// As [`Runtime::run`].
    pub fn run_with(&mut self, hook: &mut impl Hook) -> Result<(), RunError> {
        (0..self.package.header().layer_count).try_for_each(|i| self.step(i, hook))
    }

    /// Runs one layer. The package and the layer are borrowed where they lie: copies of them would double the stack.
    #[inline(never)]
    fn step(&mut self, i: u16, hook: &mut impl Hook) -> Result<(), RunError> {
        let Some(layer) = self.package.layer(i) else { return Ok(()) };
        hook.before(i, &layer);
        run::layer(&self.package, &layer, self.arena).map_err(|error| RunError::Layer(i, error))?;
        let output = memory::tensor(&self.package, Some(layer.output));
        let output = output.and_then(|t| memory::whole(self.arena, &t)).unwrap_or_default();
        hook.after(i, &layer, output);
        Ok(())
    }
}
