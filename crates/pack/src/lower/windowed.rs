//! Sliding windows and pooling.

use dtmm_format::{Params, Window};
use dtmm_graph::{Graph, Node, Op};

use super::arithmetic::activation_clamp;
use super::{fail, same_quant, small};
use crate::PackError;
use crate::program::Kind;

/// The window in the package's numbers.
pub(super) fn window(node: &Node, w: &dtmm_graph::Window) -> Result<Window, PackError> {
    let p = w.padding;
    let pair = |v: [usize; 2]| Ok::<_, PackError>([small(node, v[0])?, small(node, v[1])?]);
    let ([top, bottom], [left, right]) = (pair([p.top, p.bottom])?, pair([p.left, p.right])?);
    Ok(Window {
        kernel: pair(w.kernel)?,
        stride: pair(w.stride)?,
        dilation: pair(w.dilation)?,
        padding: [top, bottom, left, right],
    })
}

/// A pooling window must cover a pixel of the image everywhere.
fn pool_window(node: &Node, w: &dtmm_graph::Window) -> Result<Window, PackError> {
    let p = w.padding;
    if p.top.max(p.bottom) >= w.kernel[0] || p.left.max(p.right) >= w.kernel[1] {
        return Err(fail(node, "padding as large as the pooling window; put a Pad operator before it"));
    }
    window(node, w)
}

pub(super) fn pool(graph: &Graph, node: &Node) -> Result<Kind, PackError> {
    let q = same_quant(graph, node)?;
    Ok(Kind::Plain(match &node.op {
        Op::MaxPool { window: w, activation } => {
            Params::MaxPool { window: pool_window(node, w)?, clamp: activation_clamp(*activation, q) }
        }
        Op::AveragePool { window: w, count_include_pad, activation } => Params::AveragePool {
            window: pool_window(node, w)?,
            clamp: activation_clamp(*activation, q),
            count_include_pad: *count_include_pad,
        },
        _ => return Err(fail(node, "is no pooling operator")),
    }))
}
