//! Flags that several commands share, and how sizes and rates are written.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dtmm::{DataLayout, DataSource, FlashBudget, ImportanceKind, PreprocessChoice, Preprocessing};

/// Flags of every command.
#[derive(Args)]
pub struct Common {
    /// How the result is printed
    #[arg(long, global = true, value_enum, default_value = "human")]
    pub format: Format,
    /// Random seed: the same seed gives the same result for any number of threads
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Threads; 0 means one for each core
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub threads: usize,
}

/// How a result is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a person
    Human,
    /// One JSON object
    Json,
}

/// Where samples come from and how they become inputs.
#[derive(Args)]
pub struct DataArgs {
    /// Data set: CIFAR binary folder, IDX folder, .npz/.npy, a folder with one folder of images for each class, or
    /// `builtin:glyphs`
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Axis order of the samples in .npy/.npz files
    #[arg(long, value_enum, default_value = "nhwc", value_name = "ORDER")]
    pub data_layout: LayoutArg,
    /// Use only N training and N test samples, balanced over the classes
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
}

/// What turns a raw sample into the model's input.
#[derive(Args)]
pub struct PreprocessArgs {
    /// What turns raw bytes into the model's input: `auto` uses what the model says, else the preset that classifies best
    #[arg(long, value_enum, default_value = "auto", value_name = "PRESET")]
    pub preprocess: Preset,
    /// Factor on raw values, for instance 0.00392157; replaces the preset
    #[arg(long, value_name = "F")]
    pub scale: Option<f32>,
    /// Subtracted after scaling: one value or one for each channel
    #[arg(long, value_delimiter = ',', value_name = "F,..", allow_hyphen_values = true)]
    pub mean: Vec<f32>,
    /// Divided by after subtracting: one value or one for each channel
    #[arg(long, value_delimiter = ',', value_name = "F,..")]
    pub std: Vec<f32>,
}

/// Axis order of array files.
#[derive(Clone, Copy, ValueEnum)]
pub enum LayoutArg {
    /// Sample, height, width, channel
    Nhwc,
    /// Sample, channel, height, width
    Nchw,
}

/// Named preprocessing.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// What the model says, else the preset below that classifies best
    Auto,
    /// The raw value
    Raw,
    /// 0..1: x / 255
    Unit,
    /// -1..1: x / 127.5 - 1
    Signed,
    /// (x / 255 - mean) / std with the ImageNet statistics
    Imagenet,
    /// (x / 255 - mean) / std with the CIFAR-10 statistics
    Cifar,
}

impl DataArgs {
    /// The data set for the facade.
    pub fn source(&self, common: &Common) -> DataSource {
        DataSource {
            path: self.data.clone(),
            layout: match self.data_layout {
                LayoutArg::Nhwc => DataLayout::Nhwc,
                LayoutArg::Nchw => DataLayout::Nchw,
            },
            samples: self.samples,
            seed: common.seed,
        }
    }
}

impl PreprocessArgs {
    /// The choice for the facade.
    pub fn choice(&self) -> PreprocessChoice {
        if self.scale.is_some() || !self.mean.is_empty() || !self.std.is_empty() {
            return PreprocessChoice::Fixed(Preprocessing {
                scale: self.scale.unwrap_or(1.0),
                mean: self.mean.clone(),
                std: self.std.clone(),
                resize: None,
            });
        }
        match self.preprocess {
            Preset::Auto => PreprocessChoice::Auto,
            Preset::Raw => PreprocessChoice::Fixed(dtmm::presets::raw()),
            Preset::Unit => PreprocessChoice::Fixed(dtmm::presets::unit()),
            Preset::Signed => PreprocessChoice::Fixed(dtmm::presets::signed()),
            Preset::Imagenet => PreprocessChoice::Fixed(dtmm::presets::imagenet()),
            Preset::Cifar => PreprocessChoice::Fixed(dtmm::presets::cifar()),
        }
    }
}

/// `131072`, `128K`, `1M` (powers of 1024) or `0.5x` (share of the dense int8 package).
pub fn flash(text: &str) -> Result<FlashBudget, String> {
    let wrong = || format!("'{text}' is no size: write bytes (131072), 128K, 1M, or a share such as 0.5x");
    let number = |digits: &str| digits.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0);
    if let Some(share) = text.strip_suffix(['x', 'X']) {
        return number(share).map(FlashBudget::Share).ok_or_else(wrong);
    }
    let (digits, unit) = match text.to_ascii_uppercase().trim_end_matches('B').to_owned() {
        t if t.ends_with('K') => (t.trim_end_matches('K').to_owned(), 1024.0),
        t if t.ends_with('M') => (t.trim_end_matches('M').to_owned(), 1024.0 * 1024.0),
        t => (t, 1.0),
    };
    number(&digits).map(|v| FlashBudget::Bytes((v * unit).floor() as usize)).ok_or_else(wrong)
}

/// The name of a pruning method.
pub fn scheduler(text: &str) -> Result<String, String> {
    let known = || format!("the methods are {}", dtmm::Method::names().collect::<Vec<_>>().join(", "));
    dtmm::Method::from_name(text, 0).map(|m| m.name().to_owned()).ok_or_else(known)
}

/// The name of a kind of importance.
pub fn importance(text: &str) -> Result<ImportanceKind, String> {
    let known = || format!("the kinds are {}", ImportanceKind::names().collect::<Vec<_>>().join(", "));
    ImportanceKind::from_name(text).ok_or_else(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_every_spelling() {
        assert_eq!(flash("131072"), Ok(FlashBudget::Bytes(131_072)));
        assert_eq!(flash("128K"), Ok(FlashBudget::Bytes(131_072)));
        assert_eq!(flash("128kb"), Ok(FlashBudget::Bytes(131_072)));
        assert_eq!(flash("1.5M"), Ok(FlashBudget::Bytes(1_572_864)));
        assert_eq!(flash("0.5x"), Ok(FlashBudget::Share(0.5)));
        for wrong in ["", "x", "-1K", "0", "12 apples", "NaN", "infx"] {
            assert!(flash(wrong).is_err(), "{wrong}");
        }
    }
}
