//! Builds float graphs in code: architectures, tests, the demo.

use crate::{
    Activation, ElementType, Graph, Node, Op, Padding, Port, ShapeError, Tensor, TensorId, VerifyError,
    Window, infer_shape,
};

/// Adds nodes one after another; shapes are inferred, the first error is reported by [`GraphBuilder::finish`].
pub struct GraphBuilder {
    graph: Graph,
    error: Option<VerifyError>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        GraphBuilder { graph: Graph { name: name.to_owned(), ..Graph::default() }, error: None }
    }

    /// A float input of NHWC `shape`.
    pub fn input(&mut self, name: &str, shape: [usize; 4]) -> TensorId {
        let tensor = self.activation(name, shape.to_vec());
        self.graph.inputs.push(float_port(name, tensor, &shape));
        tensor
    }

    /// A float constant.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> TensorId {
        self.graph.add_f32(name, shape.to_vec(), values)
    }

    /// Any operator; the output gets the inferred shape and the node's name.
    pub fn op(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> TensorId {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&t| self.graph.tensor(t).shape.as_slice()).collect();
        let shape = match infer_shape(&op, &shapes) {
            Ok(shape) => shape,
            Err(source) => self.fail(name, source),
        };
        let output = self.activation(name, shape);
        self.graph.nodes.push(Node { name: name.to_owned(), op, inputs: inputs.to_vec(), output });
        output
    }

    /// Conv2D with SAME (`same`) or no padding; the filter is OHWI.
    #[expect(clippy::too_many_arguments, reason = "the parts of a convolution")]
    pub fn conv2d(
        &mut self,
        name: &str,
        x: TensorId,
        filter: TensorId,
        bias: Option<TensorId>,
        stride: [usize; 2],
        same: bool,
        activation: Activation,
    ) -> TensorId {
        let window = self.window(x, filter, stride, same);
        let inputs: Vec<TensorId> = [x, filter].into_iter().chain(bias).collect();
        self.op(name, Op::Conv2d { window, activation }, &inputs)
    }

    /// The window of a filter (OHWI or 1HWO) over `x`.
    pub fn window(&self, x: TensorId, filter: TensorId, stride: [usize; 2], same: bool) -> Window {
        let (x, f) = (self.shape(x), self.shape(filter));
        let kernel = [f[1], f[2]];
        let padding =
            if same { Padding::same([x[1], x[2]], kernel, stride, [1, 1]) } else { Padding::default() };
        Window { kernel, stride, dilation: [1, 1], padding }
    }

    /// The shape of a tensor added before.
    pub fn shape(&self, tensor: TensorId) -> &[usize] {
        &self.graph.tensor(tensor).shape
    }

    /// Verifies and returns the graph with these outputs.
    ///
    /// # Errors
    /// The first node whose inputs did not fit, or any other broken rule.
    pub fn finish(mut self, outputs: &[TensorId]) -> Result<Graph, VerifyError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for &t in outputs {
            let (name, shape) = (self.graph.tensor(t).name.clone(), self.graph.tensor(t).shape.clone());
            self.graph.outputs.push(float_port(&name, t, &shape));
        }
        self.graph.verify()?;
        Ok(self.graph)
    }

    fn activation(&mut self, name: &str, shape: Vec<usize>) -> TensorId {
        let element_type = ElementType::F32;
        self.graph.add_tensor(Tensor { name: name.to_owned(), shape, element_type, quant: None, data: None })
    }

    /// Remembers the first error and goes on with a placeholder shape.
    fn fail(&mut self, node: &str, source: ShapeError) -> Vec<usize> {
        self.error.get_or_insert(VerifyError::Shape { node: node.to_owned(), source });
        vec![1; 4]
    }
}

fn float_port(name: &str, tensor: TensorId, shape: &[usize]) -> Port {
    Port {
        tensor,
        name: name.to_owned(),
        source_shape: shape.to_vec(),
        perm: (0..shape.len()).collect(),
        element_type: ElementType::F32,
        quant: None,
    }
}
