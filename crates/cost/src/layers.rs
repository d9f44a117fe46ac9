//! The layers of a graph, as the device runs them.

use dtmm_graph::{Graph, Node, Op, TensorId};

use crate::Kernel;
use crate::layer::{Layer, Window};
use crate::stored::{Form, Stored};
use crate::work::{Feature, Work};

/// One layer of a graph as the device runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerShape {
    /// Node name.
    pub name: String,
    /// The weight tensor of a Conv2D, DepthwiseConv2D or FullyConnected.
    pub weights: Option<TensorId>,
    /// Shapes and kernel.
    pub layer: Layer,
}

impl LayerShape {
    /// The kernel and what it does when `mask` tells for each weight whether it is kept, stored in runs of `group` channels;
    /// in dense form all are.
    pub fn masked(&self, mask: &[bool], (form, group): (Form, usize)) -> (Kernel, Work) {
        if form == Form::Dense {
            return (self.layer.kernel, self.layer.dense_work());
        }
        let [_, _, channels] = self.layer.dims();
        let runs = mask.chunks(channels.max(1)).flat_map(|row| row.chunks(group.max(1)));
        let kept = runs.map(|run| run.contains(&true));
        let stored = Stored::of(self.layer.dims(), self.layer.window.kernel, (form, group), kept);
        self.layer.work(&stored)
    }

    /// The work of a kernel that is no runtime's here, known by its weights and runs alone.
    pub fn counted(&self, weights: f64, runs: f64) -> Work {
        let pixels = self.layer.pixels() as f64;
        let mut work = Work::call();
        work.add(Feature::Macs, weights * pixels);
        work.add(Feature::Runs, runs * pixels);
        work.add(Feature::Outputs, pixels * self.layer.output[2] as f64);
        work
    }
}

/// The layers of a graph with folded batch norms and fused activations, in execution order; layers that take no time on
/// the device (reshapes) are left out.
pub fn layer_shapes(graph: &Graph) -> Vec<LayerShape> {
    graph.nodes.iter().filter_map(|node| shape(graph, node)).collect()
}

fn shape(graph: &Graph, node: &Node) -> Option<LayerShape> {
    let dims = |id: TensorId| match graph.tensor(id).shape[..] {
        [.., h, w, c] => [h, w, c],
        [w, c] => [1, w, c],
        [c] => [1, 1, c],
        [] => [1; 3],
    };
    let weights = node.inputs.get(1).copied().filter(|_| node.op.has_weights());
    let operands = if node.op.has_weights() { &node.inputs[..1] } else { &node.inputs[..] };
    let inputs: Vec<[usize; 3]> = operands.iter().map(|&t| dims(t)).collect();
    let output = dims(node.output);
    let kernel = kernel(&node.op, inputs.first()?[2] != output[2])?;
    let window = window(&node.op);
    Some(LayerShape { name: node.name.clone(), weights, layer: Layer { kernel, inputs, output, window } })
}

fn kernel(op: &Op, multiplied: bool) -> Option<Kernel> {
    Some(match op {
        Op::Reshape { .. } | Op::Dequantize => return None,
        Op::Conv2d { .. } => Kernel::Conv,
        Op::DepthwiseConv2d { .. } if multiplied => Kernel::DepthwiseMultiplied,
        Op::DepthwiseConv2d { .. } => Kernel::Depthwise,
        Op::FullyConnected { .. } => Kernel::Dense,
        Op::Add { .. } => Kernel::Add,
        Op::Sub { .. } => Kernel::Sub,
        // A batch norm that could not be folded scales each channel.
        Op::Mul { .. } | Op::BatchNorm { .. } => Kernel::Mul,
        Op::Concat { .. } => Kernel::Concat,
        Op::MaxPool { .. } => Kernel::MaxPool,
        Op::AveragePool { .. } => Kernel::AveragePool,
        Op::Mean { .. } => Kernel::Mean,
        Op::Transpose { .. } => Kernel::Transpose,
        Op::Slice { .. } => Kernel::Slice,
        Op::Pad { .. } => Kernel::Pad,
        Op::Relu | Op::Clip { .. } | Op::Quantize => Kernel::Requantize,
        Op::LeakyRelu { .. } | Op::HardSwish | Op::Sigmoid | Op::Tanh => Kernel::Lut,
        Op::Softmax { .. } => Kernel::Softmax,
        Op::LogSoftmax => Kernel::LogSoftmax,
        Op::ResizeNearest { .. } => Kernel::ResizeNearest,
    })
}

fn window(op: &Op) -> Window {
    let (Op::Conv2d { window, .. }
    | Op::DepthwiseConv2d { window, .. }
    | Op::MaxPool { window, .. }
    | Op::AveragePool { window, .. }) = op
    else {
        return Window::POINT;
    };
    let padding = [window.padding.top, window.padding.left];
    Window { kernel: window.kernel, stride: window.stride, dilation: window.dilation, padding }
}

#[cfg(test)]
mod tests {
    use dtmm_graph::{Activation, GraphBuilder};

    use super::*;

    #[test]
    fn a_convolution_counts_rows_tiles_and_stored_runs() {
        let mut b = GraphBuilder::new("g");
        let x = b.input("x", [1, 8, 8, 4]);
        let w = b.constant("w", &[6, 3, 3, 4], vec![0.1; 216]);
        let y = b.conv2d("conv", x, w, None, [2, 2], true, Activation::Relu);
        let y = b.op("mean", Op::Mean { axes: vec![1, 2] }, &[y]);
        let graph = b.finish(&[y]).unwrap();
        let layers = layer_shapes(&graph);
        assert_eq!(layers.iter().map(|l| l.layer.kernel).collect::<Vec<_>>(), [Kernel::Conv, Kernel::Mean]);
        let conv = &layers[0];
        let work = conv.layer.dense_work();
        // Four rows of one tile each; nine runs of one block.
        assert_eq!((work.get(Feature::Rows), work.get(Feature::TileRuns)), (4.0, 4.0 * 6.0 * 9.0));
        assert_eq!((work.get(Feature::Outputs), work.get(Feature::RowTakes)), (96.0, 0.0));
        let mask: Vec<bool> = (0..216).map(|i| i / 4 % 2 == 0).collect();
        let (kernel, half) = conv.masked(&mask, (Form::Bitmap, 4));
        // 54 bits are a word and three bytes, whose borders cut the last three of six filters.
        assert_eq!((kernel, half.get(Feature::RowWholes)), (Kernel::ConvRuns, 4.0 * 6.0));
        assert_eq!(
            (half.get(Feature::RowBitReads), half.get(Feature::RowWholeTakes)),
            (4.0 * 4.0, 4.0 * 9.0)
        );
        assert_eq!(half.get(Feature::TileRuns), 4.0 * 27.0);
        assert_eq!(conv.masked(&mask, (Form::Dense, 0)), (Kernel::Conv, work));
        assert_eq!(conv.counted(108.0, 27.0).get(Feature::Runs), 16.0 * 27.0);
    }
}
