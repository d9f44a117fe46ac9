//! Pruning units, importance and the scheduler.
#![forbid(unsafe_code)]
