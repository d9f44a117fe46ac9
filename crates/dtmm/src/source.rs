//! Where samples come from.

use std::path::{Path, PathBuf};

use dtmm_data::{Dataset, Splits};
use dtmm_graph::Graph;
use dtmm_pack::HostModel;

use crate::Error;

/// Prefix of the data sets that the program makes itself.
const BUILTIN_GLYPHS: &str = "builtin:glyphs";
const GLYPHS_TRAIN: usize = 6000;
const GLYPHS_TEST: usize = 1500;

/// Axis order of the samples in array files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataLayout {
    /// Sample, height, width, channel.
    #[default]
    Nhwc,
    /// Sample, channel, height, width.
    Nchw,
}

/// A data set on disk, or the built-in one (`builtin:glyphs`).
#[derive(Clone, Debug, PartialEq)]
pub struct DataSource {
    /// Folder or file, or `builtin:glyphs`.
    pub path: PathBuf,
    /// Axis order of the samples in array files.
    pub layout: DataLayout,
    /// At most so many training and test samples, balanced over the classes.
    pub samples: Option<usize>,
    /// Seed of the choice of samples, and of the split where the data has none.
    pub seed: u64,
}

impl DataSource {
    /// The built-in data set.
    pub fn builtin_glyphs(seed: u64) -> Self {
        DataSource { path: BUILTIN_GLYPHS.into(), layout: DataLayout::Nhwc, samples: None, seed }
    }

    /// Both splits.
    pub(crate) fn load(&self) -> Result<Splits, Error> {
        let mut splits = if self.path == Path::new(BUILTIN_GLYPHS) {
            dtmm_data::demo::glyphs(self.seed, GLYPHS_TRAIN, GLYPHS_TEST)
        } else {
            dtmm_data::load(&self.path, &self.options())?
        };
        if let Some(n) = self.samples {
            splits.train = splits.train.take(n, self.seed);
            splits.test = splits.test.take(n, self.seed);
        }
        Ok(splits)
    }

    fn options(&self) -> dtmm_data::LoadOptions {
        let layout = match self.layout {
            DataLayout::Nhwc => dtmm_data::Layout::Nhwc,
            DataLayout::Nchw => dtmm_data::Layout::Nchw,
        };
        dtmm_data::LoadOptions { layout, seed: self.seed, ..Default::default() }
    }
}

/// What a model wants from a data set.
pub(crate) struct Input {
    model: String,
    /// Height, width and channels of the model's only input.
    shape: [usize; 3],
    /// Values of the model's first output.
    pub outputs: usize,
}

impl Input {
    /// The input of a graph.
    pub fn of_graph(graph: &Graph) -> Result<Self, Error> {
        let shape = |t| {
            let s = &graph.tensor(t).shape;
            [s[1], s[2], s[3]]
        };
        let inputs: Vec<_> = graph.inputs.iter().map(|p| shape(p.tensor)).collect();
        Self::new(&graph.name, &inputs, graph.outputs.first().map_or(0, |p| graph.tensor(p.tensor).len()))
    }

    /// The input of a package.
    pub fn of_package(host: &HostModel, name: &str) -> Result<Self, Error> {
        let inputs: Vec<_> = host.inputs().iter().map(|p| p.shape).collect();
        Self::new(name, &inputs, host.outputs().first().map_or(0, |p| p.elements()))
    }

    fn new(model: &str, inputs: &[[usize; 3]], outputs: usize) -> Result<Self, Error> {
        match *inputs {
            [shape] => Ok(Input { model: model.to_owned(), shape, outputs }),
            _ => Err(Error::Mismatch {
                what: format!("inputs of model '{model}'"),
                expected: "1".into(),
                found: inputs.len().to_string(),
                help: "classification data sets feed models with one input; use `dtmm run`".into(),
            }),
        }
    }

    /// The samples in the shape of the model's input; the classes must fit its outputs.
    pub fn fit(&self, data: &Dataset) -> Result<Dataset, Error> {
        if data.classes.len() > self.outputs {
            return Err(Error::Mismatch {
                what: format!("classes of {}", data.name),
                expected: format!("at most {}, the outputs of model '{}'", self.outputs, self.model),
                found: data.classes.len().to_string(),
                help: "use the data set that the model was trained on".into(),
            });
        }
        Ok(data.fitted(self.shape)?)
    }
}
