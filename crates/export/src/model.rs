//! What exported sources say of a package.

use dtmm_format::{Opcode, Package, Tensor};

use crate::ExportError;

/// A model input or output.
pub(crate) struct Port {
    /// `[h, w, c]`.
    pub shape: [usize; 3],
    pub scale: f32,
    pub zero_point: i8,
}

impl Port {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    fn of(tensor: &Tensor<'_>) -> Self {
        Port {
            shape: tensor.shape.dims(),
            scale: f32::from_bits(tensor.scale_bits),
            zero_point: tensor.zero_point,
        }
    }
}

/// Sizes and ports of a package.
pub(crate) struct Facts {
    pub package_bytes: usize,
    pub arena_bytes: usize,
    /// Operator families of the layers: features of `dtmm-runtime`.
    pub families: Vec<&'static str>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Facts {
    pub fn of(bytes: &[u8]) -> Result<Self, ExportError> {
        // The check looks at lengths and contents; the bytes may lie anywhere.
        let package = Package::check(bytes).map_err(ExportError::Package)?;
        let ports = |indexes: Vec<u16>| {
            indexes.into_iter().filter_map(|t| package.tensor(t)).map(|t| Port::of(&t)).collect()
        };
        Ok(Facts {
            package_bytes: package.as_bytes().len(),
            arena_bytes: package.arena_bytes(),
            families: families(&package),
            inputs: ports(package.inputs().collect()),
            outputs: ports(package.outputs().collect()),
        })
    }
}

/// The features that the package's operators need, each once, in alphabetical order.
fn families(package: &Package<'_>) -> Vec<&'static str> {
    let of = |opcode: Opcode| match opcode {
        Opcode::Conv2d => Some("conv2d"),
        Opcode::DepthwiseConv2d => Some("depthwise"),
        Opcode::FullyConnected => Some("fully-connected"),
        Opcode::Add | Opcode::Sub | Opcode::Mul => Some("elementwise"),
        Opcode::Concat => Some("concat"),
        Opcode::MaxPool => Some("max-pool"),
        Opcode::AveragePool => Some("average-pool"),
        Opcode::Mean => Some("mean"),
        Opcode::Reshape => None,
        Opcode::Transpose | Opcode::Slice | Opcode::Pad | Opcode::ResizeNearest => Some("movement"),
        Opcode::Requantize | Opcode::Lut => Some("activation"),
        Opcode::Softmax | Opcode::LogSoftmax => Some("softmax"),
    };
    let mut families: Vec<&str> = package.layers().filter_map(|l| of(l.params.opcode())).collect();
    families.sort_unstable();
    families.dedup();
    families
}
