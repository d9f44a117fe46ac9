//! One small graph for each operator and attribute that changes its arithmetic.

use crate::numbers::values;
use dtmm_graph::{Activation, Graph, GraphBuilder, Op, Padding, TensorId, Window};

/// Builds `x → trained 1×1 layer → operator`, so that the operator's input gradient is needed as well.
struct Zoo {
    b: GraphBuilder,
    x: TensorId,
    seed: u32,
}

impl Zoo {
    fn new(name: &str, shape: [usize; 3]) -> Self {
        let mut b = GraphBuilder::new(name);
        let input = b.input("x", [1, shape[0], shape[1], shape[2]]);
        let mut zoo = Zoo { x: input, b, seed: name.bytes().map(u32::from).sum() };
        let w = zoo.constant(&[shape[2], shape[2]]);
        zoo.x = zoo.op(Op::FullyConnected { activation: Activation::None }, &[input, w]);
        zoo
    }

    fn constant(&mut self, shape: &[usize]) -> TensorId {
        self.seed += 1;
        let v = values(shape.iter().product(), self.seed);
        self.b.constant(&format!("c{}", self.seed), shape, v)
    }

    fn op(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        self.seed += 1;
        self.b.op(&format!("n{}", self.seed), op, inputs)
    }

    fn done(self, y: TensorId) -> Graph {
        self.b.finish(&[y]).unwrap()
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], p: [usize; 4]) -> Window {
    let padding = Padding { top: p[0], bottom: p[1], left: p[2], right: p[3] };
    Window { kernel, stride, dilation, padding }
}

fn conv(name: &str, window: Window, bias: bool, activation: Activation) -> Graph {
    let mut z = Zoo::new(name, [7, 6, 3]);
    let f = z.constant(&[5, window.kernel[0], window.kernel[1], 3]);
    let mut inputs = vec![z.x, f];
    if bias {
        inputs.push(z.constant(&[5]));
    }
    let y = z.op(Op::Conv2d { window, activation }, &inputs);
    z.done(y)
}

/// 3×3 of stride 1 with channels by the vector, an odd number of rows, another padding on each side.
fn wide_conv() -> Graph {
    let mut z = Zoo::new("conv wide", [5, 6, 16]);
    let v = values(32 * 9 * 16, 5).into_iter().map(|v| 0.1 * v).collect();
    let f = z.b.constant("filter", &[32, 3, 3, 16], v);
    let bias = z.constant(&[32]);
    let window = window([3, 3], [1, 1], [1, 1], [1, 2, 2, 0]);
    let y = z.op(Op::Conv2d { window, activation: Activation::Relu }, &[z.x, f, bias]);
    z.done(y)
}

fn depthwise(name: &str, window: Window, multiplier: usize) -> Graph {
    let mut z = Zoo::new(name, [7, 6, 3]);
    let o = 3 * multiplier;
    let f = z.constant(&[1, window.kernel[0], window.kernel[1], o]);
    let bias = z.constant(&[o]);
    let y = z.op(Op::DepthwiseConv2d { window, activation: Activation::None }, &[z.x, f, bias]);
    z.done(y)
}

fn unary(name: &str, shape: [usize; 3], op: Op) -> Graph {
    let mut z = Zoo::new(name, shape);
    let y = z.op(op, &[z.x]);
    z.done(y)
}

/// An operator of `x` and a second tensor computed from it, or of a constant.
fn binary(name: &str, op: Op, other: Option<[usize; 4]>, swap: bool) -> Graph {
    let mut z = Zoo::new(name, [4, 3, 5]);
    let second = match other {
        Some(shape) => z.constant(&shape),
        None => {
            let w = z.constant(&[5, 5]);
            z.op(Op::FullyConnected { activation: Activation::Relu }, &[z.x, w])
        }
    };
    let inputs = if swap { [second, z.x] } else { [z.x, second] };
    let y = z.op(op, &inputs);
    z.done(y)
}

fn squeeze_excite() -> Graph {
    let mut z = Zoo::new("squeeze and excite: mul of a broadcast activation", [4, 3, 5]);
    let pooled = z.op(Op::Mean { axes: vec![1, 2] }, &[z.x]);
    let gate = z.op(Op::Sigmoid, &[pooled]);
    let y = z.op(Op::Mul { activation: Activation::None }, &[z.x, gate]);
    z.done(y)
}

fn concat(axis: usize) -> Graph {
    let mut z = Zoo::new(&format!("concat {axis}"), [4, 3, 5]);
    let w = z.constant(&[5, 5]);
    let other = z.op(Op::FullyConnected { activation: Activation::None }, &[z.x, w]);
    let fixed = z.constant(&[1, 4, 3, 5]);
    let y = z.op(Op::Concat { axis }, &[z.x, other, fixed, z.x]);
    z.done(y)
}

/// Batch norm, a fused ReLU behind it.
pub fn batch_norm(relu: bool) -> Graph {
    let mut z = Zoo::new("batch norm", [4, 3, 5]);
    let gamma = z.constant(&[5]);
    let beta = z.constant(&[5]);
    let mean = z.constant(&[5]);
    let variance = z.b.constant("variance", &[5], vec![0.5, 1.0, 1.5, 0.7, 2.0]);
    let mut y = z.op(Op::BatchNorm { epsilon: 1e-3 }, &[z.x, gamma, beta, mean, variance]);
    if relu {
        y = z.op(Op::Relu, &[y]);
    }
    z.done(y)
}

/// A shared tensor read three times, twice by the same node.
fn diamond() -> Graph {
    let mut z = Zoo::new("diamond", [4, 3, 5]);
    let add = Op::Add { activation: Activation::None };
    let twice = z.op(add.clone(), &[z.x, z.x]);
    let t = z.op(Op::Tanh, &[z.x]);
    let y = z.op(add, &[twice, t]);
    z.done(y)
}

/// All graphs.
pub fn all() -> Vec<Graph> {
    use Activation::{None as Linear, Relu, Relu6, ReluN1To1};
    let plain = |kernel| window(kernel, [1, 1], [1, 1], [0; 4]);
    let small = [4, 3, 5];
    let mut zoo = vec![
        wide_conv(),
        conv("conv 3x3 same", window([3, 3], [1, 1], [1, 1], [1; 4]), true, Relu),
        conv("conv 1x1", plain([1, 1]), true, Relu6),
        conv("conv 1x1 stride 2", window([1, 1], [2, 2], [1, 1], [0; 4]), false, Linear),
        conv(
            "conv strides and asymmetric padding",
            window([3, 2], [2, 3], [1, 1], [0, 1, 1, 2]),
            true,
            Linear,
        ),
        conv("conv dilation", window([3, 3], [1, 1], [2, 2], [2, 1, 1, 2]), false, ReluN1To1),
        conv("conv dilation and stride", window([2, 3], [2, 2], [3, 2], [3, 3, 4, 4]), true, Linear),
        conv("conv padding wider than the kernel", window([2, 2], [2, 2], [1, 1], [3; 4]), true, Linear),
        depthwise("depthwise same", window([3, 3], [1, 1], [1, 1], [1; 4]), 1),
        depthwise("depthwise stride", window([3, 2], [2, 1], [1, 1], [0, 1, 1, 0]), 1),
        depthwise("depthwise multiplier and dilation", window([2, 3], [1, 2], [2, 2], [1, 1, 2, 2]), 2),
        binary("add", Op::Add { activation: Relu }, None, false),
        binary("sub", Op::Sub { activation: Linear }, None, true),
        binary("mul", Op::Mul { activation: Linear }, None, false),
        binary("add channels", Op::Add { activation: Relu }, Some([1, 1, 1, 5]), false),
        binary("sub from channels", Op::Sub { activation: Linear }, Some([1, 1, 1, 5]), true),
        binary("mul channels", Op::Mul { activation: Linear }, Some([1, 1, 1, 5]), true),
        binary("mul scalar", Op::Mul { activation: Linear }, Some([1, 1, 1, 1]), false),
        binary("add map", Op::Add { activation: Linear }, Some([1, 4, 3, 1]), false),
        binary("add whole constant", Op::Add { activation: Linear }, Some([1, 4, 3, 5]), false),
        squeeze_excite(),
        diamond(),
        batch_norm(false),
        batch_norm(true),
        concat(1),
        concat(2),
        concat(3),
    ];
    let pool = |w| Op::MaxPool { window: w, activation: Linear };
    let mean = |w, count_include_pad| Op::AveragePool { window: w, count_include_pad, activation: Linear };
    let resize = |size, align_corners, half_pixel_centers| Op::ResizeNearest {
        size,
        align_corners,
        half_pixel_centers,
    };
    let rows = [
        ("max pool", pool(window([2, 2], [2, 2], [1, 1], [0; 4]))),
        ("max pool overlapping, padded", pool(window([3, 3], [2, 1], [1, 1], [1, 0, 1, 1]))),
        ("average pool", mean(window([2, 2], [2, 1], [1, 1], [0; 4]), false)),
        ("average pool padded", mean(window([3, 3], [2, 2], [1, 1], [1; 4]), false)),
        ("average pool padded, counted", mean(window([3, 3], [2, 2], [1, 1], [1; 4]), true)),
        ("mean hw", Op::Mean { axes: vec![1, 2] }),
        ("mean w", Op::Mean { axes: vec![2] }),
        ("mean c", Op::Mean { axes: vec![3] }),
        ("reshape", Op::Reshape { shape: [1, 1, 1, 60] }),
        ("transpose", Op::Transpose { perm: [0, 3, 1, 2] }),
        ("slice", Op::Slice { begin: [0, 1, 0, 1], end: [1, 4, 3, 5], stride: [1, 2, 1, 3] }),
        ("pad", Op::Pad { before: [0, 1, 0, 2], after: [0, 0, 2, 1], value: -0.5 }),
        ("relu", Op::Relu),
        ("clip", Op::Clip { min: -0.4, max: 0.7 }),
        ("leaky relu", Op::LeakyRelu { alpha: 0.1 }),
        ("hard swish", Op::HardSwish),
        ("sigmoid", Op::Sigmoid),
        ("tanh", Op::Tanh),
        ("softmax", Op::Softmax { beta: 1.5 }),
        ("log softmax", Op::LogSoftmax),
        ("resize up", resize([9, 6], false, false)),
        ("resize down, half pixel", resize([3, 2], false, true)),
        ("resize, corners", resize([6, 5], true, false)),
    ];
    zoo.extend(rows.into_iter().map(|(name, op)| unary(name, small, op)));
    zoo
}
