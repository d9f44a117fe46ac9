//! Activation functions as operators of their own.

use dtmm_graph::Op;

use crate::error::NodeError;
use crate::importer::{Importer, NodeView};

fn unary(importer: &mut Importer<'_>, node: &NodeView<'_>, op: Op) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    importer.emit(node, op, &[x.id], x.dims)
}

pub fn relu(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::Relu)
}

pub fn relu6(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::Clip { min: 0.0, max: 6.0 })
}

pub fn relu_0_to_1(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::Clip { min: 0.0, max: 1.0 })
}

pub fn relu_n1_to_1(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::Clip { min: -1.0, max: 1.0 })
}

pub fn leaky_relu(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let alpha = node.options().f32(0)?;
    if !alpha.is_finite() {
        return NodeError::invalid(format!("alpha is {alpha}"));
    }
    unary(importer, node, Op::LeakyRelu { alpha })
}

pub fn hard_swish(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::HardSwish)
}

pub fn logistic(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::Sigmoid)
}

pub fn tanh(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::Tanh)
}

pub fn softmax(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let beta = node.options().f32(0)?;
    if !(beta.is_finite() && beta > 0.0) {
        return NodeError::invalid(format!("beta is {beta}, expected a positive number"));
    }
    unary(importer, node, Op::Softmax { beta })
}

pub fn log_softmax(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    unary(importer, node, Op::LogSoftmax)
}
