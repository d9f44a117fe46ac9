//! MaxPool and AveragePool.

use dtmm_graph::{Activation, Op, TensorId, Window};

use super::context::{NodeImport, Value, one};
use crate::error::{Fault, bad, unsupported};
use crate::view::View;

const NONE: Activation = Activation::None;

pub(crate) fn max_pool(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    pool(n, |n, pool| {
        let mut window = pool.window;
        window.padding.bottom += pool.beyond[0];
        window.padding.right += pool.beyond[1];
        n.emit(Op::MaxPool { window, activation: NONE }, &[pool.x])
    })
}

pub(crate) fn average_pool(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let count_include_pad = n.attributes.flag("count_include_pad", false);
    pool(n, |n, pool| {
        let Pool { mut x, mut window, beyond } = pool;
        let mut counted = count_include_pad;
        if counted && beyond != [0, 0] {
            // What ceil_mode adds beyond the padding is never counted, so the padding becomes real zeros.
            let p = std::mem::take(&mut window.padding);
            let pad = Op::Pad { before: [0, p.top, p.left, 0], after: [0, p.bottom, p.right, 0], value: 0.0 };
            x = n.emit_part("pad", pad, &[x])?;
            counted = false;
        }
        window.padding.bottom += beyond[0];
        window.padding.right += beyond[1];
        n.emit(Op::AveragePool { window, count_include_pad: counted, activation: NONE }, &[x])
    })
}

struct Pool {
    x: TensorId,
    window: Window,
    /// Rows and columns beyond the padding that the last windows of ceil_mode reach into.
    beyond: [usize; 2],
}

fn pool(
    n: &mut NodeImport,
    emit: impl FnOnce(&mut NodeImport, Pool) -> Result<TensorId, Fault>,
) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let rank = act.view.rank();
    if rank < 3 {
        return bad(format!("its input has rank {rank}, expected 3 or 4"));
    }
    let groups = n.channels_first(&act)?;
    let kernel = n.attributes.sizes("kernel_shape", rank - 2, 0)?;
    let x = n.arrange(&act, &groups)?;
    let [_, h, w, channels] = n.shape(x);
    let window = n.window(&kernel, [h, w])?;
    if window.dilation != [1, 1] {
        return unsupported(format!("dilations {:?}", window.dilation));
    }
    let beyond = if n.attributes.flag("ceil_mode", false) { beyond(&window, [h, w]) } else { [0, 0] };
    let y = emit(n, Pool { x, window, beyond })?;
    let [_, h, w, _] = n.shape(y);
    let dims = if rank == 3 { vec![1, channels, w] } else { vec![1, channels, h, w] };
    one(y, View::from_groups(&dims, &groups))
}

/// ceil_mode rounds the number of windows up, but the last one must start inside the input or the padding before it.
fn beyond(window: &Window, size: [usize; 2]) -> [usize; 2] {
    let p = window.padding;
    let (before, after) = ([p.top, p.left], [p.bottom, p.right]);
    std::array::from_fn(|i| {
        let padded = size[i] + before[i] + after[i];
        let Some(steps) = padded.checked_sub(window.kernel[i]) else { return 0 };
        let mut last_start = steps.div_ceil(window.stride[i]) * window.stride[i];
        if last_start >= size[i] + before[i] {
            last_start = last_start.saturating_sub(window.stride[i]);
        }
        (last_start + window.kernel[i]).saturating_sub(padded)
    })
}
