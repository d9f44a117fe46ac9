//! Why a runtime cannot be made or a layer cannot run.

use core::fmt;

use dtmm_kernels::KernelError;

/// Why a runtime cannot be made or a layer cannot run. The numbers of [`RunError::code`] are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The arena is shorter than the package asks for.
    ArenaTooSmall {
        /// Bytes that the package asks for.
        needed: usize,
        /// Bytes that the caller gave.
        given: usize,
    },
    /// The operator of a layer is not part of this build; see the crate's features.
    Operator(u16),
    /// A kernel refused a layer. The package check rules it out.
    Layer(u16, KernelError),
}

impl RunError {
    /// A stable number for C callers; never 0.
    pub const fn code(self) -> u8 {
        match self {
            RunError::ArenaTooSmall { .. } => 64,
            RunError::Operator(_) => 65,
            RunError::Layer(..) => 66,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::ArenaTooSmall { needed, given } => {
                write!(f, "the arena has {given} bytes, but the package needs {needed}")
            }
            RunError::Operator(layer) => {
                write!(f, "layer {layer} has an operator that this build leaves out")
            }
            RunError::Layer(layer, error) => write!(f, "layer {layer}: {error}"),
        }
    }
}

impl core::error::Error for RunError {}
