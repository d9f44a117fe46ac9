//! What to prune: units, importance, and the scheduler that turns budgets into a [`PrunePlan`].
//!
//! The chain: [`Importance`] scores every weight; [`schedule`] chooses masks under a byte budget with the exact size
//! of the package as its caller measures it; [`apply`] zeroes the pruned weights.
#![forbid(unsafe_code)]

mod apply;
mod importance;
mod knapsack;
mod plan;
mod schedule;
mod storage;
mod units;

pub use apply::{ApplyError, apply};
pub use importance::{Gradients, Importance, ImportanceError, Normalisation};
pub use plan::{LayerPlan, PrunePlan, Reason};
pub use schedule::{Options, Request, ScheduleError, SizeFn, schedule};
pub use storage::weight_bytes;
pub use units::{PrunableLayer, UnitKind, WeightLayout, prunable_layers};
