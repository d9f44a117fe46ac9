//! Tensors: shape, element type, quantisation, constant data.

use serde::{Deserialize, Serialize};

/// Index of a tensor in [`crate::Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorId(pub u32);

impl TensorId {
    /// The position in [`crate::Graph::tensors`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The type of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ElementType {
    /// 32-bit float.
    F32,
    /// Signed 8-bit, quantised.
    I8,
    /// Unsigned 8-bit, quantised (model inputs and outputs only).
    U8,
    /// Signed 32-bit (quantised biases).
    I32,
}

impl ElementType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            ElementType::F32 | ElementType::I32 => 4,
            ElementType::I8 | ElementType::U8 => 1,
        }
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ElementType::F32 => "float32",
            ElementType::I8 => "int8",
            ElementType::U8 => "uint8",
            ElementType::I32 => "int32",
        })
    }
}

/// Affine quantisation, `real = scale * (q - zero_point)`, as in the TFLite 8-bit quantisation specification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantParams {
    /// One scale (per tensor) or one for each index along `axis` (per channel).
    pub scale: Vec<f32>,
    /// As many as `scale`.
    pub zero_point: Vec<i32>,
    /// The channel axis in the IR layout; meaningless for per-tensor parameters.
    pub axis: usize,
}

impl QuantParams {
    /// Per-tensor parameters.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        QuantParams { scale: vec![scale], zero_point: vec![zero_point], axis: 0 }
    }

    /// True when one scale holds for the whole tensor.
    pub fn is_per_tensor(&self) -> bool {
        self.scale.len() == 1
    }
}

/// Constant data of a tensor, row-major in the tensor's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Data {
    /// float32 values.
    F32(Vec<f32>),
    /// int8 values.
    I8(Vec<i8>),
    /// uint8 values.
    U8(Vec<u8>),
    /// int32 values.
    I32(Vec<i32>),
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I8(v) => v.len(),
            Data::U8(v) => v.len(),
            Data::I32(v) => v.len(),
        }
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        match self {
            Data::F32(_) => ElementType::F32,
            Data::I8(_) => ElementType::I8,
            Data::U8(_) => ElementType::U8,
            Data::I32(_) => ElementType::I32,
        }
    }
}

/// A value in the graph: an activation (no data) or a constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Name from the source model, for messages.
    pub name: String,
    /// Dimensions; see the crate documentation for the layout of each role.
    pub shape: Vec<usize>,
    /// Element type; equals the data's type for a constant.
    pub element_type: ElementType,
    /// Quantisation parameters; required for int8 and uint8.
    pub quant: Option<QuantParams>,
    /// The values of a constant.
    pub data: Option<Data>,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True when a dimension is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the whole tensor.
    pub fn bytes(&self) -> usize {
        self.len() * self.element_type.size()
    }

    /// The data of a float constant.
    pub fn f32_data(&self) -> Option<&[f32]> {
        match &self.data {
            Some(Data::F32(v)) => Some(v),
            _ => None,
        }
    }

    /// The data of a float constant, to change it in place.
    pub fn f32_data_mut(&mut self) -> Option<&mut Vec<f32>> {
        match &mut self.data {
            Some(Data::F32(v)) => Some(v),
            _ => None,
        }
    }

    /// The data of an int8 constant.
    pub fn i8_data(&self) -> Option<&[i8]> {
        match &self.data {
            Some(Data::I8(v)) => Some(v),
            _ => None,
        }
    }

    /// The data of an int32 constant.
    pub fn i32_data(&self) -> Option<&[i32]> {
        match &self.data {
            Some(Data::I32(v)) => Some(v),
            _ => None,
        }
    }
}
