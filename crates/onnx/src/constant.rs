//! Constants: decoding of stored tensors, external data included.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use half::{bf16, f16};

use crate::error::{Fault, bad, unsupported};
use crate::proto::TensorProto;

/// Values of a constant; every integer and truth value is widened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// A constant in ONNX layout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Const {
    /// Name in the model, for messages and tensor names.
    pub(crate) name: String,
    /// ONNX dimensions; the values have as many elements.
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Values,
    /// The ONNX type of an integer, needed to tell int8 from uint8 in quantisation.
    pub(crate) unsigned: bool,
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        match self {
            Values::Float(v) => v.len(),
            Values::Int(v) => v.len(),
        }
    }
}

impl Const {
    pub(crate) fn ints(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Const { name: String::new(), dims, values: Values::Int(values), unsigned: false }
    }

    pub(crate) fn floats(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Const { name: String::new(), dims, values: Values::Float(values), unsigned: false }
    }

    /// The values as float32, in row-major ONNX order.
    pub(crate) fn to_floats(&self) -> Vec<f32> {
        match &self.values {
            Values::Float(v) => v.clone(),
            Values::Int(v) => v.iter().map(|&i| i as f32).collect(),
        }
    }

    /// The values of an integer constant.
    pub(crate) fn as_ints(&self) -> Result<&[i64], Fault> {
        match &self.values {
            Values::Int(v) => Ok(v),
            Values::Float(_) => bad(format!("constant '{}' must hold integers", self.name)),
        }
    }

    /// The values of a float constant.
    pub(crate) fn as_floats(&self) -> Result<&[f32], Fault> {
        match &self.values {
            Values::Float(v) => Ok(v),
            Values::Int(_) => bad(format!("constant '{}' must hold floats", self.name)),
        }
    }

    /// The one value of a float scalar.
    pub(crate) fn scalar(&self) -> Result<f32, Fault> {
        match &self.values {
            Values::Float(v) if v.len() == 1 => Ok(v[0]),
            Values::Int(v) if v.len() == 1 => Ok(v[0] as f32),
            _ => bad(format!("constant '{}' must be a scalar, its shape is {:?}", self.name, self.dims)),
        }
    }
}

/// More axes than any real tensor has; keeps the bookkeeping of each value small.
const MAX_RANK: usize = 16;

/// Refuses absurd ranks.
pub(crate) fn check_rank(rank: usize) -> Result<(), Fault> {
    if rank <= MAX_RANK { Ok(()) } else { unsupported(format!("rank {rank}, up to {MAX_RANK} is supported")) }
}

/// Checked product of dimensions.
pub(crate) fn element_count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

mod data_type {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const UINT16: i32 = 4;
    pub const INT16: i32 = 5;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const BOOL: i32 = 9;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
    pub const UINT32: i32 = 12;
    pub const UINT64: i32 = 13;
    pub const BFLOAT16: i32 = 16;
}

/// True for the element types that are read as floats; error for types that are not read at all.
pub(crate) fn is_float(data_type: i32) -> Result<bool, Fault> {
    use data_type::*;
    match data_type {
        FLOAT | FLOAT16 | DOUBLE | BFLOAT16 => Ok(true),
        UINT8 | INT8 | UINT16 | INT16 | INT32 | INT64 | BOOL | UINT32 | UINT64 => Ok(false),
        _ => bad(format!("element type {data_type} is not supported (float, integer and bool types are)")),
    }
}

/// Decodes a stored tensor. `folder` is where external data may lie.
pub(crate) fn decode(tensor: &TensorProto, folder: Option<&Path>) -> Result<Const, Fault> {
    check_rank(tensor.dims.len())?;
    let dims = dims_of(tensor)?;
    let Some(count) = element_count(&dims) else {
        return bad(format!("the dimensions {dims:?} overflow"));
    };
    is_float(tensor.data_type)?;
    let external;
    let raw: &[u8] = if tensor.data_location == 1 {
        external = read_external(tensor, folder)?;
        &external
    } else {
        &tensor.raw_data
    };
    let values =
        if raw.is_empty() { from_typed_fields(tensor)? } else { from_raw(tensor.data_type, raw, count)? };
    if values.len() != count {
        return bad(format!("dimensions {dims:?} need {count} values, found {}", values.len()));
    }
    let unsigned = matches!(tensor.data_type, data_type::UINT8 | data_type::UINT16);
    Ok(Const { name: tensor.name.clone(), dims, values, unsigned })
}

fn dims_of(tensor: &TensorProto) -> Result<Vec<usize>, Fault> {
    let dim = |&d: &i64| usize::try_from(d).map_err(|_| Fault::Bad(format!("dimension {d} is negative")));
    tensor.dims.iter().map(dim).collect()
}

fn from_raw(data_type: i32, raw: &[u8], count: usize) -> Result<Values, Fault> {
    use data_type::*;
    let size = match data_type {
        UINT8 | INT8 | BOOL => 1,
        UINT16 | INT16 | FLOAT16 | BFLOAT16 => 2,
        FLOAT | INT32 | UINT32 => 4,
        _ => 8,
    };
    if count.checked_mul(size) != Some(raw.len()) {
        return bad(format!(
            "{count} values of {size} bytes are declared, but the data has {} bytes",
            raw.len()
        ));
    }
    fn map<const N: usize, T>(raw: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks::<N>().0.iter().map(|&b| f(b)).collect()
    }
    Ok(match data_type {
        FLOAT => Values::Float(map(raw, f32::from_le_bytes)),
        DOUBLE => Values::Float(map(raw, |b| f64::from_le_bytes(b) as f32)),
        FLOAT16 => Values::Float(map(raw, |b| f16::from_le_bytes(b).to_f32())),
        BFLOAT16 => Values::Float(map(raw, |b| bf16::from_le_bytes(b).to_f32())),
        UINT8 | BOOL => Values::Int(map(raw, |[b]: [u8; 1]| i64::from(b))),
        INT8 => Values::Int(map(raw, |b| i64::from(i8::from_le_bytes(b)))),
        UINT16 => Values::Int(map(raw, |b| i64::from(u16::from_le_bytes(b)))),
        INT16 => Values::Int(map(raw, |b| i64::from(i16::from_le_bytes(b)))),
        INT32 => Values::Int(map(raw, |b| i64::from(i32::from_le_bytes(b)))),
        UINT32 => Values::Int(map(raw, |b| i64::from(u32::from_le_bytes(b)))),
        _ => Values::Int(map(raw, i64::from_le_bytes)),
    })
}

fn from_typed_fields(t: &TensorProto) -> Result<Values, Fault> {
    use data_type::*;
    Ok(match t.data_type {
        FLOAT => Values::Float(t.float_data.clone()),
        DOUBLE => Values::Float(t.double_data.iter().map(|&v| v as f32).collect()),
        // Half floats are stored as the bits of their 16-bit pattern.
        FLOAT16 => Values::Float(t.int32_data.iter().map(|&v| f16::from_bits(v as u16).to_f32()).collect()),
        BFLOAT16 => Values::Float(t.int32_data.iter().map(|&v| bf16::from_bits(v as u16).to_f32()).collect()),
        INT64 => Values::Int(t.int64_data.clone()),
        UINT32 | UINT64 => Values::Int(t.uint64_data.iter().map(|&v| v as i64).collect()),
        _ => Values::Int(t.int32_data.iter().map(|&v| i64::from(v)).collect()),
    })
}

/// Reads the part of a neighbouring file that the tensor names; never outside `folder`.
fn read_external(tensor: &TensorProto, folder: Option<&Path>) -> Result<Vec<u8>, Fault> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let location = entry("location").unwrap_or_default();
    let Some(folder) = folder else {
        return bad(format!("its data is in the file '{location}'; import the model by its path"));
    };
    let plain = Path::new(location).components().all(|c| matches!(c, Component::Normal(_)));
    if location.is_empty() || !plain {
        return bad(format!("external data '{location}' must be a plain path next to the model"));
    }
    let number = |key: &str| match entry(key).map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(n)) => Ok(Some(n)),
        Some(Err(_)) => bad(format!("external data: '{key}' is not a number")),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    read_range(folder, location, offset, length)
}

fn read_range(folder: &Path, location: &str, offset: u64, length: Option<u64>) -> Result<Vec<u8>, Fault> {
    let cannot = |e: std::io::Error| Fault::Bad(format!("cannot read external data '{location}': {e}"));
    let folder = folder.canonicalize().map_err(cannot)?;
    let path = folder.join(location).canonicalize().map_err(cannot)?;
    if !path.starts_with(&folder) {
        return bad(format!("external data '{location}' lies outside the model's folder"));
    }
    let mut file = File::open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    let length = length.unwrap_or(meta.len().saturating_sub(offset));
    if !meta.is_file() || offset.checked_add(length).is_none_or(|end| end > meta.len()) {
        let found = meta.len();
        return bad(format!("external data '{location}': {length} bytes at {offset} of a file of {found}"));
    }
    if length > crate::import::MAX_FILE_BYTES {
        return unsupported(format!("external data of {length} bytes"));
    }
    file.seek(SeekFrom::Start(offset)).map_err(cannot)?;
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}
