//! What a run has to say: plain serialisable types, and their renderings as terminal text, JSON and HTML.
//!
//! The JSON form of a type is its serde form, so a field renamed here is a field renamed for every script that reads
//! it. Sizes are bytes, accuracies are fractions of 1, times are seconds unless the name says otherwise.
#![forbid(unsafe_code)]

mod html;
mod text;
mod types;

pub use html::{HtmlError, compare_html, compress_html};
pub use text::{Human, bytes, percent};
pub use types::{
    Accuracy, BenchLayer, BenchReport, BoardFit, BoardsReport, Bound, BudgetRow, CalibrateReport,
    CalibratedCore, CalibratedKernel, ClassRow, CompareReport, CompareRow, CompressReport, CoreBench,
    CoreLatency, CoreVerify, DatasetInfo, Difference, EpochRow, Estimate, EvalReport, ExportReport, Flash,
    InspectReport, KeptMap, LayerRow, Quantization, Ram, RamPoint, RoundRow, RunReport, TensorBytes,
    TrainReport, TrialRow, VerifyReport, Versions,
};
