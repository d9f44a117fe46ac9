//! IDX files: the MNIST family, plain or gzip.
//!
//! Big endian: two zero bytes, a type code (8 = unsigned byte), the rank, one u32 for each dimension, then the values.
//! Source: <https://yann.lecun.com/exdb/mnist/>.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::load::{Split, index_names, read};
use crate::{DataError, Dataset, ParseError, Samples};

const FORMAT: &str = "IDX";
/// Deflate cannot unpack a byte into more than this many.
pub(crate) const MAX_DEFLATE_RATIO: u64 = 1032;
const MAX_RANK: usize = 4;

/// An array of unsigned bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct IdxArray {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<u8>,
}

/// Reads an IDX file of unsigned bytes and rank 1 to 4, plain or gzip.
///
/// # Errors
/// When the header is not IDX, the element type is another, or the length is not what the dimensions say.
pub fn parse_idx(bytes: &[u8]) -> Result<IdxArray, ParseError> {
    if bytes.starts_with(&[0x1f, 0x8b]) { parse_idx_gz(bytes) } else { parse_plain(bytes) }
}

fn parse_plain(bytes: &[u8]) -> Result<IdxArray, ParseError> {
    let shape = parse_header(bytes)?;
    let expected = file_len(&shape)?;
    if expected != bytes.len() as u64 {
        return Err(ParseError::Length { format: FORMAT, expected, found: bytes.len() as u64 });
    }
    Ok(IdxArray { values: bytes[header_len(&shape)..].to_vec(), shape })
}

fn parse_idx_gz(bytes: &[u8]) -> Result<IdxArray, ParseError> {
    let mut unpacked = vec![];
    let limit = bytes.len() as u64 * MAX_DEFLATE_RATIO;
    GzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut unpacked)
        .map_err(|e| ParseError::Compression { format: FORMAT, reason: e.to_string() })?;
    parse_plain(&unpacked)
}

fn parse_header(bytes: &[u8]) -> Result<Vec<usize>, ParseError> {
    let short = |expected: usize| ParseError::Length {
        format: FORMAT,
        expected: expected as u64,
        found: bytes.len() as u64,
    };
    let magic = bytes.first_chunk::<4>().ok_or(short(4))?;
    if magic[..2] != [0, 0] {
        return Err(header(format!(
            "starts with {:02x} {:02x} instead of two zero bytes",
            magic[0], magic[1]
        )));
    }
    if magic[2] != 8 {
        let found = format!("code {:#04x}", magic[2]);
        return Err(ParseError::ElementType {
            format: FORMAT,
            found,
            supported: "unsigned bytes (code 0x08)",
        });
    }
    let rank = usize::from(magic[3]);
    if !(1..=MAX_RANK).contains(&rank) {
        return Err(header(format!("rank {rank}, expected 1 to {MAX_RANK}")));
    }
    let dims = bytes.get(4..4 + 4 * rank).ok_or(short(4 + 4 * rank))?;
    Ok(dims.as_chunks::<4>().0.iter().map(|d| u32::from_be_bytes(*d) as usize).collect())
}

fn header(reason: String) -> ParseError {
    ParseError::Header { format: FORMAT, reason }
}

fn header_len(shape: &[usize]) -> usize {
    4 + 4 * shape.len()
}

fn file_len(shape: &[usize]) -> Result<u64, ParseError> {
    shape
        .iter()
        .try_fold(1u64, |n, &d| n.checked_mul(d as u64))
        .and_then(|n| n.checked_add(header_len(shape) as u64))
        .ok_or_else(|| header(format!("dimensions {shape:?} overflow")))
}

/// A folder with images and labels of the MNIST family.
#[derive(Debug)]
pub(crate) struct IdxFolder {
    root: PathBuf,
}

impl IdxFolder {
    pub(crate) fn detect(path: &Path) -> Option<Self> {
        let folder = IdxFolder { root: path.to_path_buf() };
        (folder.has(Split::Train) || folder.has(Split::Test)).then_some(folder)
    }

    pub(crate) fn has(&self, split: Split) -> bool {
        self.find(split, "images", 3).is_some()
    }

    pub(crate) fn load(&self, split: Split) -> Result<Dataset, DataError> {
        let images = self.file(split, "images", 3)?;
        let labels = self.file(split, "labels", 1)?;
        let x = parse_idx(&read(&images)?).map_err(DataError::parse(&images))?;
        let y = parse_idx(&read(&labels)?).map_err(DataError::parse(&labels))?;
        let shape = image_shape(&images, &x.shape)?;
        if y.shape != [x.shape[0]] {
            return Err(DataError::Count { path: labels, samples: x.shape[0], labels: y.values.len() });
        }
        let classes = index_names(y.values.iter().max().map_or(0, |&m| usize::from(m) + 1));
        Ok(Dataset {
            name: self.root.display().to_string(),
            shape,
            samples: Samples::U8(x.values),
            labels: y.values.iter().map(|&l| u32::from(l)).collect(),
            classes,
        })
    }

    fn file(&self, split: Split, what: &str, rank: usize) -> Result<PathBuf, DataError> {
        self.find(split, what, rank).ok_or_else(|| DataError::Missing {
            path: self.root.clone(),
            missing: format!("{}-{what}-idx{rank}-ubyte[.gz]", prefixes(split)[0]),
            help: "put images and labels of the split side by side".into(),
        })
    }

    /// The archives write `train-images-idx3-ubyte`, some copies `train-images.idx3-ubyte`.
    fn find(&self, split: Split, what: &str, rank: usize) -> Option<PathBuf> {
        let names = prefixes(split)
            .iter()
            .flat_map(|prefix| ["-", "."].map(|dot| format!("{prefix}-{what}{dot}idx{rank}-ubyte")));
        names.flat_map(|n| [format!("{n}.gz"), n]).map(|n| self.root.join(n)).find(|f| f.is_file())
    }
}

fn prefixes(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Test => &["t10k", "test"],
    }
}

fn image_shape(path: &Path, shape: &[usize]) -> Result<[usize; 3], DataError> {
    match *shape {
        [_, h, w] => Ok([h, w, 1]),
        [_, h, w, c] => Ok([h, w, c]),
        _ => Err(DataError::Shape {
            path: path.to_path_buf(),
            expected: "[N, H, W] or [N, H, W, C]".into(),
            found: format!("{shape:?}"),
            help: "is this the label file under the images' name?".into(),
        }),
    }
}
