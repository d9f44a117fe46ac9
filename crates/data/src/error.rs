//! What can be wrong with a data set.

use std::path::PathBuf;

use thiserror::Error;

/// Why the bytes of one file could not be read; the caller knows the file's name.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ParseError {
    /// The file is shorter or longer than its own header or record size says.
    #[error("{format}: expected {expected} bytes, found {found}; the file is truncated or of another format")]
    Length {
        /// Format that was being read.
        format: &'static str,
        /// Bytes that the header or record size asks for.
        expected: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// The header does not follow the format.
    #[error("{format}: bad header: {reason}")]
    Header {
        /// Format that was being read.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An element type that is not read.
    #[error("{format}: element type {found} is not supported; save it as {supported}")]
    ElementType {
        /// Format that was being read.
        format: &'static str,
        /// The type in the file.
        found: String,
        /// Types that are read.
        supported: &'static str,
    },
    /// A label that is no class of the format.
    #[error("{format}: label {label} of sample {index} is out of range; the format has {classes} classes")]
    Label {
        /// Format that was being read.
        format: &'static str,
        /// Sample with the bad label.
        index: usize,
        /// The label.
        label: u32,
        /// Number of classes.
        classes: u32,
    },
    /// A compressed part that does not unpack.
    #[error("{format}: cannot unpack: {reason}")]
    Compression {
        /// Format that was being read.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// Why a data set could not be loaded or fitted to a model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read", "list" or "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file's bytes are not what its format asks for.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong inside it.
        source: ParseError,
    },
    /// An image could not be decoded.
    #[error("{}: unreadable image: {reason}; replace or delete the file", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// No known layout of a data set was found.
    #[error(
        "{}: no data set found here; expected {}",
        path.display(),
        "CIFAR-10/100 binary files, IDX files (train-images-idx3-ubyte[.gz], ...), an .npz with x and y, \
         train.npz and test.npz, x.npy and y.npy, or one folder of images for each class"
    )]
    Unrecognised {
        /// The path that was given.
        path: PathBuf,
    },
    /// A file that belongs to the layout is missing.
    #[error("{}: {missing} is missing; {help}", path.display())]
    Missing {
        /// The folder or file that was looked into.
        path: PathBuf,
        /// The file or entry that is missing.
        missing: String,
        /// What to do.
        help: String,
    },
    /// Samples and labels differ in number.
    #[error("{}: {samples} samples but {labels} labels; each sample needs one label", path.display())]
    Count {
        /// The file or folder.
        path: PathBuf,
        /// Number of samples.
        samples: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A label that is no class index.
    #[error(
        "{}: label {label} of sample {index} is out of range; expected a whole number from 0 to {}",
        path.display(), classes - 1
    )]
    Label {
        /// The file or folder.
        path: PathBuf,
        /// Sample with the bad label.
        index: usize,
        /// The label as it stands in the file.
        label: String,
        /// Number of classes.
        classes: usize,
    },
    /// An array or image whose shape does not fit.
    #[error("{}: expected {expected}, found {found}; {help}", path.display())]
    Shape {
        /// The file, or the data set's name.
        path: PathBuf,
        /// Shape that was expected.
        expected: String,
        /// Shape that was found.
        found: String,
        /// What to do.
        help: String,
    },
    /// Values that are no numbers.
    #[error("{}: sample {index} holds {value}; replace values that are not finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// First sample with such a value.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A class without samples.
    #[error("{}: the folder of class {class:?} holds no image (png, jpg, bmp, ppm); add some or delete it", path.display())]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
        /// Its name.
        class: String,
    },
    /// A data set or split without samples.
    #[error("{}: no sample in the {what}", path.display())]
    Empty {
        /// The file, folder or data set's name.
        path: PathBuf,
        /// "data set", "train split" or "test split".
        what: &'static str,
    },
    /// A request that makes no sense for this data set.
    #[error("{what} must be {expected}, found {found}")]
    Argument {
        /// Name of the option.
        what: &'static str,
        /// Allowed values.
        expected: &'static str,
        /// The value given.
        found: String,
    },
}

impl DataError {
    pub(crate) fn read(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> DataError {
        DataError::io("read", path)
    }

    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> DataError {
        let path = path.to_path_buf();
        move |source| DataError::Io { action, path, source }
    }

    pub(crate) fn parse(path: &std::path::Path) -> impl FnOnce(ParseError) -> DataError {
        let path = path.to_path_buf();
        move |source| DataError::Parse { path, source }
    }
}
