//! Convolutions, depthwise convolutions and fully connected layers.

use dtmm_format::fwcs::{self, RunShape};
use dtmm_format::{Clamp, Linear, Params, Weights, Window, le32};
use dtmm_kernels::{self as kernels, scratch};
use rand::Rng;

use crate::problem::Draft;
use crate::{Problem, Random};

/// Which operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightedOp {
    /// Convolution.
    Conv2d,
    /// Depthwise convolution; its weights are always dense.
    DepthwiseConv2d,
    /// Matrix product with every pixel's channels.
    FullyConnected,
}

/// How the weights are stored; the number is the channels of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All weights.
    Dense,
    /// Runs with a bitmap.
    Bitmap(usize),
    /// Runs with a gap index.
    Gaps(usize),
}

/// How sums become outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scales {
    /// One for the layer, so that outputs spread over the range.
    Layer,
    /// One for each filter, so that outputs spread over the range.
    Filter,
    /// Extreme multipliers, shifts and biases, one for each filter.
    Extreme,
}

/// A layer with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// Operator.
    pub op: WeightedOp,
    /// Input `[h, w, c]`.
    pub input: [usize; 3],
    /// Output channels; of a depthwise convolution a multiple of the input's.
    pub filters: usize,
    /// Kernel `[h, w]`.
    pub kernel: [usize; 2],
    /// Step between outputs, `[h, w]`.
    pub stride: [usize; 2],
    /// Step between kernel positions, `[h, w]`.
    pub dilation: [usize; 2],
    /// Padding above, below, left, right.
    pub padding: [usize; 4],
    /// Storage form of the weights.
    pub form: Form,
    /// Share of the runs that are kept, 0 to 1.
    pub kept: f64,
    /// Zero points of input and output.
    pub zero_points: [i8; 2],
    /// Clamp of the output.
    pub clamp: [i8; 2],
    /// How sums become outputs.
    pub scales: Scales,
    /// All inputs and stored weights are -128, so that products and their sums are the largest; otherwise they are random.
    pub lowest: bool,
}

impl Weighted {
    /// A convolution with stride 1 and SAME padding, dense, with scales for each filter.
    pub fn conv2d(input: [usize; 3], filters: usize, kernel: [usize; 2]) -> Self {
        let [top, left] = kernel.map(|k| (k - 1) / 2);
        let [bottom, right] = kernel.map(|k| k / 2);
        Weighted {
            op: WeightedOp::Conv2d,
            input,
            filters,
            kernel,
            stride: [1, 1],
            dilation: [1, 1],
            padding: [top, bottom, left, right],
            form: Form::Dense,
            kept: 1.0,
            zero_points: [-3, 5],
            clamp: [i8::MIN, i8::MAX],
            scales: Scales::Filter,
            lowest: false,
        }
    }

    /// A depthwise convolution with as many outputs as inputs, as [`Weighted::conv2d`].
    pub fn depthwise(input: [usize; 3], kernel: [usize; 2]) -> Self {
        Weighted { op: WeightedOp::DepthwiseConv2d, ..Weighted::conv2d(input, input[2], kernel) }
    }

    /// A fully connected layer with one row.
    pub fn fully_connected(inputs: usize, outputs: usize) -> Self {
        let conv = Weighted::conv2d([1, 1, inputs], outputs, [1, 1]);
        Weighted { op: WeightedOp::FullyConnected, ..conv }
    }

    /// The same layer with so many of the runs kept, stored as `form`.
    pub fn sparse(self, form: Form, kept: f64) -> Self {
        Weighted { form, kept, ..self }
    }

    /// The problem with random weights, mask and input.
    pub fn problem(&self, random: &mut Random) -> Problem {
        let parts = Parts::random(self, random);
        let linear = Linear {
            clamp: Clamp { min: self.clamp[0], max: self.clamp[1] },
            bias: &parts.bias,
            multiplier: &parts.multiplier,
            shift: &parts.shift,
            weights: parts.weights(self.form),
        };
        let window = self.window();
        let params = match self.op {
            WeightedOp::Conv2d => Params::Conv2d { window, linear },
            WeightedOp::DepthwiseConv2d => Params::DepthwiseConv2d { window, linear },
            WeightedOp::FullyConnected => Params::FullyConnected { linear },
        };
        let elements = self.input.iter().product();
        let values = (0..elements).map(|_| self.value(random)).collect();
        let output = self.output();
        Draft {
            name: format!("{self:?}"),
            inputs: vec![((self.input, self.zero_points[0]), values)],
            output: (output, self.zero_points[1]),
            params,
            scratch: self.scratch(),
            dense_macs: (output.iter().product::<usize>() * self.positions() * self.channels()) as u64,
        }
        .finish()
    }

    /// An input or a stored weight.
    fn value(&self, random: &mut Random) -> i8 {
        if self.lowest { i8::MIN } else { random.random() }
    }

    /// Output `[h, w, c]`.
    fn output(&self) -> [usize; 3] {
        let [h, w, _] = self.input;
        let size = match self.op {
            WeightedOp::FullyConnected => Some([h, w]),
            _ => self.window().output_size([h, w]),
        };
        let [h, w] = size.unwrap_or_else(|| panic!("the window of {self:?} does not fit"));
        [h, w, self.filters]
    }

    fn window(&self) -> Window {
        let [kernel, stride, dilation] =
            [self.kernel, self.stride, self.dilation].map(|p| p.map(|n| n as u16));
        Window { kernel, stride, dilation, padding: self.padding.map(|n| n as u16) }
    }

    fn positions(&self) -> usize {
        if self.op == WeightedOp::FullyConnected { 1 } else { self.kernel.iter().product() }
    }

    /// Channels of a filter at one position.
    fn channels(&self) -> usize {
        if self.op == WeightedOp::DepthwiseConv2d { 1 } else { self.input[2] }
    }

    fn group(&self) -> usize {
        match self.form {
            Form::Dense => 0,
            Form::Bitmap(group) | Form::Gaps(group) => group,
        }
    }

    fn scratch(&self) -> usize {
        let shape = |[h, w, c]: [usize; 3]| kernels::Shape { h, w, c };
        let (input, output) = (shape(self.input), shape(self.output()));
        let [top, _, left, _] = self.padding;
        let window = kernels::Window {
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            padding: [top, left],
        };
        match self.op {
            WeightedOp::Conv2d => scratch::conv2d(&input, &output, &window, self.group()),
            WeightedOp::DepthwiseConv2d => scratch::depthwise_conv2d(&input, &output, &window),
            WeightedOp::FullyConnected => scratch::fully_connected(&input, self.group()),
        }
    }
}

/// The arrays that the parameters borrow.
struct Parts {
    bias: Vec<[u8; 4]>,
    multiplier: Vec<[u8; 4]>,
    shift: Vec<i8>,
    values: Vec<i8>,
    index: Vec<u8>,
}

impl Parts {
    fn random(layer: &Weighted, random: &mut Random) -> Self {
        let (positions, channels) = (layer.positions(), layer.channels());
        let terms = positions * channels;
        let mut parts =
            Parts { bias: vec![], multiplier: vec![], shift: vec![], values: vec![], index: vec![] };
        let bias = |random: &mut Random| match layer.scales {
            Scales::Extreme => [0, i32::MAX, i32::MIN, random.random()][random.random_range(0..4)],
            _ => random.random_range(-20_000..20_000),
        };
        parts.bias = le32(&(0..layer.filters).map(|_| bias(random)).collect::<Vec<_>>());
        let scales = if layer.scales == Scales::Layer { 1 } else { layer.filters };
        let (multiplier, shift): (Vec<i32>, Vec<i8>) =
            (0..scales).map(|_| scale(layer.scales, terms, layer.kept, random)).unzip();
        (parts.multiplier, parts.shift) = (le32(&multiplier), shift);
        parts.draw_weights(layer, [layer.filters, positions, channels], random);
        parts
    }

    fn draw_weights(&mut self, layer: &Weighted, dims: [usize; 3], random: &mut Random) {
        let [filters, positions, channels] = dims;
        let group = layer.group();
        if group == 0 {
            // A dense layer may hold zeros too; a share of weights that is not kept is zero.
            let weight =
                |random: &mut Random| if random.random_bool(layer.kept) { layer.value(random) } else { 0 };
            self.values = (0..filters * positions * channels).map(|_| weight(random)).collect();
            return;
        }
        let shape = RunShape { filters, positions, channels, group };
        let kept = random_mask(shape.runs(), layer.kept, random);
        let stored = fwcs::kept_weights(&shape, kept.iter().copied());
        self.values = (0..stored).map(|_| layer.value(random)).collect();
        if matches!(layer.form, Form::Bitmap(_)) {
            self.index = vec![0; fwcs::bitmap_bytes(&shape)];
            fwcs::write_bitmap(kept, &mut self.index);
        } else {
            fwcs::write_gaps(kept, |byte| self.index.push(byte));
        }
    }

    fn weights(&self, form: Form) -> Weights<'_> {
        match form {
            Form::Dense => Weights::Dense(&self.values),
            Form::Bitmap(group) => {
                Weights::Bitmap { group: group as u32, bitmap: &self.index, runs: &self.values }
            }
            Form::Gaps(group) => Weights::Gaps { group: group as u32, gaps: &self.index, runs: &self.values },
        }
    }
}

/// Which runs are kept: the share that was asked for, to the nearest run.
fn random_mask(runs: usize, share: f64, random: &mut Random) -> Vec<bool> {
    let mut kept = vec![false; runs];
    let amount = (runs as f64 * share).round() as usize;
    rand::seq::index::sample(random, runs, amount).into_iter().for_each(|run| kept[run] = true);
    kept
}

/// Multiplier and shift for sums of `terms` products of which a share is kept.
fn scale(scales: Scales, terms: usize, kept: f64, random: &mut Random) -> (i32, i8) {
    if scales == Scales::Extreme {
        let multiplier = [0, 1, 1 << 30, i32::MAX][random.random_range(0..4)];
        return (multiplier, [-31, -8, 0, 1, 30][random.random_range(0..5)]);
    }
    // Products of two random bytes spread by about 2^12.4; outputs should spread by about 2^6.
    let spread = (terms as f64 * kept).max(1.0).sqrt().log2() + 12.4;
    (random.random_range(1 << 30..=i32::MAX), (6.0 - spread).round() as i8)
}
