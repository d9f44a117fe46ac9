//! Model inputs and outputs in the shapes that the ports name.

use dtmm_graph::{Port, TensorId};

use super::build::{Exporter, Form, ints};
use crate::ExportError;
use crate::proto::{TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto};

/// For each NHWC axis the axis of `[N, C, H, W]`.
pub(super) const IMAGE_AXIS: [usize; 4] = [0, 2, 3, 1];

/// How a port relates to the forms inside the file.
enum Presentation {
    /// It is this form.
    As(Form),
    /// `[N, C, L]` of an image with H = 1.
    Sequence,
    /// Rank 4, another order of axes.
    Permuted,
    /// Anything else: through `[N, H, W, C]`, a reshape and a transpose.
    General,
}

impl Exporter<'_> {
    fn presentation(&self, port: &Port) -> Result<Presentation, ExportError> {
        let shape = self.shape(port.tensor);
        let [n, h, w, c] = shape;
        let mut sorted = port.perm.clone();
        sorted.sort_unstable();
        let valid = sorted.iter().copied().eq(0..port.source_shape.len())
            && port.source_shape.iter().product::<usize>() == n * h * w * c;
        if !valid {
            return Err(ExportError::Port {
                port: port.name.clone(),
                source_shape: port.source_shape.clone(),
                perm: port.perm.clone(),
                shape: shape.to_vec(),
            });
        }
        let arranged: Vec<usize> = port.perm.iter().map(|&p| port.source_shape[p]).collect();
        Ok(match (&port.perm[..], &arranged[..]) {
            ([0, 2, 3, 1], arranged) if *arranged == shape => Presentation::As(Form::Image),
            ([0, 1], [1, _]) if h == 1 && w == 1 => Presentation::As(Form::Features),
            ([0, 2, 1], [1, length, channels]) if [1, 1, *length, *channels] == shape => {
                Presentation::Sequence
            }
            (_, arranged) if *arranged == shape => Presentation::Permuted,
            _ => Presentation::General,
        })
    }

    /// The name of an output port that shows `tensor` just as it is in `form`.
    pub(super) fn port_presenting(&self, tensor: TensorId, form: Form) -> Option<String> {
        let shows = |port: &&Port| {
            port.tensor == tensor
                && matches!(self.presentation(port), Ok(Presentation::As(as_form)) if as_form == form)
        };
        self.graph.outputs.iter().find(shows).map(|p| p.name.clone())
    }

    pub(super) fn inputs(&mut self) -> Result<(), ExportError> {
        let graph = self.graph;
        for port in &graph.inputs {
            let [_, h, w, c] = self.shape(port.tensor);
            let name = port.name.clone();
            let (form, value) = match self.presentation(port)? {
                Presentation::As(form) => (form, name),
                Presentation::Sequence => (Form::Image, self.reshape_to(&name, &name, &[c, h, w])),
                Presentation::Permuted => {
                    let p = &port.perm;
                    (Form::Image, self.transpose(&name, &name, &[p[0], p[3], p[1], p[2]]))
                }
                Presentation::General => {
                    let moved = self.transpose_unless_identity(&name, &name, &port.perm);
                    let nhwc = if is_batched(port) {
                        self.reshape_to(&moved, &name, &[h, w, c])
                    } else {
                        self.reshape_to_static(&moved, &name, &[1, h, w, c])
                    };
                    (Form::Image, self.nhwc_to_image(&nhwc, &name))
                }
            };
            self.define(port.tensor, form, value);
            self.onnx.input.push(value_info(port));
        }
        Ok(())
    }

    pub(super) fn outputs(&mut self) -> Result<(), ExportError> {
        let graph = self.graph;
        for port in &graph.outputs {
            let (tensor, base) = (port.tensor, port.name.clone());
            let [_, h, w, c] = self.shape(tensor);
            let value = match self.presentation(port)? {
                Presentation::As(form) => self.value(tensor, form),
                Presentation::Sequence => {
                    let image = self.value(tensor, Form::Image);
                    self.reshape_to(&image, &base, &[c, w])
                }
                Presentation::Permuted => {
                    let image = self.value(tensor, Form::Image);
                    let mut perm = [0; 4];
                    (0..4).for_each(|i| perm[port.perm[i]] = IMAGE_AXIS[i]);
                    self.transpose(&image, &base, &perm)
                }
                Presentation::General => {
                    let nhwc = self.nhwc(tensor);
                    let dims: Vec<usize> = port.perm.iter().map(|&p| port.source_shape[p]).collect();
                    let shaped = if h * w * c == 0 || !is_batched(port) {
                        self.reshape_to_static(&nhwc, &base, &dims)
                    } else {
                        self.reshape_to(&nhwc, &base, &dims[1..])
                    };
                    let mut inverse = vec![0; dims.len()];
                    port.perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
                    self.transpose_unless_identity(&shaped, &base, &inverse)
                }
            };
            if value != port.name {
                self.add("Identity", (&port.name, port.name.clone()), &[value], vec![]);
            }
            self.onnx.output.push(value_info(port));
        }
        Ok(())
    }

    fn transpose_unless_identity(&mut self, input: &str, base: &str, perm: &[usize]) -> String {
        if perm.iter().copied().eq(0..perm.len()) {
            return input.to_owned();
        }
        self.add_helper("Transpose", base, &[input.to_owned()], vec![ints("perm", perm)])
    }

    fn reshape_to_static(&mut self, input: &str, base: &str, dims: &[usize]) -> String {
        let dims: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
        let shape = self.indices(&format!("{base}/shape"), &dims);
        self.add_helper("Reshape", base, &[input.to_owned(), shape], vec![])
    }
}

/// True when the first axis of the port is the batch.
fn is_batched(port: &Port) -> bool {
    port.source_shape.len() > 1 && port.perm[0] == 0 && port.source_shape[0] == 1
}

fn value_info(port: &Port) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension};
    let batched = is_batched(port);
    let dim = |(i, &d): (usize, &usize)| Dimension {
        value: Some(if i == 0 && batched {
            dimension::Value::DimParam("N".into())
        } else {
            dimension::Value::DimValue(d as i64)
        }),
    };
    let shape = TensorShapeProto { dim: port.source_shape.iter().enumerate().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(shape) };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) });
    ValueInfoProto { name: port.name.clone(), r#type }
}
