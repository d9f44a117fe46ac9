//! The graph as the package will hold it: slots and steps, with owned parameters.

use dtmm_format::{Clamp, Elementwise, Linear, NO_TENSOR, Params, Rescale, Shape, Weights, Window};
use dtmm_graph::TensorId;

/// Index of a slot in [`Program::slots`].
pub(crate) type SlotId = usize;

/// One tensor of the package.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub name: String,
    pub shape: Shape,
    pub scale: f32,
    pub zero_point: i8,
    pub place: SlotPlace,
}

#[derive(Clone, Debug)]
pub(crate) enum SlotPlace {
    /// In the arena; slots with the same number share their bytes.
    Arena(usize),
    /// In the package.
    Constant(Vec<i8>),
}

impl Slot {
    pub fn elements(&self) -> usize {
        self.shape.dims().iter().product()
    }
}

/// Weights and output scaling with the biases not folded yet.
#[derive(Clone, Debug)]
pub(crate) struct LinearData {
    /// The weight tensor in the graph.
    pub weights_id: TensorId,
    /// OHWI, 1HWO or OI.
    pub weights: Vec<i8>,
    /// Filters, kernel positions, channels of a filter at one position (1 for depthwise).
    pub dims: [usize; 3],
    pub bias: Vec<i32>,
    /// Multiplier and shift: one for all filters or one each.
    pub scales: Vec<(i32, i8)>,
    pub clamp: Clamp,
}

/// What a step computes.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Conv2d(Window, LinearData),
    Depthwise(Window, LinearData),
    FullyConnected(LinearData),
    Add(Elementwise),
    Sub(Elementwise),
    Mul(Rescale),
    Concat {
        axis: u8,
    },
    Lut(Box<[i8; 256]>),
    Resize {
        rows: Vec<[u8; 2]>,
        columns: Vec<[u8; 2]>,
    },
    /// Any operator whose parameters own no memory.
    Plain(Params<'static>),
}

impl Kind {
    pub fn linear(&self) -> Option<&LinearData> {
        match self {
            Kind::Conv2d(_, l) | Kind::Depthwise(_, l) | Kind::FullyConnected(l) => Some(l),
            _ => None,
        }
    }

    /// True when the output may take the bytes of an input of the same shape.
    pub fn works_in_place(&self) -> bool {
        match self {
            Kind::Add(_) | Kind::Sub(_) | Kind::Mul(_) | Kind::Lut(_) => true,
            Kind::Plain(params) => params.opcode().works_in_place(),
            _ => false,
        }
    }
}

/// One layer of the package.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub name: String,
    pub op: &'static str,
    pub inputs: Vec<SlotId>,
    pub output: SlotId,
    pub kind: Kind,
}

impl Step {
    /// The two input fields of a layer record.
    pub fn input_fields(&self) -> [u16; 2] {
        let field = |i: usize| self.inputs.get(i).map_or(NO_TENSOR, |&s| s as u16);
        if matches!(self.kind, Kind::Concat { .. }) { [NO_TENSOR; 2] } else { [field(0), field(1)] }
    }
}

/// The whole package but for addresses and storage forms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub slots: Vec<Slot>,
    pub steps: Vec<Step>,
    pub inputs: Vec<SlotId>,
    pub outputs: Vec<SlotId>,
    /// Number of arena buffers.
    pub buffers: usize,
}

/// Arrays that [`Params`] of one step borrow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrays {
    pub bias: Vec<[u8; 4]>,
    pub multiplier: Vec<[u8; 4]>,
    pub shift: Vec<i8>,
    pub concat: Vec<[u8; 2]>,
    pub weights: StoredWeights,
}

/// Weights in the chosen storage form.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredWeights {
    pub form: Option<crate::storage::StorageForm>,
    pub group: u32,
    pub values: Vec<i8>,
    pub index: Vec<u8>,
}

impl StoredWeights {
    fn view(&self) -> Weights<'_> {
        use crate::storage::StorageForm;
        match self.form {
            Some(StorageForm::Bitmap) => {
                Weights::Bitmap { group: self.group, bitmap: &self.index, runs: &self.values }
            }
            Some(StorageForm::Gaps) => {
                Weights::Gaps { group: self.group, gaps: &self.index, runs: &self.values }
            }
            _ => Weights::Dense(&self.values),
        }
    }
}

impl Step {
    /// The format's parameters, with `arrays` as made for this step.
    pub fn params<'a>(&'a self, arrays: &'a Arrays) -> Params<'a> {
        let linear = |data: &LinearData| Linear {
            clamp: data.clamp,
            bias: &arrays.bias,
            multiplier: &arrays.multiplier,
            shift: &arrays.shift,
            weights: arrays.weights.view(),
        };
        match &self.kind {
            Kind::Conv2d(window, data) => Params::Conv2d { window: *window, linear: linear(data) },
            Kind::Depthwise(window, data) => {
                Params::DepthwiseConv2d { window: *window, linear: linear(data) }
            }
            Kind::FullyConnected(data) => Params::FullyConnected { linear: linear(data) },
            Kind::Add(e) => Params::Add(*e),
            Kind::Sub(e) => Params::Sub(*e),
            Kind::Mul(r) => Params::Mul(*r),
            Kind::Concat { axis } => Params::Concat { axis: *axis, inputs: &arrays.concat },
            Kind::Lut(table) => Params::Lut(table.as_slice()),
            Kind::Resize { rows, columns } => Params::ResizeNearest { rows, columns },
            Kind::Plain(params) => *params,
        }
    }
}
