//! Gemm and MatMul with constant weights.

use dtmm_graph::{Activation, Op, TensorId};

use super::context::{Act, NodeImport, Value, one};
use crate::constant::Const;
use crate::error::{Fault, bad, unsupported};
use crate::view::{Groups, View, gather_indices};

pub(crate) fn gemm(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let weights = n.weights(1)?;
    if n.attributes.flag("transA", false) {
        return unsupported("transA = 1");
    }
    if act.view.rank() != 2 || weights.dims.len() != 2 {
        let (a, b) = (act.view.dims(), &weights.dims);
        return bad(format!("its inputs must be matrices, they have shapes {a:?} and {b:?}"));
    }
    let transposed = n.attributes.flag("transB", false);
    let (alpha, beta) = (n.attributes.float("alpha", 1.0), n.attributes.float("beta", 1.0));
    let dense = Dense::new(n, &act, &weights, transposed)?;
    let values = dense.oi_values(alpha)?;
    let bias = match n.constant(2)? {
        Some(c) => Some((c.name.clone(), bias_values(&c, dense.out, beta)?)),
        None => None,
    };
    dense.emit(n, values, bias)
}

pub(crate) fn matmul(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let weights = n.weights(1)?;
    if weights.dims.len() != 2 || act.view.rank() < 2 {
        let (a, b) = (act.view.dims(), &weights.dims);
        return unsupported(format!("a product of shapes {a:?} and {b:?}; the second must be a matrix"));
    }
    let dense = Dense::new(n, &act, &weights, false)?;
    let values = dense.oi_values(1.0)?;
    dense.emit(n, values, None)
}

struct Dense<'a> {
    x: TensorId,
    groups: Groups,
    dims: Vec<usize>,
    weights: &'a Const,
    /// Weights are OI, otherwise IO.
    oi: bool,
    out: usize,
    /// For each feature in memory order its ONNX index.
    features: Vec<usize>,
}

impl<'a> Dense<'a> {
    fn new(n: &mut NodeImport, act: &Act, weights: &'a Const, oi: bool) -> Result<Self, Fault> {
        let rank = act.view.rank();
        let (out, inner) = if oi { (0, 1) } else { (1, 0) };
        let (out, inner) = (weights.dims[out], weights.dims[inner]);
        let dims = act.view.dims();
        if dims[rank - 1] != inner || inner == 0 || out == 0 {
            return bad(format!("its inputs have shapes {dims:?} and {:?}", weights.dims));
        }
        let (act, features) = n.with_free_axis(act, rank - 1)?;
        let groups = rows_of_last_axis(&dims)?;
        let x = n.arrange(&act, &groups)?;
        Ok(Dense { x, groups, dims, weights, oi, out, features })
    }

    /// The weights as OI with the input features in memory order, times `alpha`.
    fn oi_values(&self, alpha: f32) -> Result<Vec<f32>, Fault> {
        let source = self.weights.as_floats()?;
        let inner = self.features.len();
        let at = |o: usize, i: usize| if self.oi { o * inner + i } else { i * self.out + o };
        let pairs = (0..self.out).flat_map(|o| self.features.iter().map(move |&i| (o, i)));
        Ok(pairs.map(|(o, i)| alpha * source[at(o, i)]).collect())
    }

    fn emit(
        self,
        n: &mut NodeImport,
        values: Vec<f32>,
        bias: Option<(String, Vec<f32>)>,
    ) -> Result<Vec<Value>, Fault> {
        let weights = n.add_weights(&self.weights.name, vec![self.out, self.features.len()], values)?;
        let mut inputs = vec![self.x, weights];
        if let Some((name, values)) = bias {
            inputs.push(n.add_weights(&name, vec![self.out], values)?);
        }
        let y = n.emit(Op::FullyConnected { activation: Activation::None }, &inputs)?;
        let mut dims = self.dims;
        if let Some(last) = dims.last_mut() {
            *last = self.out;
        }
        one(y, View::from_groups(&dims, &self.groups))
    }
}

/// The last axis as channels, all others as rows.
fn rows_of_last_axis(dims: &[usize]) -> Result<Groups, Fault> {
    let last = dims.len() - 1;
    Ok(match dims {
        [1, _] => [vec![0], vec![], vec![], vec![1]],
        [1, _, _] => [vec![0], vec![], vec![1], vec![2]],
        [1, _, _, _] => [vec![0], vec![1], vec![2], vec![3]],
        _ => [vec![], vec![], (0..last).collect(), vec![last]],
    })
}

fn bias_values(c: &Const, out: usize, beta: f32) -> Result<Vec<f32>, Fault> {
    let values = c.as_floats()?;
    let row = c.dims.iter().rev().skip(1).all(|&d| d == 1);
    match values.len() {
        1 => Ok(vec![beta * values[0]; out]),
        len if len == out && row => Ok(values.iter().map(|v| beta * v).collect()),
        _ => unsupported(format!("its third input has shape {:?}, expected one value per output", c.dims)),
    }
}

impl NodeImport<'_> {
    /// The activation with the atoms of one ONNX axis renumbered into memory order, and for each feature in memory
    /// order its ONNX index along that axis. For operators that can absorb a permutation of that axis.
    pub(crate) fn with_free_axis(&mut self, act: &Act, axis: usize) -> Result<(Act, Vec<usize>), Fault> {
        let count = act.view.dim(axis);
        self.importer.charge(count)?;
        let mut only = vec![1; act.view.rank()];
        only[axis] = count;
        let strides = act.view.strides_in(&only);
        let mut atoms = act.view.axis(axis).to_vec();
        atoms.sort_unstable();
        let sizes: Vec<usize> = atoms.iter().map(|&a| act.view.atoms()[a]).collect();
        let steps: Vec<usize> = atoms.iter().map(|&a| strides[a]).collect();
        let view = act.view.with_sorted_axis(axis);
        Ok((Act { tensor: act.tensor, view }, gather_indices(&sizes, &steps)))
    }
}
