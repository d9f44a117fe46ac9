//! Add, Sub, Mul, Div and relatives, of two activations or with a constant.

use dtmm_graph::{Activation, Op, TensorId};

use super::context::{Act, NodeImport, Value, one};
use crate::constant::{Const, element_count};
use crate::error::{Fault, bad, unsupported};
use crate::view::{Groups, View, channels_first, gather_indices};

const NONE: Activation = Activation::None;

pub(crate) fn arithmetic(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    match n.op() {
        "Neg" => {
            let act = n.act(0)?;
            let minus = n.add_weights("", vec![1; 4], vec![-1.0])?;
            let y = n.emit(Op::Mul { activation: NONE }, &[act.tensor, minus])?;
            one(y, act.view)
        }
        "Sum" => sum(n),
        op => binary(n, op),
    }
}

fn sum(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let mut total = n.act(0)?;
    for i in 1..n.input_count() {
        let op = Op::Add { activation: NONE };
        let part = if i + 1 == n.input_count() { None } else { Some(format!("sum{i}")) };
        total = match n.input(i) {
            Some(Value::Const(c)) => {
                let c = c.clone();
                with_constant(n, op, &total, &c, c.to_floats(), part)?
            }
            _ => {
                let other = n.act(i)?;
                of_two(n, op, &total, &other, part)?
            }
        };
    }
    one(total.tensor, total.view)
}

fn binary(n: &mut NodeImport, op: &str) -> Result<Vec<Value>, Fault> {
    let result = match (n.input(0), n.input(1)) {
        (Some(Value::Act(_)), Some(Value::Act(_))) => {
            let (a, b) = (n.act(0)?, n.act(1)?);
            of_two(n, operator(op)?, &a, &b, None)?
        }
        (Some(Value::Act(_)), Some(Value::Const(c))) => {
            let (c, act) = (c.clone(), n.act(0)?);
            let values = c.to_floats();
            match op {
                // A division becomes a product with the reciprocal: what devices can do.
                "Div" => {
                    let values = values.iter().map(|v| 1.0 / v).collect();
                    with_constant(n, Op::Mul { activation: NONE }, &act, &c, values, None)?
                }
                _ => with_constant(n, operator(op)?, &act, &c, values, None)?,
            }
        }
        (Some(Value::Const(c)), Some(Value::Act(_))) => {
            let (c, act) = (c.clone(), n.act(1)?);
            constant_first(n, op, &c, &act)?
        }
        _ => return bad("it takes two inputs"),
    };
    one(result.tensor, result.view)
}

fn operator(op: &str) -> Result<Op, Fault> {
    match op {
        "Add" => Ok(Op::Add { activation: NONE }),
        "Sub" => Ok(Op::Sub { activation: NONE }),
        "Mul" => Ok(Op::Mul { activation: NONE }),
        _ => unsupported("its divisor is computed, expected a constant"),
    }
}

fn constant_first(n: &mut NodeImport, op: &str, c: &Const, act: &Act) -> Result<Act, Fault> {
    match op {
        "Add" | "Mul" => with_constant(n, operator(op)?, act, c, c.to_floats(), None),
        "Sub" => {
            let minus = n.add_weights("", vec![1; 4], vec![-1.0])?;
            let tensor = n.emit_part("negate", Op::Mul { activation: NONE }, &[act.tensor, minus])?;
            let negated = Act { tensor, view: act.view.clone() };
            with_constant(n, Op::Add { activation: NONE }, &negated, c, c.to_floats(), None)
        }
        _ => operator(op).map(|_| act.clone()),
    }
}

fn emit(n: &mut NodeImport, op: Op, inputs: &[TensorId], part: Option<String>) -> Result<TensorId, Fault> {
    match part {
        Some(part) => n.emit_part(&part, op, inputs),
        None => n.emit(op, inputs),
    }
}

/// Both shapes padded with leading ones to the same rank.
fn aligned(act: &Act, dims: &[usize]) -> (Act, Vec<usize>) {
    let rank = act.view.rank().max(dims.len());
    let view = act.view.with_leading_ones(rank - act.view.rank());
    let dims = std::iter::repeat_n(1, rank - dims.len()).chain(dims.iter().copied()).collect();
    (Act { tensor: act.tensor, view }, dims)
}

/// Result dimensions of broadcasting.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Fault> {
    let dim = |(&x, &y): (&usize, &usize)| match (x, y) {
        (1, d) | (d, 1) => Some(d),
        _ => (x == y).then_some(x),
    };
    match a.iter().zip(b).map(dim).collect::<Option<Vec<_>>>() {
        Some(dims) => Ok(dims),
        None => bad(format!("the shapes {a:?} and {b:?} do not broadcast")),
    }
}

fn with_constant(
    n: &mut NodeImport,
    op: Op,
    act: &Act,
    c: &Const,
    values: Vec<f32>,
    part: Option<String>,
) -> Result<Act, Fault> {
    let (act, dims) = aligned(act, &c.dims);
    let own = act.view.dims();
    if broadcast(&own, &dims)? == own {
        let constant = n.constant_like(&act, &c.name, &dims, &values)?;
        let tensor = emit(n, op, &[act.tensor, constant], part)?;
        return Ok(Act { tensor, view: act.view });
    }
    // The constant is the larger one: both take the usual roles.
    let groups = usual_groups(own.len())?;
    let constant = n.constant_in(&c.name, &dims, &values, &groups)?;
    let x = n.arrange(&act, &groups)?;
    let tensor = emit(n, op, &[x, constant], part)?;
    Ok(Act { tensor, view: View::from_groups(&broadcast(&own, &dims)?, &groups) })
}

fn usual_groups(rank: usize) -> Result<Groups, Fault> {
    match channels_first(rank) {
        Some(groups) => Ok(groups),
        None => unsupported(format!("a broadcast of rank {rank}, up to 4 is supported")),
    }
}

fn of_two(n: &mut NodeImport, op: Op, a: &Act, b: &Act, part: Option<String>) -> Result<Act, Fault> {
    let rank = a.view.rank().max(b.view.rank());
    let a = aligned(a, &vec![1; rank]).0;
    let b = aligned(b, &vec![1; rank]).0;
    let (da, db) = (a.view.dims(), b.view.dims());
    let dims = broadcast(&da, &db)?;
    if dims == da
        && let Some(other) = n.conform(&b, &a)?
    {
        let tensor = emit(n, op, &[a.tensor, other], part)?;
        return Ok(Act { tensor, view: a.view });
    }
    if dims == db
        && let Some(other) = n.conform(&a, &b)?
    {
        let tensor = emit(n, op, &[other, b.tensor], part)?;
        return Ok(Act { tensor, view: b.view });
    }
    let groups = usual_groups(rank)?;
    let (x, y) = (n.arrange(&a, &groups)?, n.arrange(&b, &groups)?);
    let tensor = emit(n, op, &[x, y], part)?;
    Ok(Act { tensor, view: View::from_groups(&dims, &groups) })
}

impl NodeImport<'_> {
    /// `other`, whose dimensions broadcast to `lead`'s, with its memory arranged like `lead`'s; `None` when the two
    /// are too different.
    fn conform(&mut self, other: &Act, lead: &Act) -> Result<Option<TensorId>, Fault> {
        let shape = self.shape(lead.tensor);
        let dims = other.view.dims();
        let broadcast: Vec<bool> = (0..dims.len()).map(|a| dims[a] == 1 && lead.view.dim(a) != 1).collect();
        // `other` cut into the pieces that `lead` is made of; an axis that broadcasts contributes ones.
        let mut pieces = vec![1; lead.view.atoms().len()];
        for axis in (0..dims.len()).filter(|&a| !broadcast[a]) {
            lead.view.axis(axis).iter().for_each(|&atom| pieces[atom] = lead.view.atoms()[atom]);
        }
        let sequence = lead.view.sequence();
        let fine: Vec<usize> = sequence.iter().map(|&atom| pieces[atom]).collect();
        let (Some(view), Some(of_shape)) = (other.view.reshape(&fine), lead.view.atoms_of_shape(&shape))
        else {
            return Ok(None);
        };
        let own = of_shape.iter().map(|atoms| atoms.iter().map(|&a| pieces[a]).product());
        let own: Vec<usize> = own.collect();
        if (0..4).any(|i| own[i] != 1 && own[i] != shape[i]) {
            return Ok(None);
        }
        let mut place = vec![0; sequence.len()];
        sequence.iter().enumerate().for_each(|(i, &atom)| place[atom] = i);
        let order: Vec<usize> = place.iter().flat_map(|&axis| view.axis(axis).iter().copied()).collect();
        let own = [own[0], own[1], own[2], own[3]];
        let name = self.name.clone();
        let act = Act { tensor: other.tensor, view };
        let tensor = self.importer.reorder(&act, &order, Some(own), &name)?;
        self.importer.reshaped(tensor, own, &name).map(Some)
    }

    /// A constant of ONNX dimensions `dims` (each 1 or `act`'s) as a rank-4 tensor that broadcasts to `act`'s tensor.
    fn constant_like(
        &mut self,
        act: &Act,
        name: &str,
        dims: &[usize],
        values: &[f32],
    ) -> Result<TensorId, Fault> {
        let strides = act.view.strides_in(dims);
        let shape = self.shape(act.tensor);
        let (mut sizes, mut own) = (act.view.atoms().to_vec(), shape);
        if let Some(of_shape) = act.view.atoms_of_shape(&shape) {
            for (axis, atoms) in of_shape.iter().enumerate() {
                if atoms.iter().all(|&a| strides[a] == 0) {
                    own[axis] = 1;
                    atoms.iter().for_each(|&a| sizes[a] = 1);
                }
            }
        }
        self.importer.charge(element_count(&sizes).unwrap_or(usize::MAX))?;
        let values = gather_indices(&sizes, &strides).into_iter().map(|i| values[i]).collect();
        self.add_weights(name, own.to_vec(), values)
    }

    /// A constant as a rank-4 tensor whose dimensions are made of the ONNX axes in `groups`.
    pub(crate) fn constant_in(
        &mut self,
        name: &str,
        dims: &[usize],
        values: &[f32],
        groups: &Groups,
    ) -> Result<TensorId, Fault> {
        self.importer.charge(values.len())?;
        let shape: Vec<usize> = groups.iter().map(|g| g.iter().map(|&a| dims[a]).product()).collect();
        if shape[0] != 1 {
            return unsupported(format!("constant '{name}' of shape {dims:?} has a batch axis"));
        }
        let source = View::from_groups(dims, groups);
        let indices = gather_indices(source.atoms(), &source.strides_in(dims));
        let values = indices.into_iter().map(|i| values[i]).collect();
        self.add_weights(name, shape, values)
    }
}
