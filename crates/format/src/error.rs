//! Why a package is refused.

use core::fmt;

/// The first reason why a package is refused. The numbers of [`FormatError::code`] are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// Fewer bytes than the header says, or than a header has.
    Truncated,
    /// The first four bytes are not `DTMM`.
    Magic,
    /// Written in another version of the format.
    Version(u16),
    /// The checksum does not match: the bytes were changed or only partly written.
    Checksum,
    /// A header field is impossible, or a table lies outside the blob.
    Header,
    /// The record of this tensor is malformed or lies outside blob or arena.
    Tensor(u16),
    /// The record of this layer is malformed.
    Layer(u16, Rule),
    /// An input or output refers to no tensor of the arena.
    Port(u16),
    /// Preprocessing, port descriptions or names are malformed.
    HostSection,
    /// The operator of this layer is not part of this build; see the crate's features.
    Operator(u16),
}

/// Which rule a layer breaks. The numbers of [`Rule::code`] are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Unknown opcode or storage form.
    Opcode,
    /// An input or the output is no tensor, the output is constant, or the number of inputs is wrong.
    Tensors,
    /// The parameter record does not fit into the blob.
    Record,
    /// The tensors' shapes do not fit the operator.
    Shape,
    /// Kernel, stride, dilation or padding is impossible.
    Window,
    /// A multiplier, shift or clamp is out of range.
    Quantization,
    /// Weights, run index or tables have another length than the shapes ask for, or hold impossible values.
    Data,
    /// Input, output and scratch overlap where the operator cannot work in place, or lie outside the arena.
    Overlap,
}

impl FormatError {
    /// A stable number for C callers; never 0.
    pub const fn code(self) -> u8 {
        match self {
            FormatError::Truncated => 1,
            FormatError::Magic => 2,
            FormatError::Version(_) => 3,
            FormatError::Checksum => 4,
            FormatError::Header => 5,
            FormatError::Tensor(_) => 6,
            FormatError::Port(_) => 7,
            FormatError::HostSection => 8,
            FormatError::Operator(_) => 65,
            FormatError::Layer(_, rule) => rule.code(),
        }
    }
}

impl Rule {
    /// A stable number for C callers, 16 and up.
    pub const fn code(self) -> u8 {
        match self {
            Rule::Opcode => 16,
            Rule::Tensors => 17,
            Rule::Record => 18,
            Rule::Shape => 19,
            Rule::Window => 20,
            Rule::Quantization => 21,
            Rule::Data => 22,
            Rule::Overlap => 23,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Rule::Opcode => "unknown opcode or storage form",
            Rule::Tensors => "its inputs or its output are not usable tensors",
            Rule::Record => "its parameters do not fit into the package",
            Rule::Shape => "the shapes of its tensors do not fit the operator",
            Rule::Window => "its kernel, stride, dilation or padding is impossible",
            Rule::Quantization => "a multiplier, shift or clamp is out of range",
            Rule::Data => "weights, run index or tables do not fit its shapes",
            Rule::Overlap => "its input, output and scratch memory overlap or leave the arena",
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Truncated => f.write_str("the package is shorter than its header says"),
            FormatError::Magic => f.write_str("not a DTMM package: it does not start with 'DTMM'"),
            FormatError::Version(v) => {
                write!(f, "the package has format version {v}, expected {}", crate::VERSION)
            }
            FormatError::Checksum => f.write_str("the checksum does not match: the package is damaged"),
            FormatError::Header => f.write_str("the package's header is impossible"),
            FormatError::Tensor(i) => write!(f, "tensor {i} is malformed or lies outside its memory"),
            FormatError::Layer(i, rule) => write!(f, "layer {i}: {}", rule.text()),
            FormatError::Port(i) => write!(f, "port {i} refers to no tensor of the arena"),
            FormatError::HostSection => {
                f.write_str("preprocessing, port descriptions or names are malformed")
            }
            FormatError::Operator(i) => write!(f, "layer {i} has an operator that this build leaves out"),
        }
    }
}

impl core::error::Error for FormatError {}

/// The buffer is shorter than the record's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferTooSmall;

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer is shorter than the record")
    }
}

impl core::error::Error for BufferTooSmall {}
