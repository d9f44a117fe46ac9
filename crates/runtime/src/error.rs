//! Why a runtime cannot be made or a layer cannot run.

use core::fmt;

use dtmm_kernels::KernelError;
use dtmm_kernels::needs::ALIGNMENT;

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
    /// The arena does not start at a multiple of [`dtmm_kernels::needs::ALIGNMENT`].
    ArenaAlignment,
    /// The package does not start there.
    PackageAlignment,
    /// A layer was planned with less scratch memory than this core's kernel needs.
    Scratch(u16),
    /// A kernel refused a layer. The checks at load rule it out.
    Layer(u16, KernelError),
}

impl RunError {
    /// A stable number for C callers; never 0.
    pub const fn code(self) -> u8 {
        match self {
            RunError::ArenaTooSmall { .. } => 64,
            RunError::Layer(..) => 66,
            RunError::Scratch(_) => 67,
            RunError::PackageAlignment => 97,
            RunError::ArenaAlignment => 98,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::ArenaTooSmall { needed, given } => {
                write!(f, "the arena has {given} bytes, but the package needs {needed}")
            }
            RunError::ArenaAlignment => write!(f, "the arena does not start at a multiple of {ALIGNMENT}"),
            RunError::PackageAlignment => {
                write!(f, "the package does not start at a multiple of {ALIGNMENT}")
            }
            RunError::Scratch(layer) => {
                write!(f, "layer {layer} was planned with too little scratch memory; pack the model again")
            }
            RunError::Layer(layer, error) => write!(f, "layer {layer}: {error}"),
        }
    }
}

impl core::error::Error for RunError {}
