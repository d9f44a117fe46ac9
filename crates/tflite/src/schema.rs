//! The tables of the TFLite schema (version 3) that the importer needs, decoded into plain structs.

use crate::flat::{Flat, FlatError, Table};

/// TFLite's element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorType {
    F32,
    F16,
    I32,
    U8,
    I64,
    Bool,
    I16,
    I8,
    I4,
    /// Any other, with its number in the schema.
    Other(i8),
}

impl TensorType {
    fn from_code(code: i8) -> Self {
        match code {
            0 => TensorType::F32,
            1 => TensorType::F16,
            2 => TensorType::I32,
            3 => TensorType::U8,
            4 => TensorType::I64,
            6 => TensorType::Bool,
            7 => TensorType::I16,
            9 => TensorType::I8,
            17 => TensorType::I4,
            other => TensorType::Other(other),
        }
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TensorType::F32 => "float32",
            TensorType::F16 => "float16",
            TensorType::I32 => "int32",
            TensorType::U8 => "uint8",
            TensorType::I64 => "int64",
            TensorType::Bool => "bool",
            TensorType::I16 => "int16",
            TensorType::I8 => "int8",
            TensorType::I4 => "int4",
            TensorType::Other(code) => return write!(f, "type #{code}"),
        })
    }
}

/// Affine quantisation as stored.
#[derive(Clone, Debug, Default)]
pub struct Quantization {
    pub scale: Vec<f32>,
    pub zero_point: Vec<i64>,
    pub axis: i32,
}

/// A tensor as stored.
#[derive(Clone, Debug)]
pub struct SourceTensor {
    pub name: String,
    pub shape: Vec<i32>,
    pub kind: TensorType,
    /// Index into [`Model::buffers`]; 0 is the empty buffer.
    pub buffer: usize,
    /// `None` when there is no scale.
    pub quant: Option<Quantization>,
    pub is_sparse: bool,
}

/// An operator as stored.
pub struct Operator<'a> {
    /// Index into [`Model::codes`].
    pub code: usize,
    /// Tensor indices; negative means that an optional input is absent.
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    /// Which options table the file claims to have, by its number in the schema.
    pub options_type: i8,
    pub options: Option<Table<'a>>,
}

/// Which operator an opcode index means.
#[derive(Clone, Debug)]
pub struct OperatorCode {
    pub builtin: i32,
    pub custom: String,
}

/// A whole model: the first subgraph is the one that runs.
pub struct Model<'a> {
    pub flat: &'a Flat<'a>,
    pub codes: Vec<OperatorCode>,
    pub buffers: Vec<&'a [u8]>,
    pub tensors: Vec<SourceTensor>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub operators: Vec<Operator<'a>>,
}

/// What is wrong with a model file as a whole.
#[derive(Debug)]
pub enum ModelError {
    Flat(FlatError),
    Other(String),
}

impl From<FlatError> for ModelError {
    fn from(error: FlatError) -> Self {
        ModelError::Flat(error)
    }
}

const SCHEMA_VERSION: i32 = 3;

impl<'a> Model<'a> {
    /// Decodes the model's tables; tensor data stays in the file.
    pub fn read(flat: &'a Flat<'a>) -> Result<Self, ModelError> {
        let root = flat.root()?;
        let version = root.i32(0, 0)?;
        if version != SCHEMA_VERSION {
            return Err(ModelError::Other(format!("schema version {version}, expected {SCHEMA_VERSION}")));
        }
        let mut graphs = root.tables(2, Ok)?.into_iter();
        let Some(graph) = graphs.next() else {
            return Err(ModelError::Other("it has no subgraph".into()));
        };
        Ok(Model {
            flat,
            codes: root.tables(1, operator_code)?,
            buffers: root.tables(4, |t| buffer(flat, t))?,
            tensors: graph.tables(0, tensor)?,
            inputs: graph.i32s(1)?,
            outputs: graph.i32s(2)?,
            operators: graph.tables(3, operator)?,
        })
    }
}

fn operator_code(t: Table<'_>) -> Result<OperatorCode, FlatError> {
    // Codes above 127 do not fit the old field; the larger one is meant.
    let builtin = t.i32(3, 0)?.max(i32::from(t.i8(0, 0)?));
    Ok(OperatorCode { builtin, custom: t.string(1)? })
}

fn buffer<'a>(flat: &'a Flat<'a>, t: Table<'a>) -> Result<&'a [u8], FlatError> {
    let (offset, size) = (t.u64(1)?, t.u64(2)?);
    // Large files keep their data behind the FlatBuffer; offsets 0 and 1 mean "not used".
    if offset <= 1 {
        return t.bytes(0);
    }
    let clip = |v: u64| usize::try_from(v).unwrap_or(usize::MAX);
    flat.slice(clip(offset), clip(size), "an external buffer")
}

fn tensor(t: Table<'_>) -> Result<SourceTensor, FlatError> {
    Ok(SourceTensor {
        name: t.string(3)?,
        shape: t.i32s(0)?,
        kind: TensorType::from_code(t.i8(1, 0)?),
        buffer: usize::try_from(t.i32(2, 0)?).unwrap_or(usize::MAX),
        quant: t.table(4)?.map(quantization).transpose()?.filter(|q| !q.scale.is_empty()),
        is_sparse: t.table(6)?.is_some(),
    })
}

fn quantization(t: Table<'_>) -> Result<Quantization, FlatError> {
    Ok(Quantization { scale: t.f32s(2)?, zero_point: t.i64s(3)?, axis: t.i32(6, 0)? })
}

fn operator<'a>(t: Table<'a>) -> Result<Operator<'a>, FlatError> {
    Ok(Operator {
        code: usize::try_from(t.i32(0, 0)?).unwrap_or(usize::MAX),
        inputs: t.i32s(1)?,
        outputs: t.i32s(2)?,
        options_type: t.i8(3, 0)?,
        options: t.table(4)?,
    })
}
