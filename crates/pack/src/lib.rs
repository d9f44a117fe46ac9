//! From an int8 graph to package bytes: memory plan, storage choice, operator parameters; and the host's runner.
//!
//! [`pack`] writes a package and reads it back through [`dtmm_format`]; [`plan`] tells the arena and who lives when;
//! [`SizeModel`] predicts the package's bytes for given masks without building it; [`HostModel`] runs a package.
#![forbid(unsafe_code)]

mod convert;
mod error;
mod host;
mod lower;
mod pack;
mod place;
mod plan;
mod program;
mod size;
mod storage;

pub use dtmm_runtime::{Hook, NoHook};
pub use error::PackError;
pub use host::{HostModel, PackedLayer, PortDescription, Session};
pub use pack::{LayerRow, PackResult, check, pack, pack_fast};
pub use place::{ARENA_ALIGNMENT, Buffer, Placement, live_bytes, place};
pub use plan::{LayerMemory, MemoryPlan, TensorPlace, plan};
pub use size::{LayerSize, SizeBreakdown, SizeModel, package_size};
pub use storage::{StorageChoice, StorageForm};
