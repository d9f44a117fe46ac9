//! The facade's error: what failed, in which file, and what to do.

use std::path::PathBuf;

use thiserror::Error;

/// Why a command could not finish.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is neither of the formats we read.
    #[error("{}: not an ONNX, TFLite or DTMM file", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// An ONNX file was refused.
    #[error("{}: not a usable ONNX model", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dtmm_onnx::ImportError>,
    },
    /// The graph has no ONNX form.
    #[error("{}: the model cannot be written as ONNX", path.display())]
    OnnxExport {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: dtmm_onnx::ExportError,
    },
    /// A TFLite file was refused.
    #[error("{}: not a usable TFLite model", path.display())]
    Tflite {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dtmm_tflite::ImportError>,
    },
    /// A package was refused.
    #[error("{}: not a usable DTMM package", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: dtmm_pack::PackError,
    },
    /// The data set could not be loaded.
    #[error("data set")]
    Data(#[from] dtmm_data::DataError),
    /// Training or a float forward pass failed.
    #[error("model '{model}'")]
    Train {
        /// Model name.
        model: String,
        /// What is wrong.
        source: Box<dtmm_train::TrainError>,
    },
    /// Quantisation failed.
    #[error("quantizing '{model}'")]
    Quant {
        /// Model name.
        model: String,
        /// What is wrong.
        source: dtmm_quant::QuantError,
    },
    /// Packing or running the package failed.
    #[error("packing '{model}'")]
    Pack {
        /// Model name.
        model: String,
        /// What is wrong.
        source: dtmm_pack::PackError,
    },
    /// The package could not run on an emulated core.
    #[error("core {core}")]
    Emulate {
        /// The core.
        core: dtmm_emulate::Core,
        /// What is missing or went wrong.
        source: dtmm_emulate::EmulateError,
    },
    /// The package could not be exported.
    #[error("{}: cannot be exported", path.display())]
    Export {
        /// The package.
        path: PathBuf,
        /// What is wrong.
        source: dtmm_export::ExportError,
    },
    /// No board has this name.
    #[error(transparent)]
    Board(#[from] dtmm_boards::UnknownBoard),
    /// Importance could not be computed.
    #[error("importance of '{model}'")]
    Importance {
        /// Model name.
        model: String,
        /// What is wrong.
        source: dtmm_prune::ImportanceError,
    },
    /// The scheduler found no plan.
    #[error("pruning '{model}'")]
    Schedule {
        /// Model name.
        model: String,
        /// The core's clock, for times in the advice.
        clock_hz: Option<f64>,
        /// What is wrong.
        source: dtmm_prune::ScheduleError,
    },
    /// A plan does not fit its graph.
    #[error("pruning '{model}'")]
    Apply {
        /// Model name.
        model: String,
        /// What is wrong.
        source: dtmm_prune::ApplyError,
    },
    /// Model and request do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// Which thing.
        what: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
        /// What to do.
        help: String,
    },
    /// The finished package takes more than a budget allows.
    #[error("{resource} of the package: {taken}, the budget is {budget}")]
    OverBudget {
        /// Which budget.
        resource: String,
        /// What the package takes.
        taken: String,
        /// What was allowed.
        budget: String,
    },
    /// Time could not be estimated.
    #[error("cost model")]
    Cost(#[from] dtmm_cost::CostError),
    /// The output folder belongs to another run.
    #[error("{} holds the results of another run ({difference})", path.display())]
    OutputTaken {
        /// The folder.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// A stored stage cannot be read back.
    #[error("{}: the stored stage is damaged", path.display())]
    Stage {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: postcard::Error,
    },
    /// The report could not be rendered.
    #[error("report")]
    Report(#[from] dtmm_report::HtmlError),
    /// The user interrupted the work.
    #[error("interrupted{}", kept.as_ref().map_or(String::new(), |path| format!("; finished stages are kept in {}", path.display())))]
    Interrupted {
        /// Where finished stages are kept; none where nothing is.
        kept: Option<PathBuf>,
    },
    /// The thread pool could not be started.
    #[error("cannot start {threads} threads")]
    Threads {
        /// Number asked for.
        threads: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
}

impl Error {
    /// A training or forward pass of `model` that failed.
    pub(crate) fn train(model: &str, source: dtmm_train::TrainError) -> Self {
        Error::Train { model: model.to_owned(), source: Box::new(source) }
    }

    /// What the user can do about it, where that is not said already.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Error::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                "check the path".to_owned()
            }
            Error::Read { .. } | Error::Write { .. } => "check the path and its permissions".to_owned(),
            Error::UnknownFormat { .. } => {
                "give an .onnx model (PyTorch: torch.onnx.export; Keras: tf2onnx), a .tflite model, or a .dtmm package"
                    .to_owned()
            }
            Error::Onnx { source, .. } => source.help().to_owned(),
            Error::Tflite { source, .. } => source.help().to_owned(),
            Error::Data(dtmm_data::DataError::Empty { .. }) => {
                "training samples calibrate and fine-tune the model, test samples measure it; give data with both"
                    .to_owned()
            }
            Error::Data(dtmm_data::DataError::Label { .. }) => {
                "number the classes from 0, in the order of the model's outputs".to_owned()
            }
            Error::Package { .. } => "make the package again with `dtmm compress`".to_owned(),
            Error::Mismatch { help, .. } => help.clone(),
            Error::OutputTaken { .. } => "choose another folder with -o, or delete this one".to_owned(),
            Error::Stage { path, .. } => {
                format!("delete {} and start the same command again", path.display())
            }
            Error::Interrupted { kept: Some(_) } => "start the same command again to go on".to_owned(),
            Error::Schedule { source: dtmm_prune::ScheduleError::Infeasible { budgets }, clock_hz, .. } => {
                format!("feasible is {}", nearest(budgets, *clock_hz))
            }
            Error::OverBudget { .. } => "raise the budget a little, or report this model".to_owned(),
            _ => return None,
        })
    }
}

/// The nearest feasible budgets as flags.
fn nearest(budgets: &[dtmm_prune::Feasibility], clock_hz: Option<f64>) -> String {
    use dtmm_prune::Resource;
    let flag = |b: &dtmm_prune::Feasibility| {
        let value = b.asked.max(b.nearest);
        match (b.resource, clock_hz) {
            (Resource::Flash, _) => format!("--flash {}", value.ceil()),
            (Resource::Ram, _) => format!("--ram {}", value.ceil()),
            (Resource::Cycles, Some(clock)) => {
                format!("--latency {}us", (value / clock * 1e6).ceil())
            }
            (Resource::Cycles, None) => format!("{value:.0} cycles"),
        }
    };
    budgets.iter().map(flag).collect::<Vec<_>>().join(" ")
}
