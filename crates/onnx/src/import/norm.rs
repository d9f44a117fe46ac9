//! BatchNormalization, kept as it is because it is trained further.

use dtmm_graph::{Op, TensorId};

use super::context::{NodeImport, Value, one};
use crate::error::{Fault, bad, unsupported};

pub(crate) fn batch_norm(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    if n.attributes.int("spatial", 1) == 0 {
        return unsupported("spatial = 0");
    }
    let groups = n.channels_first(&act)?;
    let channels = act.view.dim(1);
    let (sorted, features) = n.with_free_axis(&act, 1)?;
    let x = n.arrange(&sorted, &groups)?;
    let mut inputs: Vec<TensorId> = vec![x];
    for i in 1..5 {
        let c = n.weights(i)?;
        if c.dims != [channels] {
            return bad(format!("parameter '{}' has shape {:?}, expected [{channels}]", c.name, c.dims));
        }
        let source = c.as_floats()?;
        let values = features.iter().map(|&f| source[f]).collect();
        inputs.push(n.add_weights(&c.name, vec![channels], values)?);
    }
    let epsilon = n.attributes.float("epsilon", 1e-5);
    let y = n.emit(Op::BatchNorm { epsilon }, &inputs)?;
    one(y, act.view.reordered(&sorted.view.order(&groups)))
}
