//! Operators without weights.

use dtmm_format::{Clamp, Elementwise, Params, Rescale, Window, le16};
use rand::Rng;

use crate::problem::{Activation, Draft};
use crate::{Problem, Random};

/// An operator without weights; the numbers that are not given here are random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Sum of `[h, w, c]` and a second input of which the named axes have size 1.
    Add([usize; 3], [bool; 3]),
    /// Difference, as `Add`.
    Sub([usize; 3], [bool; 3]),
    /// Product, as `Add`.
    Mul([usize; 3], [bool; 3]),
    /// Inputs joined along an axis (0 = h, 1 = w, 2 = c), with these sizes on it.
    Concat([usize; 3], usize, Vec<usize>),
    /// Maximum: input, kernel, stride, padding.
    MaxPool([usize; 3], [usize; 2], [usize; 2], [usize; 4]),
    /// Mean over a window: input, kernel, stride, padding; whether padding counts.
    AveragePool([usize; 3], [usize; 2], [usize; 2], [usize; 4], bool),
    /// Mean over axes.
    Mean([usize; 3], [bool; 3]),
    /// Other axis order.
    Transpose([usize; 3], [usize; 3]),
    /// Input, begin, stride.
    Slice([usize; 3], [usize; 3], [usize; 3]),
    /// Input, elements before, elements after.
    Pad([usize; 3], [usize; 3], [usize; 3]),
    /// Other scale.
    Requantize([usize; 3]),
    /// Table.
    Lut([usize; 3]),
    /// Softmax over channels.
    Softmax([usize; 3]),
    /// Its logarithm.
    LogSoftmax([usize; 3]),
    /// Input, output height and width.
    ResizeNearest([usize; 3], [usize; 2]),
}

impl Plain {
    /// The problem with random inputs and numbers.
    pub fn problem(&self, random: &mut Random) -> Problem {
        match self {
            Plain::Add(..) | Plain::Sub(..) | Plain::Mul(..) => self.binary(random),
            Plain::Concat(shape, axis, sizes) => self.concat(*shape, *axis, sizes, random),
            Plain::MaxPool(x, kernel, stride, padding) => {
                let window = window(*kernel, *stride, *padding);
                let zero_point = random.random();
                let params = Params::MaxPool { window, clamp: clamp(random) };
                self.unary((*x, zero_point), (pooled(*x, &window), zero_point), params, random)
            }
            Plain::AveragePool(x, kernel, stride, padding, counted) => {
                let window = window(*kernel, *stride, *padding);
                let zero_point = random.random();
                let params =
                    Params::AveragePool { window, clamp: clamp(random), count_include_pad: *counted };
                self.unary((*x, zero_point), (pooled(*x, &window), zero_point), params, random)
            }
            Plain::Mean(x, axes) => self.mean(*x, *axes, random),
            Plain::ResizeNearest(x, size) => self.resize(*x, *size, random),
            _ => self.pointwise_or_moved(random),
        }
    }

    fn binary(&self, random: &mut Random) -> Problem {
        let (Plain::Add(shape, repeated) | Plain::Sub(shape, repeated) | Plain::Mul(shape, repeated)) = self
        else {
            unreachable!("called for these only");
        };
        let mut second = *shape;
        second.iter_mut().zip(repeated).filter(|(_, r)| **r).for_each(|(n, _)| *n = 1);
        let scaling = Elementwise {
            multiplier: [0; 3].map(|_: i32| random.random_range(1 << 30..=i32::MAX)),
            shift: [random.random_range(-3..=0), random.random_range(-3..=0), random.random_range(-20..=-17)],
            left_shift: 20,
            clamp: clamp(random),
        };
        let product = Rescale { multiplier: scaling.multiplier[2], shift: -7, clamp: scaling.clamp };
        let params = match self {
            Plain::Add(..) => Params::Add(scaling),
            Plain::Sub(..) => Params::Sub(scaling),
            _ => Params::Mul(product),
        };
        let zero_points: [i8; 3] = [extreme(random), extreme(random), extreme(random)];
        let inputs = vec![(*shape, zero_points[0]), (second, zero_points[1])];
        self.draft(inputs, (*shape, zero_points[2]), params, random)
    }

    fn concat(&self, mut shape: [usize; 3], axis: usize, sizes: &[usize], random: &mut Random) -> Problem {
        let zero_point = random.random();
        let part = |&n: &usize| {
            let mut part = shape;
            part[axis] = n;
            (part, zero_point)
        };
        let inputs: Vec<Activation> = sizes.iter().map(part).collect();
        shape[axis] = sizes.iter().sum();
        let numbers = le16(&(0..sizes.len() as u16).collect::<Vec<_>>());
        let params = Params::Concat { axis: axis as u8 + 1, inputs: &numbers };
        self.draft(inputs, (shape, zero_point), params, random)
    }

    fn mean(&self, x: [usize; 3], axes: [bool; 3], random: &mut Random) -> Problem {
        let mut y = x;
        y.iter_mut().zip(axes).filter(|(_, a)| *a).for_each(|(n, _)| *n = 1);
        let bits = axes.iter().enumerate().map(|(i, &a)| u8::from(a) << i).sum();
        let terms = x.iter().product::<usize>() / y.iter().product::<usize>();
        let shift = -(terms.ilog2() as i8) + 1;
        let params = Params::Mean { axes: bits, multiplier: random.random_range(1 << 30..=i32::MAX), shift };
        self.unary((x, extreme(random)), (y, extreme(random)), params, random)
    }

    fn resize(&self, x: [usize; 3], [h, w]: [usize; 2], random: &mut Random) -> Problem {
        let mut table = |to: usize, from: usize| -> Vec<[u8; 2]> {
            le16(&(0..to).map(|_| random.random_range(0..from as u16)).collect::<Vec<_>>())
        };
        let (rows, columns) = (table(h, x[0]), table(w, x[1]));
        let params = Params::ResizeNearest { rows: &rows, columns: &columns };
        self.unary((x, 0), ([h, w, x[2]], 0), params, random)
    }

    fn pointwise_or_moved(&self, random: &mut Random) -> Problem {
        let zero_point = extreme(random);
        let table: Vec<i8> = (0..256).map(|_| random.random()).collect();
        let multiplier = random.random_range(1 << 30..=i32::MAX);
        let (x, y, zero_points, params) = match self {
            Plain::Transpose(x, perm) => {
                (x, perm.map(|a| x[a]), [0; 2], Params::Transpose { perm: perm.map(|a| a as u8) })
            }
            Plain::Slice(x, begin, stride) => {
                let [begin32, stride32] = [begin, stride].map(|p| p.map(|n| n as u32));
                let y = std::array::from_fn(|i| (x[i] - begin[i]).div_ceil(stride[i]));
                (x, y, [0; 2], Params::Slice { begin: begin32, stride: stride32 })
            }
            Plain::Pad(x, before, after) => {
                let y = std::array::from_fn(|i| before[i] + x[i] + after[i]);
                let params = Params::Pad { before: before.map(|n| n as u32), value: zero_point };
                (x, y, [zero_point; 2], params)
            }
            Plain::Requantize(x) => {
                let shift = random.random_range(-4..=2);
                let params = Params::Requantize(Rescale { multiplier, shift, clamp: clamp(random) });
                (x, *x, [zero_point, extreme(random)], params)
            }
            Plain::Softmax(x) => {
                let shift = random.random_range(20..24);
                let params = Params::Softmax { multiplier, shift, diff_min: -(1 << (31 - shift)) };
                (x, *x, [zero_point, -128], params)
            }
            Plain::LogSoftmax(x) => {
                let params = Params::LogSoftmax {
                    multiplier,
                    shift: 22,
                    reverse_multiplier: i32::MAX,
                    reverse_shift: -22,
                    diff_min: -(1 << 9),
                };
                (x, *x, [zero_point, 127], params)
            }
            Plain::Lut(x) => (x, *x, [0; 2], Params::Lut(&table)),
            _ => unreachable!("called for these only"),
        };
        self.unary((*x, zero_points[0]), (y, zero_points[1]), params, random)
    }

    fn unary(&self, x: Activation, y: Activation, params: Params<'_>, random: &mut Random) -> Problem {
        self.draft(vec![x], y, params, random)
    }

    fn draft(
        &self,
        inputs: Vec<Activation>,
        output: Activation,
        params: Params<'_>,
        random: &mut Random,
    ) -> Problem {
        let mut values = |a: Activation| {
            let elements = a.0.iter().product();
            (a, (0..elements).map(|_| random.random()).collect())
        };
        let inputs = inputs.into_iter().map(&mut values).collect();
        Draft { name: format!("{self:?}"), inputs, output, params, scratch: 0, dense_macs: 0 }.finish()
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4]) -> Window {
    let [kernel, stride] = [kernel, stride].map(|p| p.map(|n| n as u16));
    Window { kernel, stride, dilation: [1, 1], padding: padding.map(|n| n as u16) }
}

fn pooled(x: [usize; 3], window: &Window) -> [usize; 3] {
    let [h, w] = window.output_size([x[0], x[1]]).expect("the window fits");
    [h, w, x[2]]
}

/// A zero point, often at an end of the range.
fn extreme(random: &mut Random) -> i8 {
    [i8::MIN, i8::MAX, 0, random.random()][random.random_range(0..4)]
}

/// Often no clamp.
fn clamp(random: &mut Random) -> Clamp {
    let (a, b): (i8, i8) = (random.random(), random.random());
    if random.random_bool(0.5) { Clamp::NONE } else { Clamp { min: a.min(b), max: a.max(b) } }
}
