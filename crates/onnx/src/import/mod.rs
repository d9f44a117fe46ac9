//! From ONNX bytes to a graph: parsing, the walk over the nodes, ports.

mod activations;
mod arithmetic;
mod arrange;
mod context;
mod conv;
mod dense;
mod layout;
mod norm;
mod pool;
mod quantize;
mod reduce;
mod resize;
mod slice;
mod window;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use dtmm_graph::{ElementType, Graph, Op, Port, Tensor, TensorId};
use prost::Message;

use crate::constant::{self, Const};
use crate::error::{Fault, UnsupportedOp};
use crate::order::{OrderError, execution_order};
use crate::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto, tensor_shape_proto, type_proto};
use crate::view::{Groups, View, channels_first, channels_last, is_sorted};
use crate::{ImportError, fold, fuse, metadata};
pub(crate) use layout::{flatten_dims, permutation, reshape_dims, squeeze_dims, unsqueeze_dims};
pub(crate) use slice::ranges;

use context::{Act, Importer, NodeImport, Value};

/// The largest protobuf message; nothing larger is a valid ONNX file.
pub(crate) const MAX_FILE_BYTES: u64 = (1 << 31) - 1;

/// Imports an ONNX model held in memory; `name` stands for the file in messages and names the graph.
///
/// # Errors
/// [`ImportError`]: unreadable or inconsistent model, or unsupported operators (all of them are listed). A model with
/// external data needs [`import_file`].
pub fn import(bytes: &[u8], name: &str) -> Result<Graph, ImportError> {
    import_model(bytes, name, None)
}

/// Imports the ONNX model at `path`; external data is read from files in the same folder.
///
/// # Errors
/// As [`import`], and when the file cannot be read.
pub fn import_file(path: impl AsRef<Path>) -> Result<Graph, ImportError> {
    let path = path.as_ref();
    let file = path.display().to_string();
    let read = |source| ImportError::Read { file: file.clone(), source };
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { file, size, limit: MAX_FILE_BYTES });
    }
    let bytes = std::fs::read(path).map_err(read)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    import_model(&bytes, &file, Some(folder))
}

/// Decodes the protobuf.
pub(crate) fn parse(bytes: &[u8], file: &str) -> Result<ModelProto, ImportError> {
    let size = bytes.len() as u64;
    if size > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { file: file.to_owned(), size, limit: MAX_FILE_BYTES });
    }
    ModelProto::decode(bytes).map_err(|source| ImportError::Parse { file: file.to_owned(), source })
}

fn import_model(bytes: &[u8], file: &str, folder: Option<&Path>) -> Result<Graph, ImportError> {
    let model = parse(bytes, file)?;
    let Some(graph) = &model.graph else {
        return Err(ImportError::Model { file: file.to_owned(), what: "it holds no graph".into() });
    };
    let order = execution_order(graph).map_err(|e| order_error(graph, file, e))?;
    let constants = decode_initializers(graph, file, folder)?;
    let initializers = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let opset = opset(&model, file)?;
    let job = Job { file, graph, order, initializers, constants, opset, folder, bytes: bytes.len() };
    let mut imported = job.with_best_layout()?;
    imported.preprocessing = metadata::preprocessing(&model, file)?;
    imported.name = if graph.name.is_empty() { file.to_owned() } else { graph.name.clone() };
    fuse::fuse(&mut imported);
    imported.drop_unused_tensors();
    imported
        .verify()
        .map_err(|source| ImportError::Verify { file: file.to_owned(), source: Box::new(source) })?;
    Ok(imported)
}

fn opset(model: &ModelProto, file: &str) -> Result<i64, ImportError> {
    let standard = model.opset_import.iter().find(|o| is_standard_domain(&o.domain));
    standard.map(|o| o.version).ok_or_else(|| ImportError::Model {
        file: file.to_owned(),
        what: "it does not say which version of the standard operators it uses".into(),
    })
}

fn is_standard_domain(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn order_error(graph: &GraphProto, file: &str, error: OrderError) -> ImportError {
    let file = file.to_owned();
    match error {
        OrderError::Cycle(nodes) => {
            let nodes = nodes.iter().take(8).map(|&n| node_name(&graph.node[n])).collect();
            ImportError::Cycle { file, nodes }
        }
        OrderError::WrittenTwice(tensor) => {
            ImportError::Tensor { file, tensor, what: "two nodes write it".into() }
        }
    }
}

fn decode_initializers(
    graph: &GraphProto,
    file: &str,
    folder: Option<&Path>,
) -> Result<HashMap<String, Rc<Const>>, ImportError> {
    let read: HashSet<&str> = graph.node.iter().flat_map(|n| n.input.iter().map(String::as_str)).collect();
    let used = graph.initializer.iter().filter(|t| read.contains(t.name.as_str()));
    used.map(|tensor| match constant::decode(tensor, folder) {
        Ok(value) => Ok((tensor.name.clone(), Rc::new(value))),
        Err(Fault::Bad(what) | Fault::Unsupported(what)) => {
            Err(ImportError::Tensor { file: file.to_owned(), tensor: tensor.name.clone(), what })
        }
        Err(Fault::Shape(e)) => Err(ImportError::Tensor {
            file: file.to_owned(),
            tensor: tensor.name.clone(),
            what: e.to_string(),
        }),
    })
    .collect()
}

fn node_name(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
    name.cloned().unwrap_or_default()
}

/// One model on its way in.
struct Job<'a> {
    file: &'a str,
    graph: &'a GraphProto,
    order: Vec<usize>,
    initializers: HashSet<&'a str>,
    constants: HashMap<String, Rc<Const>>,
    opset: i64,
    folder: Option<&'a Path>,
    bytes: usize,
}

impl<'a> Job<'a> {
    /// Imports with channels-first inputs, and with channels-last ones where that leaves fewer transposes.
    fn with_best_layout(&self) -> Result<Graph, ImportError> {
        let first = self.with_layout(channels_first)?;
        let transposes = |g: &Graph| g.nodes.iter().filter(|n| matches!(n.op, Op::Transpose { .. })).count();
        if transposes(&first) == 0 {
            return Ok(first);
        }
        match self.with_layout(channels_last) {
            Ok(last) if transposes(&last) < transposes(&first) => Ok(last),
            _ => Ok(first),
        }
    }

    fn with_layout(&self, layout: fn(usize) -> Option<Groups>) -> Result<Graph, ImportError> {
        let mut importer = Importer::new(self.opset, self.bytes, self.folder);
        for (name, value) in &self.constants {
            importer.values.insert(name.clone(), Value::Const(value.clone()));
        }
        for input in self.graph.input.iter().filter(|i| !self.initializers.contains(i.name.as_str())) {
            self.add_input(&mut importer, input, layout)?;
        }
        let mut unsupported = vec![];
        for &i in &self.order {
            self.add_node(&mut importer, &self.graph.node[i], &mut unsupported)?;
        }
        if !unsupported.is_empty() {
            return Err(ImportError::Unsupported { file: self.file.to_owned(), ops: unsupported });
        }
        for output in &self.graph.output {
            self.add_output(&mut importer, output, layout)?;
        }
        Ok(importer.graph)
    }

    fn add_input(
        &self,
        importer: &mut Importer,
        input: &ValueInfoProto,
        layout: fn(usize) -> Option<Groups>,
    ) -> Result<(), ImportError> {
        let fail =
            |what: String| ImportError::Input { file: self.file.to_owned(), input: input.name.clone(), what };
        let (dims, batch) = input_dims(input).map_err(fail)?;
        importer.fixed_batch = importer.fixed_batch.or(batch);
        let rank = dims.len();
        let groups =
            layout(rank).ok_or_else(|| fail(format!("rank {rank} is not supported (1 to 4 are)")))?;
        let shape: Vec<usize> = groups.iter().map(|g| g.iter().map(|&a| dims[a]).product()).collect();
        let tensor = importer.graph.add_tensor(Tensor {
            name: input.name.clone(),
            shape,
            element_type: ElementType::F32,
            quant: None,
            data: None,
        });
        importer.graph.inputs.push(port(&input.name, tensor, &dims, groups.concat()));
        let view = View::from_groups(&dims, &groups);
        importer.values.insert(input.name.clone(), Value::Act(Act { tensor, view }));
        Ok(())
    }

    fn add_node(
        &self,
        importer: &mut Importer,
        node: &'a NodeProto,
        unsupported: &mut Vec<UnsupportedOp>,
    ) -> Result<(), ImportError> {
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(match name.as_str() {
                "" => None,
                name => Some(importer.values.get(name).cloned().ok_or_else(|| {
                    self.node_error(node, format!("its input '{name}' is neither computed nor stored"))
                })?),
            });
        }
        let outputs = match import_node(importer, node, inputs) {
            Ok(outputs) => outputs,
            Err(Fault::Unsupported(reason)) => {
                unsupported.push(UnsupportedOp { op: op_name(node), node: node_name(node), reason });
                vec![]
            }
            Err(Fault::Bad(what)) => return Err(self.node_error(node, what)),
            Err(Fault::Shape(source)) => {
                let (file, op, node) = (self.file.to_owned(), op_name(node), node_name(node));
                return Err(ImportError::Shape { file, op, node, source });
            }
        };
        let padded = outputs.into_iter().chain(std::iter::repeat(Value::Unknown));
        for (name, value) in node.output.iter().zip(padded).filter(|(name, _)| !name.is_empty()) {
            importer.values.insert(name.clone(), value);
        }
        Ok(())
    }

    fn node_error(&self, node: &NodeProto, what: String) -> ImportError {
        ImportError::Node { file: self.file.to_owned(), op: op_name(node), node: node_name(node), what }
    }

    fn add_output(
        &self,
        importer: &mut Importer,
        output: &ValueInfoProto,
        layout: fn(usize) -> Option<Groups>,
    ) -> Result<(), ImportError> {
        let fail = |what: &str| ImportError::Model {
            file: self.file.to_owned(),
            what: format!("output '{}' {what}", output.name),
        };
        let act = match importer.values.get(&output.name) {
            Some(Value::Act(act)) => act.clone(),
            Some(Value::Const(_)) => return Err(fail("does not depend on any input")),
            Some(Value::Unknown) => return Err(fail("is an optional output that is not supported")),
            None => return Err(fail("is not computed by any node")),
        };
        let (act, perm) =
            importer.output_layout(&act, &output.name, layout).map_err(|fault| match fault {
                Fault::Bad(what) | Fault::Unsupported(what) => fail(&what),
                Fault::Shape(e) => fail(&e.to_string()),
            })?;
        let dims = act.view.dims();
        importer.graph.outputs.push(port(&output.name, act.tensor, &dims, perm));
        Ok(())
    }
}

impl Importer {
    /// The output as it can be described by a permutation of its axes, and that permutation.
    fn output_layout(
        &mut self,
        act: &Act,
        name: &str,
        layout: fn(usize) -> Option<Groups>,
    ) -> Result<(Act, Vec<usize>), Fault> {
        let rank = act.view.rank();
        let mut by_memory: Vec<usize> = (0..rank).collect();
        by_memory.sort_by_key(|&axis| act.view.axis(axis).first().copied());
        let candidates = [layout(rank).map(|g| g.concat()), Some((0..rank).collect()), Some(by_memory)];
        for perm in candidates.into_iter().flatten() {
            if is_sorted(&act.view.transpose(&perm).sequence()) {
                return Ok((act.clone(), perm));
            }
        }
        let perm: Vec<usize> = (0..rank).collect();
        let flat = self.in_onnx_order(act, name)?;
        Ok((flat, perm))
    }
}

fn port(name: &str, tensor: TensorId, dims: &[usize], perm: Vec<usize>) -> Port {
    let (name, source_shape) = (name.to_owned(), dims.to_vec());
    Port { tensor, name, source_shape, perm, element_type: ElementType::F32, quant: None }
}

fn op_name(node: &NodeProto) -> String {
    let op = if node.op_type.is_empty() { "(unnamed operator)" } else { &node.op_type };
    if is_standard_domain(&node.domain) { op.to_owned() } else { format!("{}.{op}", node.domain) }
}

/// The static dimensions of an input, with batch 1, and its own batch when that is fixed and larger.
fn input_dims(input: &ValueInfoProto) -> Result<(Vec<usize>, Option<i64>), String> {
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err("it is not a tensor".into());
    };
    if !matches!(constant::is_float(tensor.elem_type), Ok(true)) {
        return Err(format!("element type {} is not supported, only float types are", tensor.elem_type));
    }
    let Some(shape) = &tensor.shape else {
        return Err("it has no shape".into());
    };
    let rank = shape.dim.len();
    if rank == 0 {
        return Err("rank 0 is not supported (1 to 4 are)".into());
    }
    let dim = |(i, d): (usize, &tensor_shape_proto::Dimension)| match &d.value {
        _ if i == 0 && rank > 1 => Ok(1),
        Some(tensor_shape_proto::dimension::Value::DimValue(v)) if *v > 0 && *v <= 1 << 24 => Ok(*v as usize),
        Some(tensor_shape_proto::dimension::Value::DimValue(v)) => {
            Err(format!("dimension {i} has the size {v}"))
        }
        _ => Err(format!("dimension {i} is dynamic")),
    };
    let dims: Vec<usize> = shape.dim.iter().enumerate().map(dim).collect::<Result<_, _>>()?;
    let batch = match shape.dim[0].value {
        Some(tensor_shape_proto::dimension::Value::DimValue(v)) if v > 1 && rank > 1 => Some(v),
        _ => None,
    };
    match constant::element_count(&dims) {
        Some(n) if n <= context::MAX_ELEMENTS => Ok((dims, batch)),
        _ => Err(format!("the shape {dims:?} is too large")),
    }
}

type Handler = fn(&mut NodeImport) -> Result<Vec<Value>, Fault>;

/// What imports an operator that reads activations.
fn handler(op_type: &str) -> Option<Handler> {
    Some(match op_type {
        "Conv" => conv::conv,
        "Gemm" => dense::gemm,
        "MatMul" => dense::matmul,
        "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Neg" => arithmetic::arithmetic,
        "Min" | "Max" => activations::bound,
        "Concat" => slice::concat,
        "Slice" => slice::slice,
        "Split" => slice::split,
        "Pad" => slice::pad,
        "MaxPool" => pool::max_pool,
        "AveragePool" => pool::average_pool,
        "GlobalAveragePool" => reduce::global_average_pool,
        "GlobalMaxPool" => reduce::global_max_pool,
        "ReduceMean" => reduce::reduce_mean,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => layout::reshape,
        "Transpose" => layout::transpose,
        "Shape" => layout::shape,
        "Identity" | "Dropout" | "Cast" => layout::identity,
        "Relu" | "Clip" | "LeakyRelu" | "HardSwish" | "HardSigmoid" | "Sigmoid" | "Tanh" => {
            activations::elementwise
        }
        "Softmax" | "LogSoftmax" => activations::softmax,
        "BatchNormalization" => norm::batch_norm,
        "Resize" | "Upsample" => resize::resize,
        "QuantizeLinear" => quantize::quantize,
        "DequantizeLinear" => quantize::dequantize,
        _ => return None,
    })
}

fn import_node(
    importer: &mut Importer,
    node: &NodeProto,
    inputs: Vec<Option<Value>>,
) -> Result<Vec<Value>, Fault> {
    let standard = is_standard_domain(&node.domain);
    let handler = if standard { handler(&node.op_type) } else { None };
    let foldable = standard && fold::can_fold(&node.op_type);
    if handler.is_none() && !foldable {
        return Err(Fault::Unsupported(String::new()));
    }
    if inputs.iter().flatten().any(|v| matches!(v, Value::Unknown)) {
        return Ok(vec![]);
    }
    let constants: Option<Vec<Option<Rc<Const>>>> = inputs.iter().map(as_constant).collect();
    if let Some(constants) = constants.filter(|_| foldable) {
        let limit = importer.budget();
        let folded = fold::fold(node, &constants, importer.folder(), limit)?;
        return Ok(vec![importer.constant_value(folded)?]);
    }
    match handler {
        Some(handler) => handler(&mut NodeImport::new(importer, node, inputs)),
        None => Err(Fault::Unsupported("it is supported on constants only".into())),
    }
}

/// The constant behind an input (absent inputs count as constant); `None` for an activation.
fn as_constant(value: &Option<Value>) -> Option<Option<Rc<Const>>> {
    match value {
        None => Some(None),
        Some(Value::Const(c)) => Some(Some(c.clone())),
        Some(_) => None,
    }
}
