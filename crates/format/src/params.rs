//! Parameter records: what a layer computes.
//!
//! Each record starts at a multiple of 4 and is padded to one. The tables list the fields in order; `0` is a reserved
//! byte. Shapes and zero points are in the tensor table.
//!
//! | operator | record |
//! |---|---|
//! | Conv2d, DepthwiseConv2d | window (20 bytes), then the record of [`crate::linear`] |
//! | FullyConnected | the record of [`crate::linear`] |
//! | Add, Sub | i32 multiplier of input 1, of input 2, of the output; i8 shift of each; u8 left shift; i8 clamp min, max; 0, 0 |
//! | Mul, Requantize | i32 multiplier; i8 shift; i8 clamp min, max; 0 |
//! | Concat | u8 axis (1 = h, 2 = w, 3 = c); 0; u16 count; count · u16 tensor |
//! | MaxPool | window; i8 clamp min, max; 0, 0 |
//! | AveragePool | window; i8 clamp min, max; u8 1 when padding counts; 0 |
//! | Mean | i32 multiplier; i8 shift; u8 axes (bit 0 = h, 1 = w, 2 = c); 0, 0 |
//! | Reshape | none |
//! | Transpose | u8 perm · 3 (output axis i is input axis perm\[i\]; 0 = h, 1 = w, 2 = c); 0 |
//! | Slice | u32 begin of h, w, c; u32 stride of h, w, c |
//! | Pad | u32 elements before on h, w, c; i8 value; 0, 0, 0 |
//! | Lut | i8 · 256, indexed by the input's byte (0..=127, then -128..=-1) |
//! | Softmax | i32 multiplier; i32 diff min; i8 shift; 0, 0, 0 |
//! | LogSoftmax | i32 multiplier; i32 diff min; i32 reverse multiplier; i8 shift; i8 reverse shift; 0, 0 |
//! | ResizeNearest | u16 source row of each output row; u16 source column of each output column |
//!
//! Window: u16 kernel h, w; u16 stride h, w; u16 dilation h, w; u16 padding top, bottom, left, right.

use crate::bytes::{Emitter, Reader};
use crate::layer::{Opcode, Storage};
pub use crate::window::WINDOW_LEN;
use crate::{BufferTooSmall, Clamp, Elementwise, Linear, Rescale, Shape, Window};

/// The parameters of a layer. Numbers in slices are little-endian as in the blob.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Params<'a> {
    /// Convolution, filters OHWI.
    Conv2d {
        /// Sliding window.
        window: Window,
        /// Weights and output scaling.
        linear: Linear<'a>,
    },
    /// Depthwise convolution, filters 1HWO; output channel `o` reads input channel `o / (O / C)`.
    DepthwiseConv2d {
        /// Sliding window.
        window: Window,
        /// Weights (dense only) and output scaling.
        linear: Linear<'a>,
    },
    /// Matrix product of the weights OI with the channels of every pixel.
    FullyConnected {
        /// Weights and output scaling.
        linear: Linear<'a>,
    },
    /// Sum; an axis of size 1 is repeated to the other's size.
    Add(Elementwise),
    /// First input less the second, broadcast as Add.
    Sub(Elementwise),
    /// Product, broadcast as Add.
    Mul(Rescale),
    /// Joins inputs of the same scale and zero point.
    Concat {
        /// 1 = h, 2 = w, 3 = c.
        axis: u8,
        /// Tensor indexes (u16).
        inputs: &'a [[u8; 2]],
    },
    /// Maximum over the window; padding never wins. Input and output have the same scale and zero point.
    MaxPool {
        /// Sliding window, dilation 1.
        window: Window,
        /// Clamp of the output.
        clamp: Clamp,
    },
    /// Mean over the window. Input and output have the same scale and zero point.
    AveragePool {
        /// Sliding window, dilation 1.
        window: Window,
        /// Clamp of the output.
        clamp: Clamp,
        /// True when padding counts as real zeros, false when only covered pixels are averaged.
        count_include_pad: bool,
    },
    /// `multiply(sum of (x - zero_point), multiplier, shift) + zero_point_out` over the axes; the division by the
    /// number of elements is in the multiplier.
    Mean {
        /// Bit 0 = h, 1 = w, 2 = c.
        axes: u8,
        /// Q31.
        multiplier: i32,
        /// Positive to the left.
        shift: i8,
    },
    /// The same elements in the same order.
    Reshape,
    /// Output axis `i` is input axis `perm[i]`; 0 = h, 1 = w, 2 = c.
    Transpose {
        /// The permutation.
        perm: [u8; 3],
    },
    /// Elements `begin + i * stride`; the output's shape says how many.
    Slice {
        /// First index on h, w, c.
        begin: [u32; 3],
        /// Positive step on h, w, c.
        stride: [u32; 3],
    },
    /// A border; the output's shape says how much comes behind.
    Pad {
        /// Elements before on h, w, c.
        before: [u32; 3],
        /// The quantised value.
        value: i8,
    },
    /// `clamp(zero_point_out + multiply(x - zero_point, multiplier, shift))`.
    Requantize(Rescale),
    /// `table[x as u8]`.
    Lut(&'a [i8]),
    /// Softmax over channels; output scale 1/256, zero point -128.
    Softmax {
        /// Scales the difference to the maximum to Q5.26.
        multiplier: i32,
        /// Its shift, not negative.
        shift: i8,
        /// Differences below this give the smallest output.
        diff_min: i32,
    },
    /// Logarithm of the softmax over channels; output scale 16/256, zero point 127.
    LogSoftmax {
        /// Scales the difference to the maximum to Q5.26.
        multiplier: i32,
        /// Its shift.
        shift: i8,
        /// Scales Q5.26 back to the input's steps.
        reverse_multiplier: i32,
        /// Its shift (negative to the right).
        reverse_shift: i8,
        /// Differences below this give the smallest output.
        diff_min: i32,
    },
    /// Nearest-neighbour resize by table.
    ResizeNearest {
        /// Source row (u16) of each output row.
        rows: &'a [[u8; 2]],
        /// Source column (u16) of each output column.
        columns: &'a [[u8; 2]],
    },
}

impl<'a> Params<'a> {
    /// The operator.
    pub const fn opcode(&self) -> Opcode {
        match self {
            Params::Conv2d { .. } => Opcode::Conv2d,
            Params::DepthwiseConv2d { .. } => Opcode::DepthwiseConv2d,
            Params::FullyConnected { .. } => Opcode::FullyConnected,
            Params::Add(_) => Opcode::Add,
            Params::Sub(_) => Opcode::Sub,
            Params::Mul(_) => Opcode::Mul,
            Params::Concat { .. } => Opcode::Concat,
            Params::MaxPool { .. } => Opcode::MaxPool,
            Params::AveragePool { .. } => Opcode::AveragePool,
            Params::Mean { .. } => Opcode::Mean,
            Params::Reshape => Opcode::Reshape,
            Params::Transpose { .. } => Opcode::Transpose,
            Params::Slice { .. } => Opcode::Slice,
            Params::Pad { .. } => Opcode::Pad,
            Params::Requantize(_) => Opcode::Requantize,
            Params::Lut(_) => Opcode::Lut,
            Params::Softmax { .. } => Opcode::Softmax,
            Params::LogSoftmax { .. } => Opcode::LogSoftmax,
            Params::ResizeNearest { .. } => Opcode::ResizeNearest,
        }
    }

    /// The storage form of the weights; dense for layers without weights.
    pub const fn storage(&self) -> Storage {
        match self.linear() {
            Some(linear) => linear.weights.storage(),
            None => Storage::Dense,
        }
    }

    /// Weights and output scaling of the layers that have them.
    pub const fn linear(&self) -> Option<&Linear<'a>> {
        match self {
            Params::Conv2d { linear, .. }
            | Params::DepthwiseConv2d { linear, .. }
            | Params::FullyConnected { linear } => Some(linear),
            _ => None,
        }
    }

    /// Exact bytes of the record, a multiple of 4; 0 when the operator has none.
    pub const fn encoded_len(&self) -> usize {
        let exact = match self {
            Params::Conv2d { linear, .. } | Params::DepthwiseConv2d { linear, .. } => {
                WINDOW_LEN + linear.encoded_len()
            }
            Params::FullyConnected { linear } => linear.encoded_len(),
            Params::Add(_) | Params::Sub(_) => 20,
            Params::Mul(_) | Params::Requantize(_) | Params::Mean { .. } => 8,
            Params::Concat { inputs, .. } => 4 + 2 * inputs.len(),
            Params::MaxPool { .. } | Params::AveragePool { .. } => WINDOW_LEN + 4,
            Params::Reshape => 0,
            Params::Transpose { .. } => 4,
            Params::Slice { .. } => 24,
            Params::Pad { .. } | Params::LogSoftmax { .. } => 16,
            Params::Lut(table) => table.len(),
            Params::Softmax { .. } => 12,
            Params::ResizeNearest { rows, columns } => 2 * (rows.len() + columns.len()),
        };
        exact.next_multiple_of(4)
    }

    /// Writes the record, [`Params::encoded_len`] bytes.
    ///
    /// # Errors
    /// When `out` is shorter.
    pub fn emit(&self, out: &mut [u8]) -> Result<(), BufferTooSmall> {
        let mut e = Emitter::new(out);
        self.try_emit(&mut e).and_then(|()| e.align(4)).ok_or(BufferTooSmall)
    }

    fn try_emit(&self, e: &mut Emitter<'_>) -> Option<()> {
        match *self {
            Params::Conv2d { window, linear } | Params::DepthwiseConv2d { window, linear } => {
                window.emit(e)?;
                linear.emit(e)
            }
            Params::FullyConnected { linear } => linear.emit(e),
            Params::Add(p) | Params::Sub(p) => p.emit(e),
            Params::Mul(p) | Params::Requantize(p) => {
                e.bytes(&p.multiplier.to_le_bytes())?;
                e.i8s(&[p.shift, p.clamp.min, p.clamp.max, 0])
            }
            Params::Concat { axis, inputs } => {
                e.bytes(&[axis, 0])?;
                e.bytes(&u16::try_from(inputs.len()).ok()?.to_le_bytes())?;
                e.numbers(inputs)
            }
            Params::MaxPool { window, clamp } => {
                window.emit(e)?;
                e.i8s(&[clamp.min, clamp.max, 0, 0])
            }
            Params::AveragePool { window, clamp, count_include_pad } => {
                window.emit(e)?;
                e.i8s(&[clamp.min, clamp.max, i8::from(count_include_pad), 0])
            }
            Params::Mean { axes, multiplier, shift } => {
                e.bytes(&multiplier.to_le_bytes())?;
                e.i8s(&[shift])?;
                e.bytes(&[axes, 0, 0])
            }
            Params::Reshape => Some(()),
            Params::Transpose { perm } => e.bytes(&perm),
            Params::Slice { begin, stride } => {
                e.u32s(&begin)?;
                e.u32s(&stride)
            }
            Params::Pad { before, value } => {
                e.u32s(&before)?;
                e.i8s(&[value])
            }
            Params::Lut(table) => e.i8s(table),
            Params::Softmax { multiplier, shift, diff_min } => {
                e.numbers(&[multiplier, diff_min].map(i32::to_le_bytes))?;
                e.i8s(&[shift])
            }
            Params::LogSoftmax { multiplier, shift, reverse_multiplier, reverse_shift, diff_min } => {
                e.numbers(&[multiplier, diff_min, reverse_multiplier].map(i32::to_le_bytes))?;
                e.i8s(&[shift, reverse_shift])
            }
            Params::ResizeNearest { rows, columns } => {
                e.numbers(rows)?;
                e.numbers(columns)
            }
        }
    }

    /// The record of a layer with neither weights nor window, whose output has shape `output`; `None` when it does not fit
    /// into the bytes or the operator is not part of this build.
    #[inline]
    pub(crate) fn parse(opcode: Opcode, r: &mut Reader<'a>, output: Shape) -> Option<Self> {
        Some(match opcode {
            Opcode::Reshape => Params::Reshape,
            Opcode::Add if Opcode::Add.is_built() => Params::Add(Elementwise::parse(r)?),
            Opcode::Sub if Opcode::Sub.is_built() => Params::Sub(Elementwise::parse(r)?),
            Opcode::Mul if Opcode::Mul.is_built() => Params::Mul(Rescale::parse(r)?),
            Opcode::Requantize if Opcode::Requantize.is_built() => Params::Requantize(Rescale::parse(r)?),
            Opcode::Concat if Opcode::Concat.is_built() => {
                let [axis, _] = r.array()?;
                let count = r.u16()?;
                Params::Concat { axis, inputs: r.numbers(usize::from(count))? }
            }
            Opcode::Mean if Opcode::Mean.is_built() => {
                let (multiplier, shift, axes) = (r.i32()?, r.i8()?, r.u8()?);
                Params::Mean { axes, multiplier, shift }
            }
            Opcode::Transpose if Opcode::Transpose.is_built() => Params::Transpose { perm: r.array()? },
            Opcode::Slice if Opcode::Slice.is_built() => {
                Params::Slice { begin: r.triple()?, stride: r.triple()? }
            }
            Opcode::Pad if Opcode::Pad.is_built() => Params::Pad { before: r.triple()?, value: r.i8()? },
            Opcode::Lut if Opcode::Lut.is_built() => Params::Lut(r.i8s(256)?),
            Opcode::Softmax if Opcode::Softmax.is_built() => {
                let (multiplier, diff_min, shift) = (r.i32()?, r.i32()?, r.i8()?);
                Params::Softmax { multiplier, shift, diff_min }
            }
            Opcode::LogSoftmax if Opcode::LogSoftmax.is_built() => {
                let (multiplier, diff_min, reverse_multiplier) = (r.i32()?, r.i32()?, r.i32()?);
                let (shift, reverse_shift) = (r.i8()?, r.i8()?);
                Params::LogSoftmax { multiplier, shift, reverse_multiplier, reverse_shift, diff_min }
            }
            Opcode::ResizeNearest if Opcode::ResizeNearest.is_built() => Params::ResizeNearest {
                rows: r.numbers(usize::from(output.h))?,
                columns: r.numbers(output.w as usize)?,
            },
            _ => return None,
        })
    }
}
