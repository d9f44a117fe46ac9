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
    /// A kernel refused a layer. The package check rules it out.
    Layer(u16, KernelError),
}

impl RunError {
    /// A stable number for C callers; never 0.
    pub const fn code(self) -> u8 {
        match self {
            RunError::ArenaTooSmall { .. } => 64,
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
            RunError::Layer(layer, error) => write!(f, "layer {layer}: {error}"),
        }
    }
}

impl core::error::Error for RunError {}
