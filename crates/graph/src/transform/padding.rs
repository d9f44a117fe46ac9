//! Zero padding as part of the convolution that follows it.

use super::remove_dead_nodes;
use crate::{Graph, NodeId, Op, Padding};

/// Moves zero padding of height and width into the windows of the convolutions that read it: no padded copy is needed.
/// Exact for float and int8, because padding inside a convolution stands for real zeros as well.
pub fn fuse_padding(graph: &mut Graph) {
    for i in 0..graph.nodes.len() {
        let x = graph.nodes[i].inputs.first().copied();
        let pad = graph.nodes[..i].iter().rposition(|n| Some(n.output) == x);
        if let Some(pad) = pad
            && let Some(amount) = spatial_zeros(graph, pad)
            && let Some(padding) = window_padding(&mut graph.nodes[i].op)
        {
            padding.top += amount.top;
            padding.bottom += amount.bottom;
            padding.left += amount.left;
            padding.right += amount.right;
            graph.nodes[i].inputs[0] = graph.nodes[pad].inputs[0];
        }
    }
    remove_dead_nodes(graph);
}

/// The padding that a node adds, when it adds only zeros, only to height and width, and keeps the quantisation.
fn spatial_zeros(graph: &Graph, node: NodeId) -> Option<Padding> {
    let node = &graph.nodes[node];
    let Op::Pad { before: [0, top, left, 0], after: [0, bottom, right, 0], value: 0.0 } = node.op else {
        return None;
    };
    let same = graph.tensor(node.inputs[0]).quant == graph.tensor(node.output).quant;
    same.then_some(Padding { top, bottom, left, right })
}

fn window_padding(op: &mut Op) -> Option<&mut Padding> {
    match op {
        Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } => Some(&mut window.padding),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, GraphBuilder, reference::evaluate};

    #[test]
    fn keeps_the_result_and_removes_the_copy() {
        let mut b = GraphBuilder::new("pad");
        let x = b.input("x", [1, 4, 5, 2]);
        let pad = Op::Pad { before: [0, 1, 0, 0], after: [0, 2, 1, 0], value: 0.0 };
        let padded = b.op("pad", pad, &[x]);
        let w = b.constant("w", &[3, 3, 3, 2], (0..54).map(|i| i as f32 - 20.0).collect());
        let y = b.conv2d("conv", padded, w, None, [2, 1], false, Activation::None);
        let graph = b.finish(&[y]).unwrap();
        let mut fused = graph.clone();
        fuse_padding(&mut fused);
        assert_eq!(fused.verify(), Ok(()));
        assert_eq!(fused.nodes.len(), 1);
        let input: Vec<f32> = (0..40).map(|i| i as f32 * 0.5).collect();
        let [before, after] = [&graph, &fused].map(|g| evaluate(g, &[&input]).unwrap()[y.index()].clone());
        assert_eq!(before, after);
    }

    #[test]
    fn leaves_other_values_alone() {
        let mut b = GraphBuilder::new("pad");
        let x = b.input("x", [1, 4, 4, 1]);
        let pad = Op::Pad { before: [0, 1, 1, 0], after: [0, 1, 1, 0], value: 1.0 };
        let padded = b.op("pad", pad, &[x]);
        let w = b.constant("w", &[1, 3, 3, 1], vec![1.0; 9]);
        let y = b.conv2d("conv", padded, w, None, [1, 1], false, Activation::None);
        let graph = b.finish(&[y]).unwrap();
        let mut fused = graph.clone();
        fuse_padding(&mut fused);
        assert_eq!(fused, graph);
    }
}
