//! Writes the package.

use dtmm_format::{
    Layer, Place, PortElement, PortInfo, Preprocessing, Scratch, Tensor, Writer, layer, le16, le32,
};
use dtmm_graph::{ElementType, Graph, Port, QuantParams};
use serde::{Deserialize, Serialize};

use crate::PackError;
use crate::lower::lower;
use crate::plan::{Addresses, MemoryPlan, place_program};
use crate::program::{Arrays, Kind, LinearData, Program, Slot, SlotPlace, Step};
use crate::storage::{StorageChoice, StorageForm};

/// What one layer takes in the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRow {
    /// Node name.
    pub name: String,
    /// Operator name.
    pub op: String,
    /// Output `[h, w, c]`.
    pub output: [usize; 3],
    /// Number of weights, dense; 0 for layers without weights.
    pub weights: usize,
    /// Weights that are not 0.
    pub nonzero: usize,
    /// Storage form of the weights.
    pub storage: StorageForm,
    /// Channels of a run; 0 for dense.
    pub group: usize,
    /// Bytes that the layer would take with dense weights.
    pub dense_bytes: usize,
    /// Bytes of the layer: table entry, parameters, weights, index.
    pub bytes: usize,
}

/// A finished package.
#[derive(Clone, Debug, PartialEq)]
pub struct PackResult {
    /// The package.
    pub bytes: Vec<u8>,
    /// Its arena.
    pub plan: MemoryPlan,
    /// One row per layer.
    pub layers: Vec<LayerRow>,
}

/// Makes a package of an int8 graph: plans the memory, chooses each layer's storage form by byte count, writes, and
/// checks the result as a device would.
///
/// # Errors
/// [`PackError`] naming the node that cannot be packed.
pub fn pack(graph: &Graph) -> Result<PackResult, PackError> {
    let program = lower(graph)?;
    let choices = program.steps.iter().map(choose).collect();
    pack_program(graph, &program, choices)
}

/// As [`pack`], but each layer takes the fastest of its storage forms, and smaller ones where the package would take more
/// than `flash` bytes: first those that cost the least time for what they save. `time` is of the layer with this name in
/// this form; a layer of which it says nothing takes its smallest form.
///
/// # Errors
/// As [`pack`].
pub fn pack_fast(
    graph: &Graph,
    flash: Option<usize>,
    time: &dyn Fn(&str, &StorageChoice) -> Option<f64>,
) -> Result<PackResult, PackError> {
    let program = lower(graph)?;
    let mut ladders: Vec<Vec<(StorageChoice, f64)>> =
        program.steps.iter().map(|step| ladder(step, time)).collect();
    loop {
        let choices = program.steps.iter().zip(&ladders);
        let choices = choices.map(|(s, l)| l.first().map_or_else(|| choose(s), |(c, _)| Some(*c)));
        let packed = pack_program(graph, &program, choices.collect())?;
        if flash.is_none_or(|limit| packed.bytes.len() <= limit) {
            return Ok(packed);
        }
        // What a step down the ladder costs for each byte that it saves.
        let price = |l: &Vec<(StorageChoice, f64)>| {
            let [(from, fast), (to, slow), ..] = l[..] else { return None };
            let bytes = |c: StorageChoice| (c.weight_bytes + c.index_bytes) as f64;
            Some((slow - fast) / (bytes(from) - bytes(to)).max(1.0))
        };
        let priced = ladders.iter().enumerate().filter_map(|(i, l)| Some((i, price(l)?)));
        let Some((cheapest, _)) = priced.min_by(|a, b| a.1.total_cmp(&b.1)) else { return Ok(packed) };
        ladders[cheapest].remove(0);
    }
}

/// A step's storage forms with their times: the fastest first, then those that are smaller, but slower; the last is the
/// smallest. Empty for a step without a choice.
fn ladder(step: &Step, time: &dyn Fn(&str, &StorageChoice) -> Option<f64>) -> Vec<(StorageChoice, f64)> {
    let Some(data) = step.kind.linear().filter(|_| !matches!(step.kind, Kind::Depthwise(..))) else {
        return vec![];
    };
    let options = StorageChoice::options(data.dims, &data.weights, |w| *w != 0);
    let timed: Option<Vec<_>> = options.into_iter().map(|c| Some((c, time(&step.name, &c)?))).collect();
    let mut timed = timed.unwrap_or_default();
    let bytes = |c: &StorageChoice| c.record_len(data.dims[0], data.scales.len());
    timed.sort_by(|(a, t), (b, u)| t.total_cmp(u).then(bytes(a).cmp(&bytes(b))));
    let mut smallest = usize::MAX;
    timed.retain(|(c, _)| {
        let smaller = bytes(c) < smallest;
        smallest = smallest.min(bytes(c));
        smaller
    });
    timed
}

fn pack_program(
    graph: &Graph,
    program: &Program,
    choices: Vec<Option<StorageChoice>>,
) -> Result<PackResult, PackError> {
    let groups: Vec<usize> = choices.iter().map(|c| c.map_or(0, |c| c.group)).collect();
    let addresses = place_program(program, &groups);
    let mut writer = Writer::new(narrow(addresses.plan.arena_bytes)?);
    for (slot, &offset) in program.slots.iter().zip(&addresses.slots) {
        writer.tensor(&tensor(slot, narrow(offset)?))?;
    }
    let mut layers = Vec::with_capacity(program.steps.len());
    for (i, step) in program.steps.iter().enumerate() {
        layers.push(write_layer(&mut writer, program, &addresses, i, choices[i])?);
        debug_assert_eq!(step.name, layers[i].name);
    }
    let ports = |slots: &[usize]| slots.iter().map(|&s| s as u16).collect::<Vec<_>>();
    writer.inputs(&ports(&program.inputs));
    writer.outputs(&ports(&program.outputs));
    host_sections(&mut writer, graph)?;
    Ok(PackResult { bytes: writer.finish()?, plan: addresses.plan, layers })
}

/// Refuses bytes that no device would load.
///
/// # Errors
/// [`PackError::Invalid`] with the first broken rule.
pub fn check(bytes: &[u8]) -> Result<(), PackError> {
    dtmm_format::Package::check(bytes).map(|_| ()).map_err(PackError::Invalid)
}

fn narrow(n: usize) -> Result<u32, PackError> {
    u32::try_from(n).map_err(|_| PackError::Write(dtmm_format::WriteError::TooLarge))
}

/// The storage form of a step with weights; depthwise weights have no run of channels and stay dense.
pub(crate) fn choose(step: &Step) -> Option<StorageChoice> {
    let data = step.kind.linear()?;
    Some(match step.kind {
        Kind::Depthwise(..) => StorageChoice::dense(data.dims),
        _ => StorageChoice::smallest(data.dims, data.scales.len(), &data.weights, |w| *w != 0),
    })
}

fn tensor(slot: &Slot, offset: u32) -> Tensor<'_> {
    let place = match &slot.place {
        SlotPlace::Arena(_) => Place::Arena(offset),
        SlotPlace::Constant(values) => Place::Constant(values),
    };
    Tensor { shape: slot.shape, zero_point: slot.zero_point, scale_bits: slot.scale.to_bits(), place }
}

fn write_layer(
    writer: &mut Writer,
    program: &Program,
    addresses: &Addresses,
    i: usize,
    choice: Option<StorageChoice>,
) -> Result<LayerRow, PackError> {
    let step = &program.steps[i];
    let arrays = arrays(program, step, choice);
    let params = step.params(&arrays);
    let (offset, len) = addresses.scratch[i];
    let scratch = Scratch { offset: narrow(offset)?, len: narrow(len)? };
    writer.layer(&Layer { inputs: step.input_fields(), output: step.output as u16, scratch, params })?;
    let bytes = layer::LEN + params.encoded_len();
    let data = step.kind.linear();
    let stored = |c: StorageChoice, d: &LinearData| c.record_len(d.dims[0], d.scales.len());
    let saved = match (choice, data) {
        (Some(c), Some(d)) => stored(StorageChoice::dense(d.dims), d) - stored(c, d),
        _ => 0,
    };
    Ok(LayerRow {
        name: step.name.clone(),
        op: step.op.to_owned(),
        output: program.slots[step.output].shape.dims(),
        weights: data.map_or(0, |d| d.weights.len()),
        nonzero: data.map_or(0, |d| d.weights.iter().filter(|w| **w != 0).count()),
        storage: choice.map_or(StorageForm::Dense, |c| c.form),
        group: choice.map_or(0, |c| c.group),
        dense_bytes: bytes + saved,
        bytes,
    })
}

fn arrays(program: &Program, step: &Step, choice: Option<StorageChoice>) -> Arrays {
    let mut arrays = Arrays::default();
    if let Kind::Concat { .. } = step.kind {
        arrays.concat = le16(&step.inputs.iter().map(|&s| s as u16).collect::<Vec<_>>());
    }
    if let (Some(data), Some(choice)) = (step.kind.linear(), choice) {
        let zero_point = i32::from(program.slots[step.inputs[0]].zero_point);
        arrays.bias = le32(&folded_bias(&step.kind, data, zero_point));
        arrays.multiplier = le32(&data.scales.iter().map(|s| s.0).collect::<Vec<_>>());
        arrays.shift = data.scales.iter().map(|s| s.1).collect();
        arrays.weights = choice.store(data.dims, &data.weights);
    }
    arrays
}

/// `bias - zero_point * sum(weights)` of each filter, wrapping.
fn folded_bias(kind: &Kind, data: &LinearData, zero_point: i32) -> Vec<i32> {
    let filters = data.bias.len();
    let mut sums = vec![0i32; filters];
    let per_filter = (data.weights.len() / filters.max(1)).max(1);
    for (i, &w) in data.weights.iter().enumerate() {
        let o = if matches!(kind, Kind::Depthwise(..)) { i % filters } else { i / per_filter };
        sums[o] = sums[o].wrapping_add(i32::from(w));
    }
    data.bias.iter().zip(sums).map(|(b, sum)| b.wrapping_sub(zero_point.wrapping_mul(sum))).collect()
}

fn host_sections(writer: &mut Writer, graph: &Graph) -> Result<(), PackError> {
    if let Some(p) = &graph.preprocessing {
        let singles = |v: &[f32]| v.iter().map(|x| x.to_bits().to_le_bytes()).collect::<Vec<_>>();
        let (mean, std) = (singles(&p.mean), singles(&p.std));
        let resize = p.resize.unwrap_or_default().map(|n| n.min(usize::from(u16::MAX)) as u16);
        let scale_bits = p.scale.to_bits();
        writer.preprocessing(&Preprocessing { scale_bits, resize, mean: &mean, std: &std })?;
    }
    let ports: Vec<&Port> = graph.inputs.iter().chain(&graph.outputs).collect();
    let shapes: Vec<Vec<[u8; 4]>> = ports.iter().map(|p| shape_bytes(p)).collect();
    let perms: Vec<Vec<u8>> = ports.iter().map(|p| p.perm.iter().map(|&a| a as u8).collect()).collect();
    let info: Vec<PortInfo<'_>> = ports
        .iter()
        .enumerate()
        .map(|(i, port)| PortInfo {
            element: element(port.element_type),
            quant: port.quant.as_ref().map(|q: &QuantParams| (q.scale[0].to_bits(), q.zero_point[0])),
            shape: &shapes[i],
            perm: &perms[i],
            name: &port.name,
        })
        .collect();
    Ok(writer.port_info(&info)?)
}

fn shape_bytes(port: &Port) -> Vec<[u8; 4]> {
    port.source_shape.iter().map(|&d| (d as u32).to_le_bytes()).collect()
}

fn element(element_type: ElementType) -> PortElement {
    match element_type {
        ElementType::F32 => PortElement::F32,
        ElementType::I8 => PortElement::I8,
        ElementType::U8 => PortElement::U8,
        ElementType::I32 => PortElement::I32,
    }
}

/// Bytes of preprocessing and port descriptions, each rounded up to 4 as the writer does.
pub(crate) fn host_bytes(graph: &Graph) -> usize {
    let preprocessing = graph
        .preprocessing
        .as_ref()
        .map_or(0, |p| dtmm_format::preprocessing::FIXED_LEN + 4 * (p.mean.len() + p.std.len()));
    let port = |p: &Port| {
        let name = dtmm_format::names::shorten(&p.name).len();
        (dtmm_format::ports::FIXED_LEN + 5 * p.source_shape.len() + name).next_multiple_of(4)
    };
    preprocessing + graph.inputs.iter().chain(&graph.outputs).map(port).sum::<usize>()
}
