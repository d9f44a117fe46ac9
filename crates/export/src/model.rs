//! What exported sources say of a package.

use dtmm_format::{Package, Tensor};

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
            inputs: ports(package.inputs().collect()),
            outputs: ports(package.outputs().collect()),
        })
    }
}
