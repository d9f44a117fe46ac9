//! What each layer of a graph asks of its kernel.

use dtmm_graph::{Graph, Node, Op, TensorId};

use crate::model::{Kernel, Work};

/// One layer of a graph as the device runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerShape {
    /// Node name.
    pub name: String,
    /// The weight tensor of a Conv2D, DepthwiseConv2D or FullyConnected.
    pub weights: Option<TensorId>,
    /// The kernel for dense weights.
    pub kernel: Kernel,
    /// Output pixels.
    pub pixels: f64,
    /// The work with dense weights.
    pub dense: Work,
}

impl LayerShape {
    /// The kernel for stored runs; `None` when the layer has none.
    pub fn runs_kernel(&self) -> Option<Kernel> {
        match self.kernel {
            Kernel::Conv => Some(Kernel::ConvRuns),
            Kernel::Dense => Some(Kernel::DenseRuns),
            _ => None,
        }
    }

    /// The work with `weights` stored weights in `runs` runs.
    pub fn sparse(&self, weights: f64, runs: f64) -> Work {
        Work { macs: weights * self.pixels, runs: runs * self.pixels, ..self.dense }
    }
}

/// The layers of a graph with folded batch norms and fused activations, in execution order; layers that take no time on
/// the device (reshapes) are left out.
pub fn layer_shapes(graph: &Graph) -> Vec<LayerShape> {
    graph.nodes.iter().filter_map(|node| shape(graph, node)).collect()
}

fn shape(graph: &Graph, node: &Node) -> Option<LayerShape> {
    let output = &graph.tensor(node.output).shape;
    let outputs: f64 = output.iter().map(|&d| d as f64).product();
    let channels = output.last().copied().unwrap_or(1).max(1) as f64;
    let weights = node.inputs.get(1).copied().filter(|_| node.op.has_weights());
    let macs = graph.macs(node) as f64;
    let (kernel, work) = match &node.op {
        Op::Reshape { .. } | Op::Quantize | Op::Dequantize => return None,
        Op::Conv2d { .. } => (Kernel::Conv, Work { macs, inputs: macs / channels, ..Work::default() }),
        Op::DepthwiseConv2d { .. } => (Kernel::Depthwise, Work { macs, inputs: macs, ..Work::default() }),
        Op::FullyConnected { .. } => {
            (Kernel::Dense, Work { macs, inputs: macs / channels, ..Work::default() })
        }
        Op::MaxPool { window, .. } | Op::AveragePool { window, .. } => {
            let elements = outputs * (window.kernel[0] * window.kernel[1]) as f64;
            (Kernel::Pool, Work { macs: elements, ..Work::default() })
        }
        Op::Mean { .. } => {
            let input: usize = graph.tensor(node.inputs[0]).shape.iter().product();
            (Kernel::Pool, Work { macs: input as f64, ..Work::default() })
        }
        _ => (Kernel::Elementwise, Work::default()),
    };
    Some(LayerShape {
        name: node.name.clone(),
        weights,
        kernel,
        pixels: outputs / channels,
        dense: Work { outputs, ..work },
    })
}

#[cfg(test)]
mod tests {
    use dtmm_graph::{Activation, GraphBuilder};

    use super::*;

    #[test]
    fn a_convolution_counts_macs_outputs_and_inputs() {
        let mut b = GraphBuilder::new("g");
        let x = b.input("x", [1, 8, 8, 4]);
        let w = b.constant("w", &[6, 3, 3, 4], vec![0.1; 216]);
        let y = b.conv2d("conv", x, w, None, [2, 2], true, Activation::Relu);
        let y = b.op("mean", Op::Mean { axes: vec![1, 2] }, &[y]);
        let graph = b.finish(&[y]).unwrap();
        let layers = layer_shapes(&graph);
        assert_eq!(layers.iter().map(|l| l.kernel).collect::<Vec<_>>(), [Kernel::Conv, Kernel::Pool]);
        let conv = &layers[0];
        assert_eq!(conv.pixels, 16.0);
        assert_eq!(conv.dense, Work { macs: 16.0 * 216.0, runs: 0.0, outputs: 96.0, inputs: 16.0 * 36.0 });
        let half = conv.sparse(108.0, 27.0);
        assert_eq!((half.macs, half.runs, half.inputs), (16.0 * 108.0, 16.0 * 27.0, 16.0 * 36.0));
        assert_eq!(layers[1].dense.macs, 96.0);
    }
}
