//! Operators that move elements.

use dtmm_format::Params;
use dtmm_graph::{Graph, Node, Op};
use dtmm_quant::quantize_value;

use super::{fail, same_quant, small};
use crate::PackError;
use crate::program::Kind;

pub(super) fn concat(graph: &Graph, node: &Node, axis: usize) -> Result<Kind, PackError> {
    same_quant(graph, node)?;
    let axis = u8::try_from(axis).map_err(|_| fail(node, "the axis must be 1, 2 or 3"))?;
    Ok(Kind::Concat { axis })
}

pub(super) fn movement(graph: &Graph, node: &Node) -> Result<Kind, PackError> {
    let q = same_quant(graph, node)?;
    match &node.op {
        Op::Transpose { perm } => {
            let perm = [1, 2, 3].map(|a| (perm[a] - 1) as u8);
            Ok(Kind::Plain(Params::Transpose { perm }))
        }
        Op::Slice { begin, stride, .. } => {
            Ok(Kind::Plain(Params::Slice { begin: triple(node, begin)?, stride: triple(node, stride)? }))
        }
        Op::Pad { before, after, value } => {
            if before[0] + after[0] > 0 {
                return Err(fail(node, "the batch axis cannot be padded"));
            }
            let value = quantize_value(*value, q.scale, q.zero_point);
            Ok(Kind::Plain(Params::Pad { before: triple(node, before)?, value }))
        }
        Op::ResizeNearest { size, align_corners, half_pixel_centers } => {
            let from = &graph.tensor(node.inputs[0]).shape;
            let table = |axis: usize| {
                let (to, from) = (size[axis], from[axis + 1]);
                (0..to)
                    .map(|o| small(node, source(o, from, to, *align_corners, *half_pixel_centers)))
                    .collect()
            };
            let le = |v: Vec<u16>| v.into_iter().map(u16::to_le_bytes).collect();
            let (rows, columns): (Result<_, _>, Result<_, _>) = (table(0), table(1));
            Ok(Kind::Resize { rows: le(rows?), columns: le(columns?) })
        }
        _ => Err(fail(node, "does not move elements")),
    }
}

/// H, W and C of an NHWC index.
fn triple(node: &Node, v: &[usize; 4]) -> Result<[u32; 3], PackError> {
    let one = |n: usize| u32::try_from(n).map_err(|_| fail(node, &format!("{n} is too large for a package")));
    Ok([one(v[1])?, one(v[2])?, one(v[3])?])
}

/// The source index of output `o`, in single precision as TFLite's nearest-neighbour kernel.
fn source(o: usize, from: usize, to: usize, align_corners: bool, half_pixel_centers: bool) -> usize {
    let scale =
        if align_corners && to > 1 { (from - 1) as f32 / (to - 1) as f32 } else { from as f32 / to as f32 };
    let at = (o as f32 + if half_pixel_centers { 0.5 } else { 0.0 }) * scale;
    let at = if align_corners { at.round() } else { at.floor() };
    (at.max(0.0) as usize).min(from - 1)
}
