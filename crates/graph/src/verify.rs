//! The verifier: what every stage may rely on.

use thiserror::Error;

use crate::{ElementType, Graph, ShapeError, Tensor, TensorId, infer_shape};

/// The first rule that a graph breaks.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum VerifyError {
    /// An id points outside the tensor list.
    #[error("node '{node}' refers to tensor {id}, but the graph has {count} tensors")]
    NoSuchTensor {
        /// Node or port name.
        node: String,
        /// The id.
        id: u32,
        /// Number of tensors.
        count: usize,
    },
    /// A tensor is read before any node wrote it.
    #[error("node '{node}' reads tensor '{tensor}' before it is computed (a cycle or a missing producer)")]
    NotYetComputed {
        /// Node name.
        node: String,
        /// Tensor name.
        tensor: String,
    },
    /// A tensor is written twice, or a constant or input is written.
    #[error("node '{node}' writes tensor '{tensor}', which already has a value")]
    WrittenTwice {
        /// Node name.
        node: String,
        /// Tensor name.
        tensor: String,
    },
    /// The operator does not accept its inputs.
    #[error("node '{node}': {source}")]
    Shape {
        /// Node name.
        node: String,
        /// What is wrong.
        source: ShapeError,
    },
    /// The output tensor has another shape than the operator gives.
    #[error("node '{node}' gives shape {expected:?}, but its output tensor says {found:?}")]
    OutputShape {
        /// Node name.
        node: String,
        /// Inferred.
        expected: Vec<usize>,
        /// Stored.
        found: Vec<usize>,
    },
    /// Data and shape disagree, a size overflows, or quantisation parameters are malformed.
    #[error("tensor '{tensor}': {what}")]
    Tensor {
        /// Tensor name.
        tensor: String,
        /// What is wrong.
        what: String,
    },
    /// The graph has no input or no output.
    #[error("the graph has no {0}")]
    NoPort(&'static str),
}

/// No tensor of a microcontroller model comes near this many elements; larger ones are refused early.
const MAX_ELEMENTS: usize = 1 << 31;

impl Graph {
    /// Checks ids, execution order, shapes, element types and quantisation parameters.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self) -> Result<(), VerifyError> {
        self.tensors.iter().try_for_each(verify_tensor)?;
        let mut ready: Vec<bool> = self.tensors.iter().map(|t| t.data.is_some()).collect();
        for port in &self.inputs {
            self.check_id(&port.name, port.tensor)?;
            ready[port.tensor.index()] = true;
        }
        for node in &self.nodes {
            for &t in node.inputs.iter().chain([&node.output]) {
                self.check_id(&node.name, t)?;
            }
            if let Some(&t) = node.inputs.iter().find(|t| !ready[t.index()]) {
                let tensor = self.tensor(t).name.clone();
                return Err(VerifyError::NotYetComputed { node: node.name.clone(), tensor });
            }
            if std::mem::replace(&mut ready[node.output.index()], true) {
                let tensor = self.tensor(node.output).name.clone();
                return Err(VerifyError::WrittenTwice { node: node.name.clone(), tensor });
            }
            let shapes: Vec<&[usize]> =
                node.inputs.iter().map(|&t| self.tensor(t).shape.as_slice()).collect();
            let expected = infer_shape(&node.op, &shapes)
                .map_err(|source| VerifyError::Shape { node: node.name.clone(), source })?;
            let found = &self.tensor(node.output).shape;
            if *found != expected {
                return Err(VerifyError::OutputShape {
                    node: node.name.clone(),
                    expected,
                    found: found.clone(),
                });
            }
        }
        for port in &self.outputs {
            self.check_id(&port.name, port.tensor)?;
            if !ready[port.tensor.index()] {
                let tensor = self.tensor(port.tensor).name.clone();
                return Err(VerifyError::NotYetComputed { node: port.name.clone(), tensor });
            }
        }
        let ports = [("input", self.inputs.is_empty()), ("output", self.outputs.is_empty())];
        ports.iter().find(|p| p.1).map_or(Ok(()), |p| Err(VerifyError::NoPort(p.0)))
    }

    fn check_id(&self, node: &str, id: TensorId) -> Result<(), VerifyError> {
        let count = self.tensors.len();
        if id.index() < count {
            Ok(())
        } else {
            Err(VerifyError::NoSuchTensor { node: node.to_owned(), id: id.0, count })
        }
    }
}

fn verify_tensor(t: &Tensor) -> Result<(), VerifyError> {
    let fail = |what: String| Err(VerifyError::Tensor { tensor: t.name.clone(), what });
    let len = t.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    match len {
        Some(0) => return fail(format!("shape {:?} has an empty dimension", t.shape)),
        Some(n) if n <= MAX_ELEMENTS => {}
        _ => return fail(format!("shape {:?} is too large", t.shape)),
    }
    if let Some(data) = &t.data {
        if Some(data.len()) != len {
            return fail(format!("shape {:?} needs {} values, found {}", t.shape, t.len(), data.len()));
        }
        if data.element_type() != t.element_type {
            return fail(format!("declared {} but holds {}", t.element_type, data.element_type()));
        }
    }
    match &t.quant {
        None if matches!(t.element_type, ElementType::I8 | ElementType::U8) => {
            fail(format!("an {} tensor needs quantisation parameters", t.element_type))
        }
        Some(q) if q.scale.len() != q.zero_point.len() || q.scale.is_empty() => {
            fail("scale and zero_point must have the same, positive number of values".into())
        }
        Some(q) if !q.is_per_tensor() && t.shape.get(q.axis) != Some(&q.scale.len()) => {
            fail(format!("{} scales do not fit axis {} of shape {:?}", q.scale.len(), q.axis, t.shape))
        }
        Some(q) if q.scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) => {
            fail("every scale must be finite and positive".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, GraphBuilder, Op};

    fn tiny() -> Graph {
        let mut b = GraphBuilder::new("tiny");
        let x = b.input("x", [1, 4, 4, 3]);
        let w = b.constant("w", &[8, 3, 3, 3], vec![0.0; 216]);
        let y = b.conv2d("conv", x, w, None, [1, 1], true, Activation::Relu);
        b.finish(&[y]).unwrap()
    }

    #[test]
    fn accepts_a_valid_graph() {
        assert_eq!(tiny().verify(), Ok(()));
    }

    #[test]
    fn finds_each_broken_rule() {
        let broken: [fn(&mut Graph); 5] = [
            |g| g.nodes[0].inputs[0] = TensorId(99),
            |g| g.inputs.clear(),
            |g| g.tensors[1].shape = vec![8, 3, 3, 4],
            |g| g.nodes.push(g.nodes[0].clone()),
            |g| g.nodes[0].op = Op::Concat { axis: 0 },
        ];
        for (i, break_it) in broken.iter().enumerate() {
            let mut g = tiny();
            break_it(&mut g);
            assert!(g.verify().is_err(), "rule {i} was not noticed");
        }
    }
}
