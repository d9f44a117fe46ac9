//! What to prune: units, importance, and the scheduler that turns budgets into a [`PrunePlan`].
//!
//! The chain: [`Importance`] scores every weight; [`schedule`] chooses masks under a byte budget with the exact size
//! of the package as its caller measures it; [`apply`] zeroes the pruned weights and removes dead channels, which
//! [`ChannelMap`] knows how to tie together.
#![forbid(unsafe_code)]

mod anneal;
mod apply;
mod channels;
mod compact;
mod constants;
mod filter_only;
mod filters;
mod importance;
mod knapsack;
mod limits;
mod mask_bits;
mod method;
mod permute;
mod plan;
mod problem;
mod ram;
mod reduced;
mod rivals;
mod schedule;
mod storage;
mod stored;
mod uniform;
mod units;

pub use apply::{ApplyError, apply};
pub use channels::{ChannelGroup, ChannelMap, Role, Slice};
pub use importance::{Gradients, Importance, ImportanceError, Normalisation};
pub use limits::{
    Arena, ArenaTensor, Cycles, Device, Feasibility, LayerCycles, Limits, Planner, Resource, Timer,
};
pub use method::Method;
pub use permute::permute;
pub use plan::{Index, LayerPlan, PrunePlan, Reason};
pub use schedule::{Options, Pace, PackageSize, Request, ScheduleError, Sizer, schedule};
pub use stored::{StoredLayer, stored};
pub use units::{PrunableLayer, UnitKind, WeightLayout, prunable_layers};
