//! Runs packages on the host: the device's runtime, with conversion from and to the source model's types and layouts.

use dtmm_format::{Layer, Package, PortElement, PortInfo, Tensor};
use dtmm_graph::{Data, ElementType, Preprocessing};
use dtmm_runtime::{Hook, NoHook, Runtime};
use serde::{Deserialize, Serialize};

use crate::storage::StorageForm;
use crate::{PackError, convert};

/// A model input or output of a package.
#[derive(Clone, Debug, PartialEq)]
pub struct PortDescription {
    /// Name from the source model.
    pub name: String,
    /// Element type that the source model takes or gives.
    pub element_type: ElementType,
    /// Scale and zero point of the source when its elements are integers.
    pub source_quant: Option<(f32, i32)>,
    /// The source shape, with batch 1.
    pub source_shape: Vec<usize>,
    /// Transposing the source by it gives NHWC order.
    pub perm: Vec<usize>,
    /// `[h, w, c]` inside the package.
    pub shape: [usize; 3],
    /// Scale of the int8 tensor inside the package.
    pub scale: f32,
    /// Zero point of the int8 tensor inside the package.
    pub zero_point: i32,
}

impl PortDescription {
    /// Number of elements of one sample.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The int8 value of a real one, rounded half away from zero as TFLite's QUANTIZE.
    pub fn quantize(&self, real: f32) -> i8 {
        ((real / self.scale).round() + self.zero_point as f32).clamp(-128.0, 127.0) as i8
    }

    /// The real value of an int8 one.
    pub fn dequantize(&self, q: i8) -> f32 {
        (f64::from(self.scale) * f64::from(i32::from(q) - self.zero_point)) as f32
    }
}

/// What a package says about one of its layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedLayer {
    /// Name, or operator and number when the package holds no names.
    pub name: String,
    /// Opcode name.
    pub op: String,
    /// Output `[h, w, c]`.
    pub output: [usize; 3],
    /// Storage form of the weights.
    pub storage: StorageForm,
    /// Channels of a run; 0 for dense.
    pub group: usize,
    /// Weights of the layer if it were dense; 0 for layers without weights.
    pub weights: usize,
    /// Weights that are stored.
    pub stored_weights: usize,
    /// Bytes of the layer: table entry, parameters, weights, index.
    pub bytes: usize,
}

/// A loaded package.
#[derive(Clone, Debug)]
pub struct HostModel {
    /// The blob starts at `start`, an aligned address.
    bytes: Vec<u8>,
    start: usize,
    inputs: Vec<PortDescription>,
    outputs: Vec<PortDescription>,
}

impl HostModel {
    /// Checks and keeps a package.
    ///
    /// # Errors
    /// [`PackError::Invalid`] with the first broken rule.
    pub fn new(package: &[u8]) -> Result<Self, PackError> {
        let mut bytes = vec![0; package.len() + dtmm_format::ALIGNMENT];
        let start = bytes.as_ptr().addr().next_multiple_of(dtmm_format::ALIGNMENT) - bytes.as_ptr().addr();
        bytes[start..start + package.len()].copy_from_slice(package);
        bytes.truncate(start + package.len());
        let checked = Package::check(&bytes[start..]).map_err(PackError::Invalid)?;
        let mut ports = describe_ports(&checked);
        let outputs = ports.split_off(checked.inputs().count());
        Ok(HostModel { inputs: ports, outputs, bytes, start })
    }

    /// Model inputs.
    pub fn inputs(&self) -> &[PortDescription] {
        &self.inputs
    }

    /// Model outputs.
    pub fn outputs(&self) -> &[PortDescription] {
        &self.outputs
    }

    /// Bytes of the package.
    pub fn package_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// What turns raw samples into the real input; `None` when the package does not say.
    ///
    /// # Errors
    /// [`PackError::Invalid`], which loading has ruled out.
    pub fn preprocessing(&self) -> Result<Option<Preprocessing>, PackError> {
        let single = |b: &[u8; 4]| f32::from_bits(u32::from_le_bytes(*b));
        Ok(self.package()?.preprocessing().map(|p| Preprocessing {
            scale: f32::from_bits(p.scale_bits),
            mean: p.mean.iter().map(single).collect(),
            std: p.std.iter().map(single).collect(),
            resize: (p.resize != [0, 0]).then(|| p.resize.map(usize::from)),
        }))
    }

    /// Bytes of the arena.
    ///
    /// # Errors
    /// [`PackError::Invalid`], which loading has ruled out.
    pub fn arena_bytes(&self) -> Result<usize, PackError> {
        Ok(self.package()?.arena_bytes())
    }

    /// All layers in execution order.
    ///
    /// # Errors
    /// [`PackError::Invalid`], which loading has ruled out.
    pub fn layers(&self) -> Result<Vec<PackedLayer>, PackError> {
        let package = self.package()?;
        let mut names = package.layer_names();
        Ok(package.layers().enumerate().map(|(i, l)| describe_layer(&package, i, &l, names.next())).collect())
    }

    /// One sample in the source model's own type and layout as the int8 values inside the package, for each input.
    ///
    /// # Errors
    /// [`PackError::Sample`] for an element type or a length that is not the source's.
    pub fn quantize_source(&self, inputs: &[Data]) -> Result<Vec<Vec<i8>>, PackError> {
        let ports = self.inputs.iter().zip(inputs);
        let convert = |(port, data): (&PortDescription, &Data)| {
            let values = convert::from_source(port, data);
            values.ok_or_else(|| wrong_sample(port, &format!("{} × {}", data.len(), data.element_type())))
        };
        ports.map(convert).collect()
    }

    /// A runner with an arena of its own; one per thread.
    ///
    /// # Errors
    /// [`PackError::Invalid`], which loading has ruled out.
    pub fn session(&self) -> Result<Session<'_>, PackError> {
        let package = self.package()?;
        Ok(Session { model: self, package, arena: vec![0; package.arena_bytes()] })
    }

    /// What `look` finds in the package.
    ///
    /// # Errors
    /// [`PackError::Invalid`], which loading has ruled out.
    pub fn with_package<T>(&self, look: impl FnOnce(&Package<'_>) -> T) -> Result<T, PackError> {
        self.package().map(|package| look(&package))
    }

    fn package(&self) -> Result<Package<'_>, PackError> {
        Package::check(&self.bytes[self.start..]).map_err(PackError::Invalid)
    }
}

/// A package with an arena.
#[derive(Debug)]
pub struct Session<'m> {
    model: &'m HostModel,
    package: Package<'m>,
    arena: Vec<i8>,
}

impl Session<'_> {
    /// Runs one sample of int8 values, NHWC as inside the package; one slice per input, one vector per output.
    ///
    /// # Errors
    /// [`PackError::Sample`] when number or lengths of the inputs do not fit.
    pub fn run_i8(&mut self, inputs: &[&[i8]]) -> Result<Vec<Vec<i8>>, PackError> {
        self.run_with(inputs, &mut NoHook)
    }

    /// As [`Session::run_i8`], with `hook` called around each layer.
    ///
    /// # Errors
    /// As [`Session::run_i8`].
    pub fn run_with(&mut self, inputs: &[&[i8]], hook: &mut impl Hook) -> Result<Vec<Vec<i8>>, PackError> {
        let mut runtime = Runtime::new(self.package, &mut self.arena).map_err(PackError::Run)?;
        for (i, port) in self.model.inputs.iter().enumerate() {
            let values = inputs.get(i).copied().unwrap_or_default();
            let memory = runtime.input_mut(i);
            if values.len() != memory.len() {
                return Err(wrong_sample(port, &format!("{} values", values.len())));
            }
            memory.copy_from_slice(values);
        }
        runtime.run_with(hook).map_err(PackError::Run)?;
        Ok((0..self.model.outputs.len()).map(|i| runtime.output(i).to_vec()).collect())
    }

    /// Runs one sample of real values in NHWC order; the results are real values in NHWC order.
    ///
    /// # Errors
    /// As [`Session::run_i8`].
    pub fn run_f32(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, PackError> {
        let quantized: Vec<Vec<i8>> = self
            .model
            .inputs
            .iter()
            .zip(inputs)
            .map(|(port, values)| values.iter().map(|&v| port.quantize(v)).collect())
            .collect();
        let slices: Vec<&[i8]> = quantized.iter().map(Vec::as_slice).collect();
        let outputs = self.run_i8(&slices)?;
        let real = |(port, values): (&PortDescription, &Vec<i8>)| {
            values.iter().map(|&q| port.dequantize(q)).collect()
        };
        Ok(self.model.outputs.iter().zip(&outputs).map(real).collect())
    }

    /// Runs one sample in the source model's own type and layout; the results are in the source's type and layout.
    ///
    /// # Errors
    /// As [`Session::run_i8`], and for an element type that is not the source's.
    pub fn run_source(&mut self, inputs: &[Data]) -> Result<Vec<Data>, PackError> {
        let int8 = self.model.quantize_source(inputs)?;
        let slices: Vec<&[i8]> = int8.iter().map(Vec::as_slice).collect();
        let outputs = self.run_i8(&slices)?;
        Ok(self.model.outputs.iter().zip(&outputs).map(|(port, v)| convert::to_source(port, v)).collect())
    }
}

fn wrong_sample(port: &PortDescription, found: &str) -> PackError {
    let expected = format!("{} × {} ({:?})", port.elements(), port.element_type, port.source_shape);
    PackError::Sample { port: port.name.clone(), expected, found: found.to_owned() }
}

/// Descriptions of all ports, inputs first; without a description in the package, int8 NHWC.
fn describe_ports(package: &Package<'_>) -> Vec<PortDescription> {
    let mut infos = package.port_info();
    let tensors = package.inputs().chain(package.outputs()).filter_map(|t| package.tensor(t));
    tensors.enumerate().map(|(i, tensor)| describe_port(&tensor, infos.next(), i)).collect()
}

fn describe_port(tensor: &Tensor<'_>, info: Option<PortInfo<'_>>, i: usize) -> PortDescription {
    let shape = tensor.shape.dims();
    let (scale, zero_point) = (f32::from_bits(tensor.scale_bits), i32::from(tensor.zero_point));
    let Some(info) = info else {
        return PortDescription {
            name: format!("port {i}"),
            element_type: ElementType::I8,
            source_quant: Some((scale, zero_point)),
            source_shape: [1].into_iter().chain(shape).collect(),
            perm: vec![0, 1, 2, 3],
            shape,
            scale,
            zero_point,
        };
    };
    PortDescription {
        name: info.name.to_owned(),
        element_type: match info.element {
            PortElement::F32 => ElementType::F32,
            PortElement::I8 => ElementType::I8,
            PortElement::U8 => ElementType::U8,
            PortElement::I32 => ElementType::I32,
        },
        source_quant: info.quant.map(|(bits, zero_point)| (f32::from_bits(bits), zero_point)),
        source_shape: info.shape.iter().map(|d| u32::from_le_bytes(*d) as usize).collect(),
        perm: info.perm.iter().map(|&a| usize::from(a)).collect(),
        shape,
        scale,
        zero_point,
    }
}

fn describe_layer(package: &Package<'_>, i: usize, layer: &Layer<'_>, name: Option<&str>) -> PackedLayer {
    let op = layer.params.opcode().name();
    let dims = |t: Option<u16>| t.and_then(|t| package.tensor(t)).map_or([0; 3], |t| t.shape.dims());
    let (output, input) = (dims(Some(layer.output)), dims(layer.input_tensors().next()));
    let positions = match layer.params {
        dtmm_format::Params::Conv2d { window, .. } | dtmm_format::Params::DepthwiseConv2d { window, .. } => {
            window.kernel.iter().map(|&k| usize::from(k)).product()
        }
        _ => 1,
    };
    let channels =
        if matches!(layer.params, dtmm_format::Params::DepthwiseConv2d { .. }) { 1 } else { input[2] };
    let linear = layer.params.linear();
    PackedLayer {
        name: name.filter(|n| !n.is_empty()).map_or_else(|| format!("{op} {i}"), str::to_owned),
        op: op.to_owned(),
        output,
        storage: match layer.params.storage() {
            dtmm_format::Storage::Dense => StorageForm::Dense,
            dtmm_format::Storage::Bitmap => StorageForm::Bitmap,
            dtmm_format::Storage::Gaps => StorageForm::Gaps,
        },
        group: linear.map_or(0, |l| l.weights.group() as usize),
        weights: linear.map_or(0, |l| l.bias.len() * positions * channels),
        stored_weights: linear.map_or(0, |l| l.weights.values().len()),
        bytes: dtmm_format::layer::LEN + layer.params.encoded_len(),
    }
}
