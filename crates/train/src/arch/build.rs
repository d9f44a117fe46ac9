//! Layers with seeded weights.

use dtmm_graph::{Activation, Graph, GraphBuilder, Op, TensorId, VerifyError, Window};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::augment::normal;

/// Added to the variance in every batch normalisation.
const EPSILON: f32 = 1e-5;

pub(crate) struct Build {
    b: GraphBuilder,
    rng: ChaCha8Rng,
    input: TensorId,
    layers: usize,
}

impl Build {
    pub fn new(name: &str, [h, w, c]: [usize; 3], seed: u64) -> Self {
        let mut b = GraphBuilder::new(name);
        let input = b.input("input", [1, h, w, c]);
        Build { b, rng: ChaCha8Rng::seed_from_u64(seed), input, layers: 0 }
    }

    pub fn input(&self) -> TensorId {
        self.input
    }

    /// Height, width, channels.
    pub fn dims(&self, x: TensorId) -> [usize; 3] {
        let s = self.b.shape(x);
        [s[1], s[2], s[3]]
    }

    pub fn finish(mut self, logits: TensorId) -> Result<Graph, VerifyError> {
        let y = self.b.op("softmax", Op::Softmax { beta: 1.0 }, &[logits]);
        self.b.finish(&[y])
    }

    fn name(&mut self, kind: &str) -> String {
        self.layers += 1;
        format!("{kind}{}", self.layers)
    }

    /// Normal weights of variance `gain / fan_in`.
    fn weights(&mut self, name: &str, shape: &[usize], fan_in: usize, gain: f32) -> TensorId {
        let std = (gain / fan_in as f32).sqrt();
        let values = (0..shape.iter().product()).map(|_| std * normal(&mut self.rng)).collect();
        self.b.constant(&format!("{name}/weights"), shape, values)
    }

    /// Convolution with SAME padding and Kaiming weights, batch norm, optional ReLU.
    pub fn conv(&mut self, x: TensorId, o: usize, kernel: [usize; 2], stride: usize, relu: bool) -> TensorId {
        let c = self.dims(x)[2];
        let name = self.name("conv");
        let filter = self.weights(&name, &[o, kernel[0], kernel[1], c], kernel[0] * kernel[1] * c, 2.0);
        let y = self.b.conv2d(&name, x, filter, None, [stride; 2], true, Activation::None);
        self.norm(&name, y, relu)
    }

    /// As [`Build::conv`], without batch norm, with a bias.
    pub fn plain_conv(&mut self, x: TensorId, o: usize, kernel: usize, activation: Activation) -> TensorId {
        let c = self.dims(x)[2];
        let name = self.name("conv");
        let filter = self.weights(&name, &[o, kernel, kernel, c], kernel * kernel * c, 2.0);
        let bias = self.b.constant(&format!("{name}/bias"), &[o], vec![0.0; o]);
        self.b.conv2d(&name, x, filter, Some(bias), [1, 1], true, activation)
    }

    /// 3×3 depthwise convolution with SAME padding, batch norm, ReLU.
    pub fn depthwise(&mut self, x: TensorId, stride: usize) -> TensorId {
        let c = self.dims(x)[2];
        let name = self.name("depthwise");
        let filter = self.weights(&name, &[1, 3, 3, c], 9, 2.0);
        let window = self.b.window(x, filter, [stride; 2], true);
        let op = Op::DepthwiseConv2d { window, activation: Activation::None };
        let y = self.b.op(&name, op, &[x, filter]);
        self.norm(&name, y, true)
    }

    fn norm(&mut self, name: &str, x: TensorId, relu: bool) -> TensorId {
        let c = self.dims(x)[2];
        let parts = [("gamma", 1.0), ("beta", 0.0), ("mean", 0.0), ("variance", 1.0)];
        let constants = parts.map(|(p, v)| self.b.constant(&format!("{name}/{p}"), &[c], vec![v; c]));
        let inputs: Vec<TensorId> = [x].into_iter().chain(constants).collect();
        let y = self.b.op(&format!("{name}/norm"), Op::BatchNorm { epsilon: EPSILON }, &inputs);
        if relu { self.b.op(&format!("{name}/relu"), Op::Relu, &[y]) } else { y }
    }

    /// `relu(a + b)`.
    pub fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let name = self.name("add");
        self.b.op(&name, Op::Add { activation: Activation::Relu }, &[a, b])
    }

    pub fn concat(&mut self, parts: &[TensorId]) -> TensorId {
        let name = self.name("concat");
        self.b.op(&name, Op::Concat { axis: 3 }, parts)
    }

    /// Maximum over 2×2, where the image is still large enough.
    pub fn max_pool(&mut self, x: TensorId) -> TensorId {
        let [h, w, _] = self.dims(x);
        if h < 2 || w < 2 {
            return x;
        }
        let name = self.name("pool");
        let window = Window { stride: [2, 2], ..Window::new([2, 2]) };
        self.b.op(&name, Op::MaxPool { window, activation: Activation::None }, &[x])
    }

    pub fn global_average(&mut self, x: TensorId) -> TensorId {
        let name = self.name("average");
        self.b.op(&name, Op::Mean { axes: vec![1, 2] }, &[x])
    }

    /// All elements as one row of features.
    pub fn flatten(&mut self, x: TensorId) -> TensorId {
        let name = self.name("flatten");
        let len = self.dims(x).iter().product();
        self.b.op(&name, Op::Reshape { shape: [1, 1, 1, len] }, &[x])
    }

    /// Fully connected layer with bias.
    pub fn dense(&mut self, x: TensorId, o: usize) -> TensorId {
        let i = self.dims(x)[2];
        let name = self.name("dense");
        let weights = self.weights(&name, &[o, i], i, 1.0);
        let bias = self.b.constant(&format!("{name}/bias"), &[o], vec![0.0; o]);
        self.b.op(&name, Op::FullyConnected { activation: Activation::None }, &[x, weights, bias])
    }
}
