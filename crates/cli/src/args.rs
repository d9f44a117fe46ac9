//! Flags that several commands share, and how sizes and rates are written.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dtmm::{DataLayout, DataSource, ImportanceKind, PreprocessChoice, Preprocessing, SizeBudget};

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
    /// `export` writes C
    #[value(hide = true)]
    C,
    /// `export` writes Rust
    #[value(hide = true)]
    Rust,
}

impl Format {
    /// True for the languages that only `export` writes.
    pub fn is_language(self) -> bool {
        matches!(self, Format::C | Format::Rust)
    }
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

/// One emulated core or all of them.
#[derive(Clone, Copy)]
pub enum CoreArg {
    /// This one.
    One(dtmm::Core),
    /// Every core.
    All,
}

impl CoreArg {
    /// The cores, smallest first.
    pub fn cores(self) -> Vec<dtmm::Core> {
        match self {
            CoreArg::One(core) => vec![core],
            CoreArg::All => dtmm::Core::ALL.to_vec(),
        }
    }
}

impl std::str::FromStr for CoreArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(CoreArg::All);
        }
        text.parse().map(CoreArg::One).map_err(|e: dtmm::UnknownCore| e.to_string())
    }
}

/// `131072`, `128K`, `1M` (powers of 1024) or `0.5x` (share of the dense int8 package).
pub fn size(text: &str) -> Result<SizeBudget, String> {
    let wrong = || format!("'{text}' is no size: write bytes (131072), 128K, 1M, or a share such as 0.5x");
    let number = |digits: &str| digits.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0);
    if let Some(share) = text.strip_suffix(['x', 'X']) {
        return number(share).map(SizeBudget::Share).ok_or_else(wrong);
    }
    let (digits, unit) = match text.to_ascii_uppercase().trim_end_matches('B').to_owned() {
        t if t.ends_with('K') => (t.trim_end_matches('K').to_owned(), 1024.0),
        t if t.ends_with('M') => (t.trim_end_matches('M').to_owned(), 1024.0 * 1024.0),
        t => (t, 1.0),
    };
    number(&digits).map(|v| SizeBudget::Bytes((v * unit).floor() as usize)).ok_or_else(wrong)
}

/// `50ms`, `0.05s`, `800us`, as seconds.
pub fn time(text: &str) -> Result<f64, String> {
    // Divided, not multiplied: 800us is the number that 0.0008s is.
    let (digits, parts) = match text.trim() {
        t if t.ends_with("ms") => (&t[..t.len() - 2], 1e3),
        t if t.ends_with("us") => (&t[..t.len() - 2], 1e6),
        t if t.ends_with('s') => (&t[..t.len() - 1], 1.0),
        t => (t, f64::NAN),
    };
    let value = digits.trim().parse::<f64>().map_or(f64::NAN, |v| v / parts);
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(format!("'{text}' is no time: write 50ms, 0.05s or 800us"))
    }
}

/// `100M`, `16MHz`, `32000000`, as hertz.
pub fn clock(text: &str) -> Result<f64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let digits = upper.trim_end_matches("HZ");
    let (digits, factor) = match digits {
        t if t.ends_with('M') => (&t[..t.len() - 1], 1e6),
        t if t.ends_with('K') => (&t[..t.len() - 1], 1e3),
        t => (t, 1.0),
    };
    let value = digits.trim().parse::<f64>().map_or(f64::NAN, |v| v * factor);
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(format!("'{text}' is no clock: write 100M or 16MHz"))
    }
}

/// Percentage points, as a fraction of 1.
pub fn points(text: &str) -> Result<f64, String> {
    let digits = text.trim().trim_end_matches("pp").trim();
    let value = digits.parse::<f64>().unwrap_or(f64::NAN);
    let good = value.is_finite() && (0.0..100.0).contains(&value);
    if good {
        Ok(value / 100.0)
    } else {
        Err(format!("'{text}' is no loss: write percentage points, such as 1.0"))
    }
}

/// As [`size`], or a fraction such as `1/4` of the dense int8 package.
pub fn budget(text: &str) -> Result<SizeBudget, String> {
    let fraction = text.split_once('/').and_then(|(a, b)| {
        let (a, b) = (a.trim().parse::<f64>().ok()?, b.trim().parse::<f64>().ok()?);
        Some(a / b).filter(|share| share.is_finite() && *share > 0.0)
    });
    fraction.map_or_else(|| size(text), |share| Ok(SizeBudget::Share(share)))
}

/// `METHOD` or `METHOD@IMPORTANCE`.
pub fn method_spec(text: &str) -> Result<String, String> {
    let (method, importance) = text.split_once('@').map_or((text, None), |(m, i)| (m, Some(i)));
    scheduler(method)?;
    importance.map(self::importance).transpose()?;
    Ok(text.to_owned())
}

/// A number of points between 1 and 64.
pub fn points_of_sweep(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=64).contains(n)).ok_or_else(|| "write a number from 1 to 64".into())
}

/// The name of a pruning method.
pub fn scheduler(text: &str) -> Result<String, String> {
    let known = || format!("the methods are {}", dtmm::Method::names().collect::<Vec<_>>().join(", "));
    dtmm::Method::from_name(text, 0).map(|m| m.name().to_owned()).ok_or_else(known)
}

/// Who makes the cut.
pub fn channel_cut(text: &str) -> Result<dtmm::ChannelCut, String> {
    dtmm::ChannelCut::from_name(text).ok_or_else(|| "write auto, price or a share from 0 to 1".into())
}

/// The units by their names.
pub fn units(names: &[String]) -> anyhow::Result<dtmm::Units> {
    dtmm::Units::from_names(names.iter().map(String::as_str)).map_err(|e| anyhow::anyhow!("--units: {e}"))
}

/// A number between 0 and 1.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.trim().parse().ok().filter(|s| (0.0..=1.0).contains(s));
    share.ok_or_else(|| format!("'{text}' is no share: write a number from 0 to 1"))
}

/// A learning rate.
pub fn rate(text: &str) -> Result<f32, String> {
    let rate = text.trim().parse().ok().filter(|r: &f32| r.is_finite() && *r > 0.0);
    rate.ok_or_else(|| format!("'{text}' is no learning rate: write a number above 0, such as 0.01"))
}

/// A number of which there is at least one.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|n| *n > 0);
    count.ok_or_else(|| format!("'{text}': write a whole number from 1"))
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
        assert_eq!(size("131072"), Ok(SizeBudget::Bytes(131_072)));
        assert_eq!(size("128K"), Ok(SizeBudget::Bytes(131_072)));
        assert_eq!(size("128kb"), Ok(SizeBudget::Bytes(131_072)));
        assert_eq!(size("1.5M"), Ok(SizeBudget::Bytes(1_572_864)));
        assert_eq!(size("0.5x"), Ok(SizeBudget::Share(0.5)));
        assert_eq!(
            (budget("1/4"), budget("0.5x")),
            (Ok(SizeBudget::Share(0.25)), Ok(SizeBudget::Share(0.5)))
        );
        assert!(
            budget("1/0").is_err() && method_spec("anneal@luck").is_err() && method_spec("anneal@l1").is_ok()
        );
        assert_eq!((time("50ms"), time("0.05s"), time("800us")), (Ok(0.05), Ok(0.05), Ok(0.0008)));
        assert_eq!((clock("100M"), clock("16MHz"), clock("32000")), (Ok(1e8), Ok(1.6e7), Ok(32_000.0)));
        assert_eq!((points("1.5"), points("2pp")), (Ok(0.015), Ok(0.02)));
        assert!(time("50").is_err() && time("s").is_err() && clock("fast").is_err() && points("-1").is_err());
        assert_eq!((rate("0.01"), at_least_one("3")), (Ok(0.01), Ok(3)));
        assert!(["0", "-1", "NaN", "inf", "fast"].iter().all(|t| rate(t).is_err()));
        assert!(["0", "-1", "1.5", "many"].iter().all(|t| at_least_one(t).is_err()));
        for wrong in ["", "x", "-1K", "0", "12 apples", "NaN", "infx"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
