//! Constants of the source model: weights, and the small integers that describe shapes.

use dtmm_graph::QuantParams;

use crate::dims::{checked_dims, element_count};
use crate::error::NodeError;
use crate::flat::Flat;
use crate::schema::{SourceTensor, TensorType};

/// Values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    F32(Vec<f32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

/// A constant with its source shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    pub dims: Vec<usize>,
    pub values: Values,
}

impl Constant {
    /// Copies a tensor's data out of the file, charging it.
    pub fn load(tensor: &SourceTensor, bytes: &[u8], flat: &Flat<'_>) -> Result<Self, NodeError> {
        let named = |what: String| NodeError::Invalid(format!("tensor '{}': {what}", tensor.name));
        if tensor.is_sparse {
            return NodeError::unsupported(format!(
                "tensor '{}' has sparse storage; convert without sparsity encoding",
                tensor.name
            ));
        }
        let dims = checked_dims(&tensor.shape).map_err(named)?;
        let count = element_count(&dims).unwrap_or(usize::MAX);
        flat.charge(bytes.len())?;
        let values = decode(tensor.kind, bytes, count)?;
        if values.len() != count {
            let kind = tensor.kind;
            return Err(named(format!(
                "shape {dims:?} of {kind} needs {count} values, but its buffer has {} bytes",
                bytes.len()
            )));
        }
        Ok(Constant { dims, values })
    }

    /// A list of indices.
    pub fn index(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Constant { dims, values: Values::I64(values) }
    }

    /// The real values of integers under `quant`, or floats as they are.
    pub fn dequantize(self, quant: Option<&QuantParams>) -> Result<Vec<f32>, NodeError> {
        let ints: Vec<i32> = match self.values {
            Values::F32(v) => return Ok(v),
            Values::I8(v) => v.into_iter().map(i32::from).collect(),
            Values::U8(v) => v.into_iter().map(i32::from).collect(),
            Values::I32(v) => v,
            Values::I64(_) => return NodeError::invalid("int64 values cannot be dequantised"),
        };
        let Some(q) = quant else {
            return NodeError::invalid("integer weights of a float operator need quantisation parameters");
        };
        let channels = q.scale.len();
        let inner: usize = self.dims.get(q.axis + 1..).map_or(1, |d| d.iter().product());
        let fits = channels == 1 || self.dims.get(q.axis) == Some(&channels);
        if !fits || inner == 0 {
            return NodeError::invalid(format!("{channels} scales do not fit shape {:?}", self.dims));
        }
        let real = |(i, &v): (usize, &i32)| {
            let c = (i / inner) % channels;
            // The difference is taken wide: a zero point may be any int32.
            q.scale[c] * (i64::from(v) - i64::from(q.zero_point[c])) as f32
        };
        Ok(ints.iter().enumerate().map(real).collect())
    }
}

impl Values {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(v) => v.len(),
            Values::I8(v) => v.len(),
            Values::U8(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::I64(v) => v.len(),
        }
    }

    /// The integers, when this is a list of shapes, axes or indices.
    pub fn as_index(&self) -> Option<Vec<i64>> {
        match self {
            Values::I32(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            Values::I64(v) => Some(v.clone()),
            _ => None,
        }
    }

    /// The elements at `positions`, in that order; `None` when one is out of range.
    pub fn gather(&self, positions: &[usize]) -> Option<Values> {
        fn pick<T: Copy>(v: &[T], positions: &[usize]) -> Option<Vec<T>> {
            positions.iter().map(|&p| v.get(p).copied()).collect()
        }
        Some(match self {
            Values::F32(v) => Values::F32(pick(v, positions)?),
            Values::I8(v) => Values::I8(pick(v, positions)?),
            Values::U8(v) => Values::U8(pick(v, positions)?),
            Values::I32(v) => Values::I32(pick(v, positions)?),
            Values::I64(v) => Values::I64(pick(v, positions)?),
        })
    }
}

fn decode(kind: TensorType, bytes: &[u8], count: usize) -> Result<Values, NodeError> {
    Ok(match kind {
        TensorType::F32 => Values::F32(words(bytes, f32::from_le_bytes)),
        TensorType::F16 => Values::F32(words(bytes, |b| half_to_f32(u16::from_le_bytes(b)))),
        TensorType::I32 => Values::I32(words(bytes, i32::from_le_bytes)),
        TensorType::I64 => Values::I64(words(bytes, i64::from_le_bytes)),
        TensorType::I8 => Values::I8(words(bytes, i8::from_le_bytes)),
        TensorType::U8 => Values::U8(bytes.to_vec()),
        TensorType::I4 => Values::I8(nibbles(bytes, count)),
        other => return NodeError::unsupported(format!("constants of type {other}")),
    })
}

/// Little-endian elements; incomplete ones at the end are dropped, the caller compares the count.
fn words<const N: usize, T>(bytes: &[u8], decode: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&b| decode(b)).collect()
}

/// Two's complement nibbles, low one first, `count` of them when there are as many.
fn nibbles(bytes: &[u8], count: usize) -> Vec<i8> {
    let both = bytes.iter().flat_map(|&b| [(b << 4) as i8 >> 4, b as i8 >> 4]);
    both.take(count).collect()
}

/// IEEE 754 binary16 to binary32, exact.
fn half_to_f32(h: u16) -> f32 {
    let (sign, exponent, mantissa) = (u32::from(h >> 15), u32::from(h >> 10) & 31, u32::from(h) & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa as f32 * (-24f32).exp2(),
        31 => f32::from_bits(0x7f80_0000 | mantissa << 13),
        _ => f32::from_bits((exponent + 112) << 23 | mantissa << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign << 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_half_floats() {
        let cases =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0x8000, -0.0)];
        for (bits, value) in cases {
            assert_eq!(half_to_f32(bits).to_bits(), f32::to_bits(value), "{bits:#x}");
        }
        assert_eq!(half_to_f32(0x7c00), f32::INFINITY);
        assert!(half_to_f32(0x7e00).is_nan());
    }

    #[test]
    fn unpacks_nibbles_low_first() {
        assert_eq!(nibbles(&[0x8f, 0x07], 3), [-1, -8, 7]);
    }

    #[test]
    fn dequantizes_per_channel() {
        let quant = QuantParams { scale: vec![0.5, 2.0], zero_point: vec![0, 1], axis: 1 };
        let c = Constant { dims: vec![2, 2, 1], values: Values::I8(vec![2, 3, -4, -1]) };
        assert_eq!(c.dequantize(Some(&quant)).unwrap(), [1.0, 4.0, -2.0, -4.0]);
    }
}
