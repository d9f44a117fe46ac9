//! Scratch memory of a convolution: as much as the kernel of any core needs, since a package runs on all of them. What is
//! more than the vector kernels need holds more of their filters. Follows `crates/kernels/src/scratch.rs`.

use crate::layer::Layer;
use crate::scalar::Rows;

const BLOCK: usize = 4;
const LANES: usize = 4;
/// Bytes of a cell of the row buffer, and channels of the cells of the cores that multiply two outputs at once.
const CELL: usize = 8;
const PAIR: usize = 2;

/// Bytes for the kernels of the cores without vector instructions and those of hosts; `group` is 0 for dense weights.
pub(crate) fn rows(layer: &Layer, group: usize) -> usize {
    let rows = Rows::new(layer);
    let ([.., channels], [kh, _], positions) = (layer.input(), layer.window.kernel, layer.window.positions());
    let (stride, reach) = (layer.window.stride[1].max(1), rows.reach());
    let (phases, overhang) = ((reach + 1).min(stride), reach / stride);
    let blocks = channels.div_ceil(BLOCK);
    let outputs = rows.width().next_multiple_of(LANES);
    let half = rows.width().div_ceil(2).next_multiple_of(PAIR);
    let dual = (outputs + overhang) * phases * CELL * blocks / 4;
    let pairs = (half + overhang) * phases * CELL * blocks * (BLOCK / PAIR) / 4;
    let columns = (outputs - 1) * stride + reach + 1;
    let host = (columns * channels).div_ceil(2);
    let groups = if group == 0 { 1 } else { channels.div_ceil(group) };
    let runs = 2 * (positions * groups.div_ceil(2) + 1);
    let whole = channels.is_multiple_of(BLOCK) && (group >= channels || group.is_multiple_of(BLOCK));
    let padded = if whole { 0 } else { positions * blocks };
    let words = |row: usize, padded: usize| runs + padded + positions + kh * (row + 1);
    4 * words(dual.max(pairs), padded).max(words(host, 0))
}
