//! The layer table: 20 bytes per layer, in execution order.
//!
//! | bytes | field |
//! |---|---|
//! | 0 | opcode, see [`Opcode`] |
//! | 1 | storage form of the weights, see [`Storage`]; 0 for layers without weights |
//! | 2..4 | index of the first input tensor (u16); `0xFFFF` for Concat, whose parameters list the inputs |
//! | 4..6 | index of the second input tensor (u16) of Add, Sub and Mul, else `0xFFFF` |
//! | 6..8 | index of the output tensor (u16) |
//! | 8..12 | offset of the parameter record (u32), a multiple of 4; 0 when the operator has none |
//! | 12..16 | arena offset of the scratch memory (u32), a multiple of 4 |
//! | 16..20 | bytes of scratch memory (u32), 0 when the kernel needs none |

use crate::bytes::put;
use crate::{BufferTooSmall, NO_TENSOR, Params};

/// Bytes of one record.
pub const LEN: usize = 20;

/// Byte ranges of the fields.
pub mod field {
    use core::ops::Range;
    /// Opcode.
    pub const OPCODE: Range<usize> = 0..1;
    /// Storage form.
    pub const STORAGE: Range<usize> = 1..2;
    /// First input tensor.
    pub const INPUT_0: Range<usize> = 2..4;
    /// Second input tensor.
    pub const INPUT_1: Range<usize> = 4..6;
    /// Output tensor.
    pub const OUTPUT: Range<usize> = 6..8;
    /// Offset of the parameters.
    pub const PARAMS: Range<usize> = 8..12;
    /// Arena offset of the scratch memory.
    pub const SCRATCH_OFFSET: Range<usize> = 12..16;
    /// Bytes of scratch memory.
    pub const SCRATCH_LEN: Range<usize> = 16..20;
}

macro_rules! byte_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$case_doc])* $case = $value,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$($name::$case,)*];

            /// The value with this number, if there is one.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($value => Some($name::$case),)*
                    _ => None,
                }
            }

            /// The number in the package.
            pub const fn byte(self) -> u8 {
                self as u8
            }

            /// The name as it is written here.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$case => stringify!($case),)*
                }
            }
        }
    };
}

byte_enum! {
    /// What a layer computes; [`Params`] documents each.
    Opcode {
        /// Convolution.
        Conv2d = 1,
        /// Depthwise convolution.
        DepthwiseConv2d = 2,
        /// Matrix product with every row of channels.
        FullyConnected = 3,
        /// Sum.
        Add = 4,
        /// Difference.
        Sub = 5,
        /// Product.
        Mul = 6,
        /// Joins inputs.
        Concat = 7,
        /// Maximum over a window.
        MaxPool = 8,
        /// Mean over a window.
        AveragePool = 9,
        /// Mean over whole axes.
        Mean = 10,
        /// The same elements under another shape.
        Reshape = 11,
        /// Moves axes.
        Transpose = 12,
        /// Every n-th element of a part.
        Slice = 13,
        /// Constant border.
        Pad = 14,
        /// Other scale and zero point, and a clamp: quantize, ReLU, ReLU6, clip.
        Requantize = 15,
        /// Table look-up: any other function of one value.
        Lut = 16,
        /// Softmax over channels.
        Softmax = 17,
        /// Logarithm of the softmax over channels.
        LogSoftmax = 18,
        /// Nearest-neighbour resize.
        ResizeNearest = 19,
    }
}

byte_enum! {
    /// How a layer stores its weights; see [`crate::fwcs`].
    Storage {
        /// All weights, row-major.
        Dense = 0,
        /// FWCS: one bit per run and the surviving runs.
        Bitmap = 1,
        /// FWCS: one byte per surviving run (its distance from the one before) and the surviving runs.
        Gaps = 2,
    }
}

impl Opcode {
    /// Whether the operator is part of this build; the crate's features say so.
    pub const fn is_built(self) -> bool {
        match self {
            Opcode::Conv2d => cfg!(feature = "conv2d"),
            Opcode::DepthwiseConv2d => cfg!(feature = "depthwise"),
            Opcode::FullyConnected => cfg!(feature = "fully-connected"),
            Opcode::Add | Opcode::Sub | Opcode::Mul => cfg!(feature = "elementwise"),
            Opcode::Concat => cfg!(feature = "concat"),
            Opcode::MaxPool => cfg!(feature = "max-pool"),
            Opcode::AveragePool => cfg!(feature = "average-pool"),
            Opcode::Mean => cfg!(feature = "mean"),
            Opcode::Reshape => true,
            Opcode::Transpose | Opcode::Slice | Opcode::Pad | Opcode::ResizeNearest => {
                cfg!(feature = "movement")
            }
            Opcode::Requantize | Opcode::Lut => cfg!(feature = "activation"),
            Opcode::Softmax | Opcode::LogSoftmax => cfg!(feature = "softmax"),
        }
    }

    /// True when the output may occupy exactly the bytes of one input of the same shape (Reshape: the same length).
    pub const fn works_in_place(self) -> bool {
        matches!(
            self,
            Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Reshape | Opcode::Requantize | Opcode::Lut
        )
    }

    /// Whether it is part of this build and has weights.
    pub const fn has_weights(self) -> bool {
        let weighted = matches!(self, Opcode::Conv2d | Opcode::DepthwiseConv2d | Opcode::FullyConnected);
        weighted && self.is_built()
    }

    /// Whether it is part of this build and pools under a window.
    pub const fn pools(self) -> bool {
        matches!(self, Opcode::MaxPool | Opcode::AveragePool) && self.is_built()
    }

    /// Number of input tensors in the layer record; 0 for Concat.
    pub const fn arity(self) -> usize {
        match self {
            Opcode::Add | Opcode::Sub | Opcode::Mul => 2,
            Opcode::Concat => 0,
            _ => 1,
        }
    }
}

/// Arena bytes that a layer uses while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// Arena offset, a multiple of 4.
    pub offset: u32,
    /// Bytes; 0 when the kernel needs none.
    pub len: u32,
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer<'a> {
    /// First and second input tensor, [`NO_TENSOR`] where there is none. Concat has its inputs in `params`.
    pub inputs: [u16; 2],
    /// Output tensor.
    pub output: u16,
    /// Scratch memory.
    pub scratch: Scratch,
    /// What to compute.
    pub params: Params<'a>,
}

impl<'a> Layer<'a> {
    /// Writes the record; `params_offset` is the blob offset at which the parameters were put (0: none).
    ///
    /// # Errors
    /// When `out` has fewer than [`LEN`] bytes.
    pub fn emit(&self, params_offset: u32, out: &mut [u8]) -> Result<(), BufferTooSmall> {
        let record = Record {
            opcode: self.params.opcode(),
            storage: self.params.storage(),
            inputs: self.inputs,
            output: self.output,
            params: params_offset,
            scratch: self.scratch,
        };
        record.emit(out).ok_or(BufferTooSmall)
    }

    /// Index of input tensor `k`; `None` when there are not so many.
    pub fn input(&self, k: usize) -> Option<u16> {
        match self.params {
            Params::Concat { inputs, .. } if Opcode::Concat.is_built() => {
                inputs.get(k).map(|t| u16::from_le_bytes(*t))
            }
            _ => self.inputs.get(k).copied().filter(|&t| t != NO_TENSOR),
        }
    }

    /// Indexes of all input tensors, in order.
    pub fn input_tensors(&self) -> impl Iterator<Item = u16> + use<'a> {
        let layer = *self;
        (0..).map_while(move |k| layer.input(k))
    }
}

/// One layer without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it computes.
    pub opcode: Opcode,
    /// How it stores its weights.
    pub storage: Storage,
    /// First and second input tensor, [`NO_TENSOR`] where there is none; a Concat has its inputs in its parameters.
    pub inputs: [u16; 2],
    /// Output tensor.
    pub output: u16,
    /// Offset of the parameters.
    pub params: u32,
    /// Scratch memory.
    pub scratch: Scratch,
}

impl Record {
    /// `None` for an unknown operator or storage form.
    #[inline]
    pub(crate) fn parse(&[opcode, storage, a, b, c, d, e, f, ref numbers @ ..]: &[u8; LEN]) -> Option<Self> {
        let [params, offset, len] = bytemuck::cast::<[u8; 12], [u32; 3]>(*numbers).map(u32::from_le);
        Some(Record {
            opcode: Opcode::from_byte(opcode)?,
            storage: Storage::from_byte(storage)?,
            inputs: [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])],
            output: u16::from_le_bytes([e, f]),
            params,
            scratch: Scratch { offset, len },
        })
    }

    fn emit(&self, out: &mut [u8]) -> Option<()> {
        put(out, field::OPCODE, [self.opcode.byte()])?;
        put(out, field::STORAGE, [self.storage.byte()])?;
        put(out, field::INPUT_0, self.inputs[0].to_le_bytes())?;
        put(out, field::INPUT_1, self.inputs[1].to_le_bytes())?;
        put(out, field::OUTPUT, self.output.to_le_bytes())?;
        put(out, field::PARAMS, self.params.to_le_bytes())?;
        put(out, field::SCRATCH_OFFSET, self.scratch.offset.to_le_bytes())?;
        put(out, field::SCRATCH_LEN, self.scratch.len.to_le_bytes())
    }
}
