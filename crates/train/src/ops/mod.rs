//! Kernels, forward and backward, one file per operator family.

mod activation;
mod batch_norm;
mod binary;
mod concat;
mod conv;
mod depthwise;
mod gather;
mod mean;
mod pool;
mod slide;
mod softmax;
mod winograd;

use dtmm_graph::{Graph, Node, Op, Window};

use crate::{TrainError, exec::Dims, exec::Kernel};

/// The kernel of `node`; `is_activation` tells its inputs from constants.
pub(crate) fn kernel(
    graph: &Graph,
    node: &Node,
    is_activation: &[bool],
) -> Result<Box<dyn Kernel>, TrainError> {
    let dims = |t: dtmm_graph::TensorId| -> Dims {
        let s = &graph.tensor(t).shape;
        [s[1], s[2], s[3]]
    };
    let (x, y) = (dims(node.inputs[0]), dims(node.output));
    let is_act = |i: usize| is_activation[node.inputs[i].index()];
    Ok(match &node.op {
        Op::Conv2d { window, .. } => Box::new(conv::Conv::new(slide::Slide::new(x, y, *window))),
        Op::FullyConnected { .. } => Box::new(conv::Conv::new(slide::Slide::new(x, y, Window::new([1, 1])))),
        Op::DepthwiseConv2d { window, .. } => {
            Box::new(depthwise::Depthwise::new(slide::Slide::new(x, y, *window)))
        }
        Op::BatchNorm { epsilon } => Box::new(batch_norm::BatchNorm::new(y, *epsilon)),
        Op::MaxPool { window, .. } => Box::new(pool::MaxPool::new(slide::Slide::new(x, y, *window))),
        Op::AveragePool { window, count_include_pad, .. } => {
            Box::new(pool::AveragePool::new(slide::Slide::new(x, y, *window), *count_include_pad))
        }
        Op::Mean { axes } => Box::new(mean::Mean::new(x, axes)),
        Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => {
            let operands = [0, 1].map(|i| (dims(node.inputs[i]), is_act(i)));
            Box::new(binary::Binary::new(&node.op, operands, y))
        }
        Op::Concat { axis } => {
            let parts = (0..node.inputs.len()).map(|i| (dims(node.inputs[i]), is_act(i))).collect();
            Box::new(concat::Concat::new(parts, *axis))
        }
        Op::Reshape { .. } | Op::Quantize | Op::Dequantize => Box::new(gather::Identity),
        Op::Transpose { perm } => Box::new(gather::Gather::transpose(x, y, *perm)),
        Op::Slice { begin, stride, .. } => Box::new(gather::Gather::slice(x, y, *begin, *stride)),
        Op::Pad { before, value, .. } => Box::new(gather::Gather::pad(x, y, *before, *value)),
        Op::ResizeNearest { align_corners, half_pixel_centers, .. } => {
            Box::new(gather::Gather::resize(x, y, *align_corners, *half_pixel_centers))
        }
        Op::Relu | Op::Clip { .. } | Op::LeakyRelu { .. } | Op::HardSwish | Op::Sigmoid | Op::Tanh => {
            Box::new(activation::Pointwise::new(&node.op))
        }
        Op::Softmax { beta } => Box::new(softmax::Softmax { channels: y[2], beta: *beta }),
        Op::LogSoftmax => Box::new(softmax::LogSoftmax { channels: y[2] }),
    })
}
