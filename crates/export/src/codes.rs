//! The status codes of the C interface.

use dtmm_format::{FormatError, Rule};

/// A status of the C interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Name of the constant.
    pub name: &'static str,
    /// Its value.
    pub value: u8,
    /// What it means.
    pub meaning: String,
}

/// Every status, in ascending order.
pub fn codes() -> Vec<Code> {
    let code = |name, value, meaning: &str| Code { name, value, meaning: meaning.to_owned() };
    let format = |name, error: FormatError| Code { name, value: error.code(), meaning: error.to_string() };
    let layer = |name, rule: Rule, meaning: &str| code(name, rule.code(), meaning);
    vec![
        code("DTMM_OK", 0, "success"),
        format("DTMM_TRUNCATED", FormatError::Truncated),
        format("DTMM_MAGIC", FormatError::Magic),
        code("DTMM_VERSION", FormatError::Version(0).code(), "the package's format version is another one"),
        format("DTMM_CHECKSUM", FormatError::Checksum),
        format("DTMM_HEADER", FormatError::Header),
        code("DTMM_TENSOR", FormatError::Tensor(0).code(), "a tensor record is damaged"),
        code("DTMM_PORT", FormatError::Port(0).code(), "an input or output is no tensor of the arena"),
        format("DTMM_HOST_SECTION", FormatError::HostSection),
        layer("DTMM_LAYER_OPCODE", Rule::Opcode, "a layer has an unknown operator or storage form"),
        layer("DTMM_LAYER_TENSORS", Rule::Tensors, "a layer's inputs or output are not usable tensors"),
        layer("DTMM_LAYER_RECORD", Rule::Record, "a layer's parameters do not fit into the package"),
        layer("DTMM_LAYER_SHAPE", Rule::Shape, "the shapes of a layer's tensors do not fit its operator"),
        layer(
            "DTMM_LAYER_WINDOW",
            Rule::Window,
            "a layer's kernel, stride, dilation or padding is impossible",
        ),
        layer(
            "DTMM_LAYER_QUANTIZATION",
            Rule::Quantization,
            "a layer's multiplier, shift or clamp is out of range",
        ),
        layer("DTMM_LAYER_DATA", Rule::Data, "a layer's weights or tables have the wrong length"),
        layer("DTMM_LAYER_OVERLAP", Rule::Overlap, "a layer writes to memory that it reads"),
        code("DTMM_ARENA_TOO_SMALL", 64, "the arena has fewer bytes than the package needs"),
        code(
            "DTMM_OPERATOR",
            FormatError::Operator(0).code(),
            "a layer has an operator that the library was built without",
        ),
        code("DTMM_LAYER_FAILED", 66, "a kernel refused a layer; the check of the package rules it out"),
        code("DTMM_SCRATCH", 67, "a layer was planned with too little scratch memory for this core"),
        code("DTMM_NULL", 96, "a pointer is null"),
        code("DTMM_PACKAGE_ALIGNMENT", 97, "the package does not start at a multiple of 16"),
        code("DTMM_ARENA_ALIGNMENT", 98, "the arena does not start at a multiple of 16"),
        code("DTMM_NOT_CREATED", 99, "the model was not made by dtmm_create, or dtmm_create refused it"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_meanings_are_said() {
        let codes = codes();
        assert!(codes.windows(2).all(|pair| pair[0].value < pair[1].value), "{codes:#?}");
        assert!(codes.iter().all(|c| !c.meaning.is_empty() && c.name.starts_with("DTMM_")));
    }
}
