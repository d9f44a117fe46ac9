//! The ONNX form of each operator.

use dtmm_graph::{Activation, ElementType, Node, Op, TensorId, Window};

use super::build::{Exporter, Form, float, int, ints, refuse, string};
use super::ports::IMAGE_AXIS;
use crate::ExportError;
use crate::proto::AttributeProto;

impl Exporter<'_> {
    pub(super) fn node(&mut self, node: &Node) -> Result<(), ExportError> {
        let quantising = matches!(node.op, Op::Quantize | Op::Dequantize);
        for &t in node.inputs.iter().chain([&node.output]) {
            self.check_type(node, t, quantising)?;
        }
        match &node.op {
            Op::Conv2d { window, .. } => self.conv(node, window, false),
            Op::DepthwiseConv2d { window, .. } => self.conv(node, window, true),
            Op::FullyConnected { .. } => self.dense(node),
            Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => self.binary(node),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::MaxPool { window, .. } => self.spatial(node, "MaxPool", window_attributes(window, false)),
            Op::AveragePool { window, count_include_pad, .. } => {
                let mut attributes = window_attributes(window, false);
                attributes.push(int("count_include_pad", i64::from(*count_include_pad)));
                self.spatial(node, "AveragePool", attributes)
            }
            Op::Mean { axes } => self.mean(node, axes),
            Op::Reshape { shape } => self.reshape(node, *shape),
            Op::Transpose { perm } => {
                let mut image_perm = [0; 4];
                (0..4).for_each(|i| image_perm[IMAGE_AXIS[i]] = IMAGE_AXIS[perm[i]]);
                self.spatial(node, "Transpose", vec![ints("perm", &image_perm)])
            }
            Op::Slice { begin, end, stride } => self.slice(node, [*begin, *end, *stride]),
            Op::Pad { before, after, value } => self.pad(node, [*before, *after], *value),
            Op::Relu => self.unary(node, "Relu", vec![]),
            Op::Clip { min, max } => self.clip(node, *min, *max),
            Op::LeakyRelu { alpha } => self.unary(node, "LeakyRelu", vec![float("alpha", *alpha)]),
            Op::HardSwish => self.unary(node, "HardSwish", vec![]),
            Op::Sigmoid => self.unary(node, "Sigmoid", vec![]),
            Op::Tanh => self.unary(node, "Tanh", vec![]),
            Op::Softmax { beta } => self.softmax(node, *beta),
            Op::LogSoftmax => self.unary(node, "LogSoftmax", vec![int("axis", 1)]),
            Op::ResizeNearest { size, align_corners, half_pixel_centers } => {
                self.resize(node, *size, *align_corners, *half_pixel_centers)
            }
            Op::BatchNorm { epsilon } => self.batch_norm(node, *epsilon),
            Op::Quantize | Op::Dequantize => self.quantize(node),
        }
    }

    /// Adds the operator, then its fused activation, and records the output.
    fn finish(
        &mut self,
        node: &Node,
        form: Form,
        op: &str,
        inputs: &[String],
        attributes: Vec<AttributeProto>,
    ) -> Result<(), ExportError> {
        let activation = node.op.activation().unwrap_or_default();
        let output = self.output_name(node.output, form);
        if activation == Activation::None {
            self.add(op, (&node.name, output.clone()), inputs, attributes);
        } else {
            let raw = self.fresh(&format!("{output}/linear"));
            self.add(op, (&node.name, raw.clone()), inputs, attributes);
            let (min, max) = activation.range();
            self.clamp(&format!("{}/act", node.name), output.clone(), raw, (min, max));
        }
        self.define(node.output, form, output);
        Ok(())
    }

    /// Relu or Clip from `input` to `output`; infinite and largest bounds are left out.
    fn clamp(&mut self, name: &str, output: String, input: String, (min, max): (f32, f32)) {
        if min == 0.0 && max >= f32::MAX {
            self.add("Relu", (name, output), &[input], vec![]);
            return;
        }
        let mut inputs = vec![input];
        inputs.push(if min <= f32::MIN {
            String::new()
        } else {
            self.floats(&format!("{name}/min"), &[], &[min])
        });
        if max < f32::MAX {
            inputs.push(self.floats(&format!("{name}/max"), &[], &[max]));
        }
        self.add("Clip", (name, output), &inputs, vec![]);
    }

    /// An operator on each element (or along C) that takes whatever form its input has.
    fn unary(&mut self, node: &Node, op: &str, attributes: Vec<AttributeProto>) -> Result<(), ExportError> {
        let form = self.natural(node.inputs[0]);
        let x = self.value(node.inputs[0], form);
        self.finish(node, form, op, &[x], attributes)
    }

    fn clip(&mut self, node: &Node, min: f32, max: f32) -> Result<(), ExportError> {
        let form = self.natural(node.inputs[0]);
        let x = self.value(node.inputs[0], form);
        let output = self.output_name(node.output, form);
        self.clamp(&node.name, output.clone(), x, (min, max));
        self.define(node.output, form, output);
        Ok(())
    }

    /// An operator with one input on `[N, C, H, W]`.
    fn spatial(&mut self, node: &Node, op: &str, attributes: Vec<AttributeProto>) -> Result<(), ExportError> {
        let x = self.value(node.inputs[0], Form::Image);
        self.finish(node, Form::Image, op, &[x], attributes)
    }

    fn name_of(&self, tensor: TensorId) -> String {
        self.graph.tensor(tensor).name.clone()
    }

    fn conv(&mut self, node: &Node, window: &Window, depthwise: bool) -> Result<(), ExportError> {
        let filter = node.inputs[1];
        let [o, h, w, i] = self.shape(filter);
        let values = self.constant(node, filter)?;
        // OHWI to OIHW; 1HWO to O1HW.
        let (dims, values) = if depthwise {
            ([i, 1, h, w], moved(values, [i, h * w], [1, i]))
        } else {
            let values = values.chunks(h * w * i).flat_map(|f| moved(f, [i, h * w], [1, i])).collect();
            ([o, i, h, w], values)
        };
        let mut inputs = vec![self.value(node.inputs[0], Form::Image)];
        inputs.push(self.floats(&self.name_of(filter), &dims, &values));
        if let Some(&bias) = node.inputs.get(2) {
            let values = self.constant(node, bias)?;
            inputs.push(self.floats(&self.name_of(bias), &[values.len()], values));
        }
        let mut attributes = window_attributes(window, true);
        let group = if depthwise { self.shape(node.inputs[0])[3] } else { 1 };
        attributes.push(int("group", group as i64));
        self.finish(node, Form::Image, "Conv", &inputs, attributes)
    }

    fn dense(&mut self, node: &Node) -> Result<(), ExportError> {
        let (x, weights) = (node.inputs[0], node.inputs[1]);
        let dims = self.graph.tensor(weights).shape.clone();
        let (o, i) = (dims[0], dims[1]);
        let mut values = self.constant(node, weights)?.to_vec();
        if !self.is_vector(x) {
            return self.dense_rows(node, [o, i], &values);
        }
        let input = match self.natural(x) {
            Form::Flattened([h, w, c]) => {
                // Each row from H, W, C order to the C, H, W order of the flattened image.
                values = values.chunks(i).flat_map(|row| moved(row, [c, h * w], [1, c])).collect();
                self.value(x, Form::Flattened([h, w, c]))
            }
            _ => self.value(x, Form::Features),
        };
        let mut inputs = vec![input, self.floats(&self.name_of(weights), &[o, i], &values)];
        if let Some(&bias) = node.inputs.get(2) {
            let values = self.constant(node, bias)?;
            inputs.push(self.floats(&self.name_of(bias), &[o], values));
        }
        self.finish(node, Form::Features, "Gemm", &inputs, vec![int("transB", 1)])
    }

    /// A dense layer on every pixel.
    fn dense_rows(&mut self, node: &Node, [o, i]: [usize; 2], values: &[f32]) -> Result<(), ExportError> {
        let rows = self.nhwc(node.inputs[0]);
        let weights = moved(values, [i, o], [1, i]);
        let weights = self.floats(&self.name_of(node.inputs[1]), &[i, o], &weights);
        let wanted = format!("{}/rows", self.name_of(node.output));
        let mut y = self.fresh(&wanted);
        self.add("MatMul", (&node.name, y.clone()), &[rows, weights], vec![]);
        if let Some(&bias) = node.inputs.get(2) {
            let values = self.constant(node, bias)?;
            let bias = self.floats(&self.name_of(bias), &[o], values);
            y = self.add_helper("Add", &node.name, &[y, bias], vec![]);
        }
        let perm = ints("perm", &[0, 3, 1, 2]);
        let output = Node { name: format!("{}/nchw", node.name), ..node.clone() };
        self.finish(&output, Form::Image, "Transpose", &[y], vec![perm])
    }

    fn binary(&mut self, node: &Node) -> Result<(), ExportError> {
        let vectors = node.inputs.iter().all(|&t| self.is_vector(t));
        let images = node.inputs.iter().filter(|&&t| !self.is_constant(t));
        let images = images.filter(|&&t| self.natural(t) == Form::Image).count();
        let form = if vectors && images == 0 { Form::Features } else { Form::Image };
        let mut inputs = vec![];
        for &t in &node.inputs {
            inputs.push(self.operand(node, t, form)?);
        }
        self.finish(node, form, node.op.name(), &inputs, vec![])
    }

    /// An input that may be a constant.
    fn operand(&mut self, node: &Node, tensor: TensorId, form: Form) -> Result<String, ExportError> {
        if !self.is_constant(tensor) {
            return Ok(self.value(tensor, form));
        }
        let [_, h, w, c] = self.shape(tensor);
        let values = self.constant(node, tensor)?;
        let name = self.name_of(tensor);
        Ok(match form {
            Form::Image => self.floats(&name, &[1, c, h, w], &moved(values, [c, h * w], [1, c])),
            _ => self.floats(&name, &[1, c], values),
        })
    }

    fn concat(&mut self, node: &Node, axis: usize) -> Result<(), ExportError> {
        let features = |e: &Self, t: TensorId| e.is_vector(t) && e.natural(t) != Form::Image;
        let flat = axis == 3 && node.inputs.iter().all(|&t| !self.is_constant(t) && features(self, t));
        let form = if flat { Form::Features } else { Form::Image };
        let mut inputs = vec![];
        for &t in &node.inputs {
            inputs.push(self.operand(node, t, form)?);
        }
        let axis = if flat { 1 } else { IMAGE_AXIS[axis] };
        self.finish(node, form, "Concat", &inputs, vec![int("axis", axis as i64)])
    }

    fn mean(&mut self, node: &Node, axes: &[usize]) -> Result<(), ExportError> {
        if axes == [1, 2] {
            return self.spatial(node, "GlobalAveragePool", vec![]);
        }
        let mut axes: Vec<usize> = axes.iter().map(|&a| IMAGE_AXIS[a]).collect();
        axes.sort_unstable();
        self.spatial(node, "ReduceMean", vec![ints("axes", &axes), int("keepdims", 1)])
    }

    fn reshape(&mut self, node: &Node, shape: [usize; 4]) -> Result<(), ExportError> {
        let x = node.inputs[0];
        let [_, h, w, c] = self.shape(x);
        let [_, h2, w2, c2] = shape;
        let plain = c == 1 || h * w == 1;
        match self.natural(x) {
            Form::Image if h2 * w2 == 1 => {
                let form = if plain { Form::Features } else { Form::Flattened([h, w, c]) };
                let image = self.value(x, Form::Image);
                self.finish(node, form, "Flatten", &[image], vec![])
            }
            Form::Flattened(from) if from == [h2, w2, c2] => {
                let flat = self.value(x, Form::Flattened(from));
                self.reshape_node(node, flat, Form::Image, &[c2, h2, w2])
            }
            Form::Flattened(from) if h2 * w2 == 1 => {
                let flat = self.value(x, Form::Flattened(from));
                self.finish(node, Form::Flattened(from), "Identity", &[flat], vec![])
            }
            Form::Image if !plain => {
                let rows = self.nhwc(x);
                self.reshape_rows(node, rows, shape)
            }
            Form::Image => {
                let image = self.value(x, Form::Image);
                self.reshape_rows(node, image, shape)
            }
            _ => {
                let flat = self.value(x, Form::Features);
                match h2 * w2 {
                    1 => self.finish(node, Form::Features, "Identity", &[flat], vec![]),
                    _ => self.reshape_rows(node, flat, shape),
                }
            }
        }
    }

    /// From elements in NHWC order to the image of another shape.
    fn reshape_rows(&mut self, node: &Node, rows: String, shape: [usize; 4]) -> Result<(), ExportError> {
        let [_, h, w, c] = shape;
        if c == 1 || h * w == 1 {
            return self.reshape_node(node, rows, Form::Image, &[c, h, w]);
        }
        let nhwc = self.reshape_to(&rows, &node.name, &[h, w, c]);
        self.finish(node, Form::Image, "Transpose", &[nhwc], vec![ints("perm", &[0, 3, 1, 2])])
    }

    fn reshape_node(
        &mut self,
        node: &Node,
        input: String,
        form: Form,
        rest: &[usize],
    ) -> Result<(), ExportError> {
        let dims: Vec<i64> = std::iter::once(0).chain(rest.iter().map(|&d| d as i64)).collect();
        let shape = self.indices(&format!("{}/shape", node.name), &dims);
        self.finish(node, form, "Reshape", &[input, shape], vec![])
    }

    fn slice(&mut self, node: &Node, [begin, end, stride]: [[usize; 4]; 3]) -> Result<(), ExportError> {
        let shape = self.shape(node.inputs[0]);
        let cut: Vec<usize> = (1..4).filter(|&a| (begin[a], end[a], stride[a]) != (0, shape[a], 1)).collect();
        let column = |v: [usize; 4]| cut.iter().map(|&a| v[a] as i64).collect::<Vec<i64>>();
        let mut inputs = vec![self.value(node.inputs[0], Form::Image)];
        let parts = [("starts", begin), ("ends", end), ("axes", IMAGE_AXIS), ("steps", stride)];
        for (part, values) in parts {
            inputs.push(self.indices(&format!("{}/{part}", node.name), &column(values)));
        }
        self.finish(node, Form::Image, "Slice", &inputs, vec![])
    }

    fn pad(&mut self, node: &Node, sides: [[usize; 4]; 2], value: f32) -> Result<(), ExportError> {
        if sides[0][0] + sides[1][0] > 0 {
            return refuse(node, "it pads the batch axis");
        }
        let pads: Vec<i64> = sides.iter().flat_map(|s| [0, s[3], s[1], s[2]]).map(|p| p as i64).collect();
        let x = self.value(node.inputs[0], Form::Image);
        let pads = self.indices(&format!("{}/pads", node.name), &pads);
        let value = self.floats(&format!("{}/value", node.name), &[], &[value]);
        self.finish(node, Form::Image, "Pad", &[x, pads, value], vec![string("mode", "constant")])
    }

    fn softmax(&mut self, node: &Node, beta: f32) -> Result<(), ExportError> {
        let form = self.natural(node.inputs[0]);
        let mut x = self.value(node.inputs[0], form);
        if beta != 1.0 {
            let beta = self.floats(&format!("{}/beta", node.name), &[], &[beta]);
            x = self.add_helper("Mul", &node.name, &[x, beta], vec![]);
        }
        self.finish(node, form, "Softmax", &[x], vec![int("axis", 1)])
    }

    fn resize(
        &mut self,
        node: &Node,
        size: [usize; 2],
        align_corners: bool,
        half_pixel: bool,
    ) -> Result<(), ExportError> {
        let [_, h, w, _] = self.shape(node.inputs[0]);
        let scales = [1.0, 1.0, exact_scale(h, size[0]), exact_scale(w, size[1])];
        let (coordinates, nearest) = match (align_corners, half_pixel) {
            (true, true) => return refuse(node, "aligned corners and half-pixel centres at once"),
            (true, false) => ("align_corners", "round_prefer_ceil"),
            (false, true) => ("half_pixel", "round_prefer_ceil"),
            (false, false) => ("asymmetric", "floor"),
        };
        let x = self.value(node.inputs[0], Form::Image);
        let scales = self.floats(&format!("{}/scales", node.name), &[4], &scales);
        let attributes = vec![
            string("mode", "nearest"),
            string("coordinate_transformation_mode", coordinates),
            string("nearest_mode", nearest),
        ];
        self.finish(node, Form::Image, "Resize", &[x, String::new(), scales], attributes)
    }

    fn batch_norm(&mut self, node: &Node, epsilon: f32) -> Result<(), ExportError> {
        let form = match self.natural(node.inputs[0]) {
            Form::Image => Form::Image,
            _ => Form::Features,
        };
        let mut inputs = vec![self.value(node.inputs[0], form)];
        for &parameter in &node.inputs[1..] {
            let values = self.constant(node, parameter)?;
            inputs.push(self.floats(&self.name_of(parameter), &[values.len()], values));
        }
        self.finish(node, form, "BatchNormalization", &inputs, vec![float("epsilon", epsilon)])
    }

    fn quantize(&mut self, node: &Node) -> Result<(), ExportError> {
        let quantize = node.op == Op::Quantize;
        let (from, to) = (node.inputs[0], node.output);
        let integer = self.graph.tensor(if quantize { to } else { from });
        let types = (self.graph.tensor(from).element_type, self.graph.tensor(to).element_type);
        let expected = match quantize {
            true => (ElementType::F32, ElementType::I8),
            false => (ElementType::I8, ElementType::F32),
        };
        let Some(quant) = integer.quant.as_ref().filter(|q| q.is_per_tensor() && types == expected) else {
            return refuse(node, "only one scale between float32 and int8 can be written");
        };
        let form = self.natural(from);
        let x = self.value(from, form);
        let scale = self.floats(&format!("{}/scale", node.name), &[], &quant.scale);
        let zero_point = i8::try_from(quant.zero_point[0]).unwrap_or_default();
        let zero_point = self.int8(&format!("{}/zero_point", node.name), zero_point);
        let op = if quantize { "QuantizeLinear" } else { "DequantizeLinear" };
        self.finish(node, form, op, &[x, scale, zero_point], vec![])
    }
}

fn window_attributes(window: &Window, dilation: bool) -> Vec<AttributeProto> {
    let p = window.padding;
    let mut attributes = vec![
        ints("kernel_shape", &window.kernel),
        ints("strides", &window.stride),
        ints("pads", &[p.top, p.left, p.bottom, p.right]),
    ];
    if dilation {
        attributes.push(ints("dilations", &window.dilation));
    }
    attributes
}

/// Reads `values` in another order: result `[a][b]` is at `a * strides[0] + b * strides[1]`.
fn moved(values: &[f32], sizes: [usize; 2], strides: [usize; 2]) -> Vec<f32> {
    let index = |a: usize, b: usize| a * strides[0] + b * strides[1];
    (0..sizes[0]).flat_map(|a| (0..sizes[1]).map(move |b| values[index(a, b)])).collect()
}

/// A scale that gives exactly `to` after ONNX's `floor(from * scale)`.
fn exact_scale(from: usize, to: usize) -> f32 {
    let scale = to as f32 / from as f32;
    if (from as f32 * scale).floor() as usize == to { scale } else { scale.next_up() }
}
