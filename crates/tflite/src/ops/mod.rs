//! One file per operator family; the table of what is supported.

mod activation;
mod concat;
mod constant_layout;
mod conv;
mod elementwise;
mod fully_connected;
mod mean;
mod pad;
mod pool;
mod quantize;
mod reshape;
mod resize;
mod slice;
pub mod spread;
mod transpose;
mod weights;
mod window;

pub use constant_layout::layout;

use dtmm_graph::Activation as Fused;

use crate::error::NodeError;
use crate::fold;
use crate::importer::{Importer, NodeView};

type Handler = fn(&mut Importer<'_>, &NodeView<'_>) -> Result<(), NodeError>;

/// Operators that may compute at run time: name, number of the options table in the schema, importer.
const HANDLERS: [(&str, i8, Handler); 37] = [
    ("ADD", 11, elementwise::add),
    ("AVERAGE_POOL_2D", 5, pool::average_pool),
    ("BATCH_TO_SPACE_ND", 24, spread::batch_to_space),
    ("CONCATENATION", 10, concat::concat),
    ("CONV_2D", 1, conv::conv2d),
    ("DEPTHWISE_CONV_2D", 2, conv::depthwise_conv2d),
    ("DEQUANTIZE", 38, quantize::dequantize),
    ("EXPAND_DIMS", 52, reshape::expand_dims),
    ("FULLY_CONNECTED", 8, fully_connected::fully_connected),
    ("HARD_SWISH", 91, activation::hard_swish),
    ("LEAKY_RELU", 75, activation::leaky_relu),
    ("LOGISTIC", 0, activation::logistic),
    ("LOG_SOFTMAX", 36, activation::log_softmax),
    ("MAX_POOL_2D", 5, pool::max_pool),
    ("MEAN", 27, mean::mean),
    ("MUL", 21, elementwise::mul),
    ("PAD", 22, pad::pad),
    ("PADV2", 43, pad::pad),
    ("QUANTIZE", 89, quantize::quantize),
    ("REDUCE_MAX", 27, mean::reduce_max),
    ("RELU", 0, activation::relu),
    ("RELU6", 0, activation::relu6),
    ("RELU_0_TO_1", 0, activation::relu_0_to_1),
    ("RELU_N1_TO_1", 0, activation::relu_n1_to_1),
    ("RESHAPE", 17, reshape::reshape),
    ("RESIZE_NEAREST_NEIGHBOR", 74, resize::resize_nearest),
    ("SLICE", 48, slice::slice),
    ("SOFTMAX", 9, activation::softmax),
    ("SPACE_TO_BATCH_ND", 25, spread::space_to_batch),
    ("SPLIT", 35, slice::split),
    ("SPLIT_V", 79, slice::split_v),
    ("SQUEEZE", 30, reshape::squeeze),
    ("STRIDED_SLICE", 32, slice::strided_slice),
    ("SUB", 28, elementwise::sub),
    ("TANH", 0, activation::tanh),
    ("TILE", 51, resize::tile),
    ("TRANSPOSE", 26, transpose::transpose),
];

/// The TFLite operators that can be imported, by their name in the schema: those that compute at run time, then those
/// that are only folded where their inputs are constant (shapes).
pub fn supported_operators() -> impl Iterator<Item = &'static str> {
    let run_time = HANDLERS.iter().map(|h| h.0);
    run_time.chain(fold::FOLDABLE.iter().copied().filter(|f| handler(f).is_none()))
}

fn handler(name: &str) -> Option<&'static (&'static str, i8, Handler)> {
    HANDLERS.iter().find(|h| h.0 == name)
}

/// Imports one node: folds it when all its inputs are constant, else adds operators to the graph.
pub fn import_node(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    if fold::FOLDABLE.contains(&node.operator.as_str()) && fold::fold(importer, node)? {
        return Ok(());
    }
    let Some((_, options, handler)) = handler(&node.operator) else {
        return Err(NodeError::Unsupported(None));
    };
    let found = node.source.options_type;
    if *options != 0 && found != 0 && found != *options {
        return NodeError::invalid(format!("its options are of type {found}, expected {options}"));
    }
    handler(importer, node)
}

/// The fused activation with this code.
fn fused(code: i8) -> Result<Fused, NodeError> {
    match code {
        0 => Ok(Fused::None),
        1 => Ok(Fused::Relu),
        2 => Ok(Fused::ReluN1To1),
        3 => Ok(Fused::Relu6),
        4 => NodeError::unsupported("fused activation TANH"),
        5 => NodeError::unsupported("fused activation SIGN_BIT"),
        other => NodeError::invalid(format!("unknown fused activation {other}")),
    }
}
