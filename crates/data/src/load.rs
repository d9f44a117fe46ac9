//! Finding out what a path holds, and loading it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arrays::ArrayFiles;
use crate::cifar::CifarFolder;
use crate::idx::IdxFolder;
use crate::images::ImageFolders;
use crate::{DataError, Dataset};

/// One of the two parts of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For training, importance and calibration.
    Train,
    /// For measuring only.
    Test,
}

/// Both parts, with the same classes in the same order.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits {
    /// For training, importance and calibration.
    pub train: Dataset,
    /// For measuring only.
    pub test: Dataset,
}

/// Order of the dimensions of NumPy arrays of rank 3 and 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[N, H, W, C]` and `[N, H, W]`.
    #[default]
    Nhwc,
    /// `[N, C, H, W]` and `[N, C, L]`, as PyTorch exports them.
    Nchw,
}

/// How to load a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// Height and width to which images are resized while they are read; `None` keeps the size that they all share.
    pub size: Option<[usize; 2]>,
    /// Channels of images read from image files: 1 or 3; `None` is 1 when all images are grey, otherwise 3.
    pub channels: Option<usize>,
    /// Order of the dimensions of NumPy arrays.
    pub layout: Layout,
    /// Seed of the split where the data set has no test part.
    pub seed: u64,
    /// Part of each class that becomes the test part where the data set has none, above 0 and below 1.
    pub test_fraction: f32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { size: None, channels: None, layout: Layout::Nhwc, seed: 0, test_fraction: 0.2 }
    }
}

/// The layouts that are told apart by the names of the files.
#[derive(Debug)]
enum Source {
    Cifar(CifarFolder),
    Idx(IdxFolder),
    Arrays(ArrayFiles),
    Images(ImageFolders),
}

/// Loads both parts of the data set at `path`. What it holds is found out from file names:
///
/// - CIFAR-10/100 binary folders;
/// - IDX folders (MNIST family), plain or gzip;
/// - NumPy: a folder with `train.npz` and `test.npz`, or `x.npy` and `y.npy`, or `train_x.npy`, `train_y.npy`,
///   `test_x.npy`, `test_y.npy` (also `x_train.npy`, ...); or one `.npz` with `x` and `y`, or `x_train`, `y_train`, `x_test`,
///   `y_test`. A file `classes.txt` beside them gives the class names, one on each line;
/// - folders `train` and `test` (or `val`, `valid`, `validation`) with one folder of images for each class, or the class
///   folders themselves. Classes are ordered by folder name, byte by byte: pad numbers with zeros.
///
/// Where there is no test part, a seeded part of each class is set aside (`opts.test_fraction`).
///
/// # Errors
/// When nothing is recognised, or a file is missing, unreadable or inconsistent.
pub fn load(path: &Path, opts: &LoadOptions) -> Result<Splits, DataError> {
    let source = detect(path)?;
    let (train, test) = if source.has(Split::Test) && source.has(Split::Train) {
        let train = source.load(Split::Train, opts)?;
        (train, source.load(Split::Test, opts)?)
    } else {
        let whole = if source.has(Split::Train) { Split::Train } else { Split::Test };
        source.load(whole, opts)?.split(opts.test_fraction, opts.seed)?
    };
    finish(path, train, test)
}

/// Loads one part only; the same as that part of [`load`].
///
/// # Errors
/// As [`load`].
pub fn load_split(path: &Path, split: Split, opts: &LoadOptions) -> Result<Dataset, DataError> {
    let source = detect(path)?;
    if !(source.has(Split::Train) && source.has(Split::Test) && source.knows_classes()) {
        let both = load(path, opts)?;
        return Ok(if split == Split::Train { both.train } else { both.test });
    }
    let set = source.load(split, opts)?;
    not_empty(path, &set, split)?;
    Ok(set)
}

fn finish(path: &Path, mut train: Dataset, mut test: Dataset) -> Result<Splits, DataError> {
    not_empty(path, &train, Split::Train)?;
    not_empty(path, &test, Split::Test)?;
    if train.shape != test.shape {
        return Err(DataError::Shape {
            path: path.to_path_buf(),
            expected: format!("test samples of the train samples' shape {:?}", train.shape),
            found: format!("{:?}", test.shape),
            help: "give a size to resize images to, or bring both parts to one shape".into(),
        });
    }
    let longer =
        if test.classes.len() > train.classes.len() { &test.classes } else { &train.classes }.clone();
    (train.classes, test.classes) = (longer.clone(), longer);
    Ok(Splits { train, test })
}

fn not_empty(path: &Path, set: &Dataset, split: Split) -> Result<(), DataError> {
    let what = match split {
        Split::Train => "train split",
        Split::Test => "test split",
    };
    if set.is_empty() { Err(DataError::Empty { path: path.to_path_buf(), what }) } else { Ok(()) }
}

fn detect(path: &Path) -> Result<Source, DataError> {
    fs::metadata(path).map_err(DataError::read(path))?;
    if let Some(s) = CifarFolder::detect(path) {
        return Ok(Source::Cifar(s));
    }
    if let Some(s) = IdxFolder::detect(path) {
        return Ok(Source::Idx(s));
    }
    if let Some(s) = ArrayFiles::detect(path)? {
        return Ok(Source::Arrays(s));
    }
    match ImageFolders::detect(path)? {
        Some(s) => Ok(Source::Images(s)),
        None => Err(DataError::Unrecognised { path: path.to_path_buf() }),
    }
}

impl Source {
    fn has(&self, split: Split) -> bool {
        match self {
            Source::Cifar(s) => s.has(split),
            Source::Idx(s) => s.has(split),
            Source::Arrays(s) => s.has(split),
            Source::Images(s) => s.has(split),
        }
    }

    /// Whether one part alone knows all classes; otherwise they are counted over both.
    fn knows_classes(&self) -> bool {
        match self {
            Source::Cifar(_) | Source::Images(_) => true,
            Source::Idx(_) | Source::Arrays(_) => false,
        }
    }

    fn load(&self, split: Split, opts: &LoadOptions) -> Result<Dataset, DataError> {
        let set = match self {
            Source::Cifar(s) => s.load(split)?,
            Source::Idx(s) => s.load(split)?,
            Source::Arrays(s) => s.load(split, opts)?,
            Source::Images(s) => return s.load(split, opts),
        };
        match opts.size {
            Some([h, w]) if matches!(set.samples, crate::Samples::U8(_)) => set.resized(h, w),
            _ => Ok(set),
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(DataError::read(path))
}

/// Files and folders in `path`, sorted by name.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = fs::read_dir(path).map_err(DataError::io("list", path))?;
    let mut paths = entries
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(DataError::io("list", path))?;
    paths.sort();
    Ok(paths)
}

/// Class indices as names.
pub(crate) fn index_names(count: usize) -> Vec<String> {
    (0..count).map(|i| i.to_string()).collect()
}
