//! ReduceMean and the global pools.

use dtmm_graph::{Activation, Op, TensorId, Window};

use super::context::{Act, NodeImport, Value, one};
use crate::attributes::axes;
use crate::error::{Fault, bad, unsupported};
use crate::view::View;

pub(crate) fn global_average_pool(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let spatial: Vec<usize> = (2..act.view.rank()).collect();
    mean(n, act, &spatial, true)
}

pub(crate) fn global_max_pool(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let rank = act.view.rank();
    let groups = n.channels_first(&act)?;
    let x = n.arrange(&act, &groups)?;
    let [_, h, w, c] = n.shape(x);
    let op = Op::MaxPool { window: Window::new([h, w]), activation: Activation::None };
    let y = n.emit(op, &[x])?;
    let dims: Vec<usize> = (0..rank).map(|a| if a == 1 { c } else { 1 }).collect();
    one(y, View::from_groups(&dims, &groups))
}

pub(crate) fn reduce_mean(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let keep = n.attributes.flag("keepdims", true);
    let rank = act.view.rank();
    let which = match n.ints("axes", 1)? {
        Some(v) if !v.is_empty() => axes(&v, rank)?,
        _ if n.attributes.flag("noop_with_empty_axes", false) => return one(act.tensor, act.view),
        _ => (0..rank).collect(),
    };
    if rank > 1 && which.contains(&0) {
        return unsupported("it takes the mean over the batch axis");
    }
    mean(n, act, &which, keep)
}

fn mean(n: &mut NodeImport, act: Act, which: &[usize], keep: bool) -> Result<Vec<Value>, Fault> {
    let (act, axes) = match whole_axes(n, &act, which) {
        Some(axes) => (act, axes),
        None => {
            let groups = n.cheapest_groups(&[&act])?;
            let tensor = n.arrange(&act, &groups)?;
            let act = Act { tensor, view: View::from_groups(&act.view.dims(), &groups) };
            match whole_axes(n, &act, which) {
                Some(axes) => (act, axes),
                None => return bad("its axes do not fit the input"),
            }
        }
    };
    let tensor: TensorId =
        if axes.is_empty() { act.tensor } else { n.emit(Op::Mean { axes: axes.clone() }, &[act.tensor])? };
    one(tensor, act.view.without(which, keep))
}

/// The tensor's dimensions that the ONNX axes cover, when they cover whole dimensions.
fn whole_axes(n: &NodeImport, act: &Act, which: &[usize]) -> Option<Vec<usize>> {
    let of_shape = act.view.atoms_of_shape(&n.shape(act.tensor))?;
    let reduced = |atom: &usize| which.iter().any(|&a| act.view.axis(a).contains(atom));
    let mut axes = vec![];
    for (axis, atoms) in of_shape.iter().enumerate() {
        match atoms.iter().filter(|a| reduced(a)).count() {
            0 => {}
            count if count == atoms.len() => axes.push(axis),
            _ => return None,
        }
    }
    Some(axes)
}
