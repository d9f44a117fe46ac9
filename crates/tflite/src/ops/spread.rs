//! SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND: a dilated convolution in the words of older converters.
//!
//! Nothing is moved: the first operator notes how its result is spread over the batch, the convolution takes that for
//! dilation and padding, and the last operator finds everything in place.

use dtmm_graph::{Padding, Window};

use super::reshape::expand_dims_dims;
use crate::dims::normalize_axis;
use crate::error::NodeError;
use crate::importer::{Importer, NodeView};
use crate::names::builtin_name;
use crate::schema::Operator;

/// One axis of a value that is spread over the batch: every `block`-th element is a neighbour, and `pads` zeros lie
/// before and after, less what is cropped in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    block: usize,
    pads: [usize; 2],
}

impl Axis {
    const WHOLE: Axis = Axis { block: 1, pads: [0, 0] };
}

/// Blocks and paddings as operators have them: input 1 and input 2.
struct Blocks {
    sizes: Vec<i64>,
    pads: Vec<i64>,
}

impl Blocks {
    fn of(importer: &Importer<'_>, inputs: &[i32]) -> Result<Self, NodeError> {
        let constant = |i: usize, role| match inputs.get(i).and_then(|&t| usize::try_from(t).ok()) {
            Some(t) => importer.index(t, role),
            None => NodeError::invalid(format!("{role} are missing")),
        };
        let (sizes, pads) = (constant(1, "the block sizes")?, constant(2, "the paddings")?);
        if pads.len() == 2 * sizes.len() {
            return Ok(Blocks { sizes, pads });
        }
        NodeError::invalid(format!("{} paddings for {} block sizes", pads.len(), sizes.len()))
    }
}

pub fn space_to_batch(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let x = importer.activation(node.input(0)?)?;
    let out = node.output(0)?;
    let blocks = Blocks::of(importer, &node.source.inputs)?;
    let crops = Blocks::of(importer, &end_of_chain(importer, out)?.inputs)?;
    if crops.sizes != blocks.sizes || x.dims.len() <= blocks.sizes.len() {
        let what = format!("blocks {:?} of shape {:?} end as {:?}", blocks.sizes, x.dims, crops.sizes);
        return NodeError::invalid(what);
    }
    let mut axes = vec![Axis::WHOLE; x.dims.len()];
    for (i, axis) in axes.iter_mut().skip(1).take(blocks.sizes.len()).enumerate() {
        let left = |k: usize| blocks.pads[k].checked_sub(crops.pads[k]).and_then(|n| usize::try_from(n).ok());
        let (Some(before), Some(after)) = (left(2 * i), left(2 * i + 1)) else {
            return NodeError::unsupported("more is cropped than was padded");
        };
        let block = usize::try_from(blocks.sizes[i]).ok().filter(|b| (1..=1 << 16).contains(b));
        let Some(block) = block else { return NodeError::invalid("a block size is out of range") };
        *axis = Axis { block, pads: [before, after] };
    }
    importer.spread.insert(out, axes);
    importer.alias(node, 0, x.id, x.dims)
}

/// Follows a spread tensor to its BATCH_TO_SPACE_ND; on the way must be one convolution and nothing that sees the batch.
fn end_of_chain<'m>(importer: &Importer<'m>, mut t: usize) -> Result<&'m Operator<'m>, NodeError> {
    let mut convolutions = 0;
    loop {
        let reads = |o: &&Operator<'_>| o.inputs.iter().any(|&i| usize::try_from(i) == Ok(t));
        let mut readers = importer.model.operators.iter().filter(reads);
        let (Some(reader), None) = (readers.next(), readers.next()) else { break };
        let code = importer.model.codes.get(reader.code).map_or(-1, |c| c.builtin);
        match builtin_name(code).as_str() {
            "BATCH_TO_SPACE_ND" if convolutions == 1 => return Ok(reader),
            "CONV_2D" | "DEPTHWISE_CONV_2D" => convolutions += 1,
            "EXPAND_DIMS" | "RESHAPE" | "SQUEEZE" => {}
            _ => break,
        }
        match reader.outputs.first().and_then(|&o| usize::try_from(o).ok()) {
            Some(next) if convolutions < 2 && !importer.model.outputs.contains(&reader.outputs[0]) => {
                t = next
            }
            _ => break,
        }
    }
    NodeError::unsupported("only around one convolution, as BATCH_TO_SPACE_ND ends it, is it supported")
}

pub fn batch_to_space(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<(), NodeError> {
    let t = node.input(0)?;
    let x = importer.activation(t)?;
    if !importer.spread.contains_key(&t) {
        return NodeError::unsupported("only after SPACE_TO_BATCH_ND and one convolution is it supported");
    }
    importer.alias(node, 0, x.id, x.dims)
}

/// The window of a convolution, dilated where its input is spread.
pub fn dilated(
    importer: &mut Importer<'_>,
    node: &NodeView<'_>,
    window: Window,
) -> Result<Window, NodeError> {
    let Some(axes) = importer.spread.get(&node.input(0)?).cloned() else { return Ok(window) };
    let [_, y, x, _] = axes[..] else {
        return NodeError::invalid(format!("its input is spread over {} axes", axes.len()));
    };
    let plain =
        Window { kernel: window.kernel, stride: [1, 1], dilation: [1, 1], padding: Padding::default() };
    if window != plain {
        return NodeError::unsupported("stride, dilation or padding between SPACE_TO_BATCH_ND and its end");
    }
    importer.spread.insert(node.output(0)?, vec![Axis::WHOLE; 4]);
    let padding = Padding { top: y.pads[0], bottom: y.pads[1], left: x.pads[0], right: x.pads[1] };
    Ok(Window { dilation: [y.block, x.block], padding, ..window })
}

/// EXPAND_DIMS, RESHAPE or SQUEEZE of a spread value; false where it is not spread.
pub fn reshape(importer: &mut Importer<'_>, node: &NodeView<'_>) -> Result<bool, NodeError> {
    let t = node.input(0)?;
    let Some(mut axes) = importer.spread.get(&t).cloned() else { return Ok(false) };
    let x = importer.activation(t)?;
    let dims = if node.operator == "EXPAND_DIMS" {
        let axis = importer.index(node.input(1)?, "the axis")?;
        axes.insert(normalize_axis(axis.first().copied().unwrap_or(0), axes.len() + 1)?, Axis::WHOLE);
        expand_dims_dims(importer, node, &x.dims)?
    } else {
        let gone = (1..axes.len()).find(|&i| axes[i] == Axis::WHOLE && x.dims[i] == 1);
        let Some(gone) = gone.filter(|_| drops_one_axis(importer, node, axes.len())) else {
            return NodeError::unsupported(format!("another change of the spread shape {:?}", x.dims));
        };
        axes.remove(gone);
        x.dims.iter().enumerate().filter_map(|(i, &d)| (i != gone).then_some(d)).collect()
    };
    importer.spread.insert(node.output(0)?, axes);
    importer.alias(node, 0, x.id, dims)?;
    Ok(true)
}

/// True when the result has one axis less.
fn drops_one_axis(importer: &Importer<'_>, node: &NodeView<'_>, rank: usize) -> bool {
    let output = node.output(0).ok().and_then(|t| importer.source(t).ok());
    output.is_some_and(|o| o.shape.len() + 1 == rank)
}
