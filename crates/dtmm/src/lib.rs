//! The whole pipeline as functions: [`train()`], [`compress()`], [`compare()`], [`eval()`], [`run()`], [`inspect()`], [`demo()`].
//!
//! Each takes a plain request and gives a plain report of [`dtmm_report`]. Long work tells its [`Progress`] and stops
//! when that says so; what is finished stays on disk and the same request goes on from there.
#![forbid(unsafe_code)]

mod bench;
mod boards;
mod calibrate;
mod compare;
mod compress;
mod demo;
mod device;
mod error;
mod eval;
mod export;
mod files;
mod fitting;
mod float;
mod float_tail;
mod inspect;
mod int8;
mod model;
mod onnx;
mod ports;
mod preprocess;
mod progress;
mod run;
mod source;
mod train;
mod trainable;
mod verify;

pub use bench::{BenchRequest, bench};
pub use boards::boards;
pub use calibrate::{CalibrateRequest, calibrate};
pub use compare::{CompareRequest, MethodSpec, compare};
pub use compress::{
    Budgets, ChannelCut, CompressRequest, ImportanceKind, Objective, SizeBudget, Units, compress, sweep,
};
pub use demo::{DemoRequest, demo};
pub use dtmm_data::Split;
pub use dtmm_emulate::{Core, UnknownCore};
pub use dtmm_graph::Preprocessing;
pub use dtmm_prune::Method;
pub use error::Error;
pub use eval::{EvalRequest, eval};
pub use export::{ExportLanguage, ExportRequest, export};
pub use inspect::{inspect, inspect_on};
pub use model::{Container, Model, load_model};
pub use preprocess::{PreprocessChoice, describe, presets};
pub use progress::{Progress, Silent};
pub use run::{RunRequest, run};
pub use source::{DataLayout, DataSource};
pub use train::{Start, TrainRequest, train};
pub use verify::{VerifyRequest, verify};
