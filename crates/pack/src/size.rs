//! The package's exact bytes for given masks, without quantising or building it.

use std::borrow::Cow;

use dtmm_format::{layer, size};
use dtmm_graph::{Graph, Masks, TensorId, transform};
use dtmm_quant::{Observer, QuantOptions, Range, Ranges, quantize};
use serde::{Deserialize, Serialize};

use crate::PackError;
use crate::lower::lower;
use crate::pack::host_bytes;
use crate::program::{Arrays, Kind, SlotPlace, Step};
use crate::storage::{StorageChoice, StorageForm};

/// Bytes of one layer with weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSize {
    /// Node name.
    pub name: String,
    /// The weight tensor, the key of its mask.
    pub weights: TensorId,
    /// Bytes with dense weights.
    pub dense_bytes: usize,
    /// Bytes in the smallest storage form.
    pub bytes: usize,
    /// That form.
    pub storage: StorageForm,
    /// Channels of a run; 0 for dense.
    pub group: usize,
    /// Bytes that say which runs are stored.
    pub index_bytes: usize,
}

/// Bytes of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeBreakdown {
    /// Bytes of the whole package.
    pub total: usize,
    /// Bytes of the whole package with dense weights.
    pub dense_total: usize,
    /// One entry per layer with weights.
    pub layers: Vec<LayerSize>,
}

/// Predicts package sizes for one graph; making it costs about as much as quantising, each prediction a pass over the
/// masks.
#[derive(Clone, Debug)]
pub struct SizeModel {
    /// Everything but the parameter records of layers with weights.
    fixed: usize,
    layers: Vec<Sized>,
}

#[derive(Clone, Debug)]
struct Sized {
    name: String,
    weights: TensorId,
    dims: [usize; 3],
    scales: usize,
    /// Table entry and window.
    overhead: usize,
    depthwise: bool,
}

impl SizeModel {
    /// Prepares predictions for a float or int8 graph.
    ///
    /// # Errors
    /// As [`crate::pack`]; a float graph must be one that [`quantize`] accepts.
    pub fn new(graph: &Graph) -> Result<Self, PackError> {
        let graph = int8_form(graph)?;
        let program = lower(&graph)?;
        let tables = size::tables_len(
            program.slots.len(),
            program.steps.len(),
            program.inputs.len() + program.outputs.len(),
        );
        let constants = program.slots.iter().map(|s| match &s.place {
            SlotPlace::Constant(values) => values.len().next_multiple_of(4),
            SlotPlace::Arena(_) => 0,
        });
        let records: usize = program.steps.iter().map(record_without_weights).sum();
        let layers = program.steps.iter().filter_map(Sized::of).collect();
        let fixed = tables + records + constants.sum::<usize>() + host_bytes(&graph);
        Ok(SizeModel { fixed, layers })
    }

    /// Bytes of the package that [`crate::pack`] would write if the weights were zero exactly where `masks` say
    /// `false`. A tensor without a mask is stored dense. Zeros that rounding adds can only make the package smaller.
    pub fn size(&self, masks: &Masks) -> SizeBreakdown {
        let layers: Vec<LayerSize> = self.layers.iter().map(|l| l.size(masks)).collect();
        let tables: usize = layer::LEN * layers.len();
        let total = |bytes: fn(&LayerSize) -> usize| {
            let records = layers.iter().map(bytes).sum::<usize>() - tables;
            size::package_len(self.fixed, records, 0, 0)
        };
        SizeBreakdown { total: total(|l| l.bytes), dense_total: total(|l| l.dense_bytes), layers }
    }
}

/// [`SizeModel::size`] of a model used once.
///
/// # Errors
/// As [`SizeModel::new`].
pub fn package_size(graph: &Graph, masks: &Masks) -> Result<SizeBreakdown, PackError> {
    Ok(SizeModel::new(graph)?.size(masks))
}

impl Sized {
    fn of(step: &Step) -> Option<Self> {
        let data = step.kind.linear()?;
        let convolution = size::conv2d_len(0, 0, 0, 0) - size::fully_connected_len(0, 0, 0, 0);
        let window = if matches!(step.kind, Kind::FullyConnected(_)) { 0 } else { convolution };
        Some(Sized {
            name: step.name.clone(),
            weights: data.weights_id,
            dims: data.dims,
            scales: data.scales.len(),
            overhead: layer::LEN + window,
            depthwise: matches!(step.kind, Kind::Depthwise(..)),
        })
    }

    fn size(&self, masks: &Masks) -> LayerSize {
        let dense = StorageChoice::dense(self.dims);
        let weights = self.dims.iter().product::<usize>();
        let choice = match masks.get(&self.weights) {
            Some(mask) if !self.depthwise && mask.len() == weights => {
                StorageChoice::smallest(self.dims, self.scales, mask, |keep| *keep)
            }
            _ => dense,
        };
        let bytes = |c: StorageChoice| self.overhead + c.record_len(self.dims[0], self.scales);
        LayerSize {
            name: self.name.clone(),
            weights: self.weights,
            dense_bytes: bytes(dense),
            bytes: bytes(choice),
            storage: choice.form,
            group: choice.group,
            index_bytes: choice.index_bytes,
        }
    }
}

fn record_without_weights(step: &Step) -> usize {
    if step.kind.linear().is_some() {
        return 0;
    }
    let concat =
        if matches!(step.kind, Kind::Concat { .. }) { vec![[0; 2]; step.inputs.len()] } else { vec![] };
    let arrays = Arrays { concat, ..Arrays::default() };
    step.params(&arrays).encoded_len()
}

/// The graph itself when a node is int8; else its int8 form for any calibration: which layers, tensors and tables the
/// package has does not depend on the ranges.
pub(crate) fn int8_form(graph: &Graph) -> Result<Cow<'_, Graph>, PackError> {
    if graph.nodes.is_empty() || graph.is_int8() {
        return Ok(Cow::Borrowed(graph));
    }
    graph.verify()?;
    let mut float = graph.clone();
    transform::for_inference(&mut float);
    let any = Range { min: -1.0, max: 1.0 };
    let ranges = Ranges(Observer::tensors(&float).into_iter().map(|id| (id, any)).collect());
    Ok(Cow::Owned(quantize(&float, &ranges, &QuantOptions::default())?))
}
