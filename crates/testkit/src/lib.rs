//! Problems for kernel tests and benches.
//!
//! A [`Problem`] is a package of one layer with an input and the output that the reference kernels give for it. Because
//! it is a package, whatever runs packages runs it: the host, an emulated core, `dtmm bench`; the choice of the kernel
//! is tested with the kernel, and nothing has to be registered for a new one.
//!
//! [`Weighted`] describes convolutions, depthwise convolutions and fully connected layers, [`Plain`] all other
//! operators; [`tests()`] gives a seeded mix of them that covers channel tails, padding, stride, dilation, extreme zero
//! points, saturating multipliers, empty filters and layers without any weight.
#![forbid(unsafe_code)]

mod plain;
mod problem;
mod suite;
mod weighted;

pub use plain::Plain;
pub use problem::Problem;
pub use suite::tests;
pub use weighted::{Form, Scales, Weighted, WeightedOp};

/// The random numbers of all problems: the same on every computer.
pub type Random = rand_chacha::ChaCha8Rng;

/// The random numbers of a seed.
pub fn random(seed: u64) -> Random {
    rand::SeedableRng::seed_from_u64(seed)
}
