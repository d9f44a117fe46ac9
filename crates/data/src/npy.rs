//! NumPy arrays: `.npy` in and out, `.npz` in.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use zip::ZipArchive;

use crate::idx::MAX_DEFLATE_RATIO;
use crate::load::read;
use crate::npy_header::{Element, Header};
use crate::{DataError, ParseError};

const NPZ: &str = ".npz";

/// Values of a NumPy array in row-major order, in the machine's byte order.
#[derive(Clone, Debug, PartialEq)]
pub enum NpyData {
    /// `uint8` and `bool`.
    U8(Vec<u8>),
    /// `int8`.
    I8(Vec<i8>),
    /// `int16`.
    I16(Vec<i16>),
    /// `int32`, and `uint16` widened.
    I32(Vec<i32>),
    /// `int64`, and `uint32` widened.
    I64(Vec<i64>),
    /// `float32`.
    F32(Vec<f32>),
    /// `float64`.
    F64(Vec<f64>),
}

impl NpyData {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            NpyData::U8(v) => v.len(),
            NpyData::I8(v) => v.len(),
            NpyData::I16(v) => v.len(),
            NpyData::I32(v) => v.len(),
            NpyData::I64(v) => v.len(),
            NpyData::F32(v) => v.len(),
            NpyData::F64(v) => v.len(),
        }
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of the element type as NumPy prints it.
    pub fn type_name(&self) -> &'static str {
        match self {
            NpyData::U8(_) => "uint8",
            NpyData::I8(_) => "int8",
            NpyData::I16(_) => "int16",
            NpyData::I32(_) => "int32",
            NpyData::I64(_) => "int64",
            NpyData::F32(_) => "float32",
            NpyData::F64(_) => "float64",
        }
    }

    /// All values as `f32`, rounded where they do not fit exactly.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            NpyData::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            NpyData::I8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            NpyData::I16(v) => v.iter().map(|&x| f32::from(x)).collect(),
            NpyData::I32(v) => v.iter().map(|&x| x as f32).collect(),
            NpyData::I64(v) => v.iter().map(|&x| x as f32).collect(),
            NpyData::F32(v) => v.clone(),
            NpyData::F64(v) => v.iter().map(|&x| x as f32).collect(),
        }
    }

    /// Value `index` as `f64`; `None` past the end.
    pub fn get_f64(&self, index: usize) -> Option<f64> {
        match self {
            NpyData::U8(v) => v.get(index).map(|&x| f64::from(x)),
            NpyData::I8(v) => v.get(index).map(|&x| f64::from(x)),
            NpyData::I16(v) => v.get(index).map(|&x| f64::from(x)),
            NpyData::I32(v) => v.get(index).map(|&x| f64::from(x)),
            NpyData::I64(v) => v.get(index).map(|&x| x as f64),
            NpyData::F32(v) => v.get(index).map(|&x| f64::from(x)),
            NpyData::F64(v) => v.get(index).copied(),
        }
    }

    /// Reorders `self` from column-major to row-major.
    fn into_row_major(self, shape: &[usize]) -> Self {
        match self {
            NpyData::U8(v) => NpyData::U8(row_major(&v, shape)),
            NpyData::I8(v) => NpyData::I8(row_major(&v, shape)),
            NpyData::I16(v) => NpyData::I16(row_major(&v, shape)),
            NpyData::I32(v) => NpyData::I32(row_major(&v, shape)),
            NpyData::I64(v) => NpyData::I64(row_major(&v, shape)),
            NpyData::F32(v) => NpyData::F32(row_major(&v, shape)),
            NpyData::F64(v) => NpyData::F64(row_major(&v, shape)),
        }
    }

    fn descr(&self) -> &'static str {
        match self {
            NpyData::U8(_) => "|u1",
            NpyData::I8(_) => "|i1",
            NpyData::I16(_) => "<i2",
            NpyData::I32(_) => "<i4",
            NpyData::I64(_) => "<i8",
            NpyData::F32(_) => "<f4",
            NpyData::F64(_) => "<f8",
        }
    }

    fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            NpyData::U8(v) => v.clone(),
            NpyData::I8(v) => v.iter().map(|&x| x as u8).collect(),
            NpyData::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            NpyData::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            NpyData::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            NpyData::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            NpyData::F64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

fn row_major<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &d in shape {
        strides.push(stride);
        stride *= d;
    }
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(values[index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>()]);
        for (i, &d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// A NumPy array.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Dimensions, outermost first; empty for a single value.
    pub shape: Vec<usize>,
    /// Values in row-major order, as many as the product of `shape`.
    pub data: NpyData,
}

/// Reads a `.npy` file's bytes.
///
/// # Errors
/// When the header is bad, the element type is not one of [`NpyData`]'s, or the length is not what the shape says.
pub fn parse_npy(bytes: &[u8]) -> Result<NpyArray, ParseError> {
    let header = Header::parse(bytes)?;
    let payload = header.payload(bytes)?;
    let data = decode(payload, header.element, header.big_endian);
    let data =
        if header.fortran && header.shape.len() > 1 { data.into_row_major(&header.shape) } else { data };
    Ok(NpyArray { shape: header.shape, data })
}

fn decode(bytes: &[u8], element: Element, big: bool) -> NpyData {
    match element {
        Element::U8 => NpyData::U8(bytes.to_vec()),
        Element::I8 => NpyData::I8(bytes.iter().map(|&b| b as i8).collect()),
        Element::I16 => NpyData::I16(words(bytes, big, i16::from_le_bytes)),
        Element::U16 => NpyData::I32(words(bytes, big, |w| u16::from_le_bytes(w).into())),
        Element::I32 => NpyData::I32(words(bytes, big, i32::from_le_bytes)),
        Element::U32 => NpyData::I64(words(bytes, big, |w| u32::from_le_bytes(w).into())),
        Element::I64 => NpyData::I64(words(bytes, big, i64::from_le_bytes)),
        Element::F32 => NpyData::F32(words(bytes, big, f32::from_le_bytes)),
        Element::F64 => NpyData::F64(words(bytes, big, f64::from_le_bytes)),
    }
}

fn words<const N: usize, T>(bytes: &[u8], big: bool, from_le: impl Fn([u8; N]) -> T) -> Vec<T> {
    let word = |mut w: [u8; N]| {
        if big {
            w.reverse();
        }
        from_le(w)
    };
    bytes.as_chunks::<N>().0.iter().map(|w| word(*w)).collect()
}

/// Reads all arrays of a `.npz` file's bytes, by name without `.npy`.
///
/// # Errors
/// When the archive is damaged, an entry unpacks to more than its packed size can justify, or an array is bad.
pub fn parse_npz(bytes: &[u8]) -> Result<BTreeMap<String, NpyArray>, ParseError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| unpack(".npz", e))?;
    let names = npy_entries(&archive)?;
    let mut arrays = BTreeMap::new();
    let mut budget = bytes.len() as u64 * MAX_DEFLATE_RATIO;
    for name in names {
        let entry = archive.by_name(&format!("{name}.npy")).map_err(|e| unpack(&name, e))?;
        let size = entry.size();
        if size > budget {
            return Err(ParseError::Length { format: NPZ, expected: size, found: bytes.len() as u64 });
        }
        budget -= size;
        let mut unpacked = vec![];
        entry.take(size + 1).read_to_end(&mut unpacked).map_err(|e| unpack(&name, e))?;
        arrays.insert(name, parse_npy(&unpacked)?);
    }
    Ok(arrays)
}

/// Names of the arrays, without `.npy`.
fn npy_entries<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<Vec<String>, ParseError> {
    let names = archive.file_names().collect::<Result<Vec<_>, _>>().map_err(|e| unpack(NPZ, e))?;
    Ok(names.iter().filter_map(|n| n.strip_suffix(".npy")).map(String::from).collect())
}

/// Names of the arrays in a `.npz` file, without unpacking them.
pub(crate) fn npz_names(path: &Path) -> Result<Vec<String>, DataError> {
    let file = File::open(path).map_err(DataError::read(path))?;
    ZipArchive::new(file)
        .map_err(|e| unpack(NPZ, e))
        .and_then(|a| npy_entries(&a))
        .map_err(DataError::parse(path))
}

fn unpack(entry: &str, error: impl std::fmt::Display) -> ParseError {
    ParseError::Compression { format: NPZ, reason: format!("{entry}: {error}") }
}

/// Reads a `.npy` file.
///
/// # Errors
/// When the file cannot be read or is not what [`parse_npy`] takes.
pub fn read_npy(path: &Path) -> Result<NpyArray, DataError> {
    parse_npy(&read(path)?).map_err(DataError::parse(path))
}

/// Reads a `.npz` file: all arrays, by name.
///
/// # Errors
/// When the file cannot be read or is not what [`parse_npz`] takes.
pub fn read_npz(path: &Path) -> Result<BTreeMap<String, NpyArray>, DataError> {
    parse_npz(&read(path)?).map_err(DataError::parse(path))
}

/// Writes a `.npy` file (version 1.0, little endian, row-major). The file appears complete or not at all.
///
/// # Errors
/// When `array.shape` does not fit the number of values, or the file cannot be written.
pub fn write_npy(path: &Path, array: &NpyArray) -> Result<(), DataError> {
    let values = array.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if values != Some(array.data.len()) {
        return Err(DataError::Shape {
            path: path.to_path_buf(),
            expected: format!("{:?}", array.shape),
            found: format!("{} values", array.data.len()),
            help: "the shape's product is the number of values".into(),
        });
    }
    let mut bytes = Header::bytes(array.data.descr(), &array.shape);
    bytes.extend(array.data.to_le_bytes());
    write_atomically(path, &bytes).map_err(DataError::io("write", path))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}
