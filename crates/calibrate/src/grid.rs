//! The layers that are measured.

use dtmm_testkit::{Form, Plain, Problem, Random, Weighted, random};
use rand::Rng;
use rand::seq::IndexedRandom;

/// How many layers are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Enough for good numbers.
    Full,
    /// A third of that.
    Quick,
    /// A few layers, for tests of numbers that are known.
    Sample,
}

impl Size {
    /// Shapes of a family that has `full` of them.
    fn shapes(self, full: usize) -> usize {
        match self {
            Size::Full => full,
            Size::Quick => full.div_ceil(3),
            Size::Sample => full.div_ceil(8),
        }
    }
}

/// A layer of the grid.
pub(crate) struct Planned {
    /// Number of its shape; layers of one shape differ in their masks only.
    pub shape: usize,
    /// Kept from the fit.
    pub held_out: bool,
    pub what: What,
}

/// What it computes.
pub(crate) enum What {
    Weighted(Weighted),
    Plain(Plain),
}

impl What {
    pub fn problem(&self, random: &mut Random) -> Problem {
        match self {
            What::Weighted(layer) => layer.problem(random),
            What::Plain(layer) => layer.problem(random),
        }
    }
}

/// Share of the shapes that is held out.
const HELD_OUT: f64 = 0.3;
/// Shares of the runs that are pruned, in percent.
const SPARSITIES: [u32; 6] = [0, 25, 50, 70, 80, 90];
const CONVOLUTIONS: usize = 96;
const FULLY_CONNECTED: usize = 36;
const DEPTHWISE: usize = 32;
const PLAIN: usize = 24;
/// Shapes of few pixels, where what is done once for a call or a pixel counts.
const SMALL: usize = 18;
/// Multiplications of a dense layer at most, and elements of a layer without weights.
const MACS: usize = 700_000;
const ELEMENTS: usize = 6_000;

/// The layers in the order in which they are measured.
pub(crate) fn layers(size: Size, seed: u64) -> Vec<Planned> {
    let mut random = random(seed);
    let mut grid = Grid { layers: vec![], shapes: 0 };
    // At least every second shape of a small family is fitted to.
    for i in 0..size.shapes(CONVOLUTIONS) {
        grid.weighted(i, sparse_forms(convolution(&mut random), &mut random), &mut random);
    }
    for i in 0..size.shapes(FULLY_CONNECTED) {
        grid.weighted(i, sparse_forms(fully_connected(&mut random), &mut random), &mut random);
    }
    for i in 0..size.shapes(DEPTHWISE) {
        grid.weighted(i, vec![depthwise(1, &mut random)], &mut random);
    }
    for i in 0..size.shapes(PLAIN) {
        grid.weighted(i, vec![depthwise(4, &mut random)], &mut random);
    }
    for i in 0..size.shapes(PLAIN) {
        for layer in plain(&mut random) {
            grid.shape(i, vec![What::Plain(layer)], &mut random);
        }
    }
    for i in 0..size.shapes(SMALL) {
        let [convolution, depthwise] = small_weighted(&mut random);
        grid.weighted(i, sparse_forms(convolution, &mut random), &mut random);
        grid.weighted(i, vec![depthwise], &mut random);
        for layer in small_plain(&mut random) {
            grid.shape(i, vec![What::Plain(layer)], &mut random);
        }
    }
    grid.layers
}

struct Grid {
    layers: Vec<Planned>,
    shapes: usize,
}

impl Grid {
    fn weighted(&mut self, i: usize, layers: Vec<Weighted>, random: &mut Random) {
        self.shape(i, layers.into_iter().map(What::Weighted).collect(), random);
    }

    /// All layers of one shape, the `i`th of its family; the first two of a family are never held out.
    fn shape(&mut self, i: usize, layers: Vec<What>, random: &mut Random) {
        let held_out = random.random_bool(HELD_OUT) && i > 1;
        let shape = self.shapes;
        self.shapes += 1;
        self.layers.extend(layers.into_iter().map(|what| Planned { shape, held_out, what }));
    }
}

fn one<T: Copy>(of: &[T], random: &mut Random) -> T {
    *of.choose(random).expect("lists are not empty")
}

/// A convolution of a size that networks for microcontrollers have.
fn convolution(random: &mut Random) -> Weighted {
    loop {
        let edge = one(&[[1, 1], [1, 1], [1, 1], [3, 3], [3, 3], [3, 3], [5, 5], [1, 3], [7, 1]], random);
        let [h, w] =
            [(); 2].map(|()| one(&[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20, 24, 25, 32], random));
        let channels =
            one(&[1, 2, 3, 4, 6, 8, 8, 10, 12, 16, 16, 16, 20, 24, 32, 32, 40, 48, 64, 64, 96, 128], random);
        let filters = one(&[4, 6, 8, 10, 12, 16, 16, 20, 24, 32, 32, 48, 64, 64, 96], random);
        let mut layer = Weighted::conv2d([h, w, channels], filters, edge);
        if random.random_bool(0.25) {
            layer.stride = [2, 2];
            layer.padding = edge.map(|k| k / 2).map(|p| [p, p]).concat().try_into().expect("two axes");
        } else if random.random_bool(0.15) {
            layer.padding = [0; 4];
        }
        let pixels = (h / layer.stride[0]) * (w / layer.stride[1]);
        let macs = pixels * filters * channels * edge[0] * edge[1];
        let fits = h + layer.padding[0] >= edge[0] && w + layer.padding[2] >= edge[1];
        if fits && (MACS / 40..=MACS).contains(&macs) {
            return layer;
        }
    }
}

fn fully_connected(random: &mut Random) -> Weighted {
    let inputs = one(
        &[10, 16, 24, 30, 32, 48, 60, 64, 64, 75, 96, 128, 128, 150, 192, 256, 256, 300, 512, 640, 784],
        random,
    );
    let outputs = one(&[2, 4, 8, 10, 10, 12, 16, 24, 32, 43, 64, 64, 100, 128], random);
    let mut layer = Weighted::fully_connected(inputs, outputs);
    if random.random_bool(0.15) {
        layer.input = [1, 4, inputs];
    }
    layer
}

fn depthwise(multiplier: usize, random: &mut Random) -> Weighted {
    let edge = one(&[[3, 3], [3, 3], [3, 3], [5, 5], [3, 1], [7, 1]], random);
    let [h, w] = [(); 2].map(|()| one(&[5, 6, 8, 10, 12, 16, 20, 24], random));
    let channels = one(&[4, 8, 8, 10, 12, 16, 16, 24, 30, 32, 48, 64, 64, 72, 96, 128], random);
    let channels = if multiplier > 1 { channels / 4 } else { channels };
    let mut layer = Weighted::depthwise([h, w, channels], edge);
    layer.filters = channels * multiplier;
    if random.random_bool(0.3) {
        layer.stride = [2, 2];
    }
    layer
}

/// The layer dense, with whole positions as runs at every sparsity, and with shorter runs at some.
fn sparse_forms(layer: Weighted, random: &mut Random) -> Vec<Weighted> {
    let channels = layer.input[2];
    let kept = |percent: u32| 1.0 - f64::from(percent) / 100.0;
    let mut layers: Vec<Weighted> =
        SPARSITIES.iter().map(|s| layer.clone().sparse(Form::Bitmap(channels), kept(*s))).collect();
    let short: Vec<usize> = [16, 8, 4].into_iter().filter(|g| *g < channels).collect();
    for group in short {
        for _ in 0..2 {
            layers.push(layer.clone().sparse(Form::Bitmap(group), kept(one(&SPARSITIES, random))));
        }
        layers.push(layer.clone().sparse(Form::Gaps(group), kept(one(&[80, 90], random))));
    }
    layers.push(layer.clone().sparse(Form::Gaps(channels), kept(90)));
    layers.push(layer);
    layers
}

/// One of each operator without weights.
fn plain(random: &mut Random) -> Vec<Plain> {
    let x = loop {
        let [h, w] = [(); 2].map(|()| one(&[1, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32], random));
        let shape: [usize; 3] = [h, w, one(&[4, 8, 10, 16, 16, 24, 32, 32, 48, 64, 64, 96, 128], random)];
        if (200..=ELEMENTS).contains(&shape.iter().product()) {
            break shape;
        }
    };
    let [h, w, c] = x;
    let pool = [h.max(4), w.max(4), c];
    let edge = one(&[2, 2, 3], random);
    let padding = if edge == 3 { [1; 4] } else { [0; 4] };
    let classes = [1, 1, one(&[2, 4, 10, 12, 35, 43, 100], random)];
    let parts = one(&[&[8, 8][..], &[16, 16], &[4, 12], &[16, 32, 16], &[6, 10]], random);
    vec![
        Plain::Add(x, [false; 3]),
        Plain::Add(x, [true, true, false]),
        Plain::Sub(x, [false; 3]),
        Plain::Mul(x, [false; 3]),
        Plain::Mul(x, [true, true, false]),
        Plain::Concat([h, w, 1], 2, parts.to_vec()),
        Plain::MaxPool(pool, [edge; 2], [2, 2], padding),
        Plain::AveragePool(pool, [edge; 2], [2, 2], padding, false),
        Plain::AveragePool(pool, [pool[0], pool[1]], [1, 1], [0; 4], false),
        Plain::Mean(x, [true, true, false]),
        Plain::Transpose(x, one(&[[2, 0, 1], [1, 0, 2], [0, 2, 1]], random)),
        Plain::Slice(x, [h / 2, 0, 0], [1, 1, 1]),
        Plain::Pad(x, [1, 1, 0], [1, 1, 0]),
        Plain::Requantize(x),
        Plain::Lut(x),
        Plain::Softmax(classes),
        Plain::LogSoftmax(classes),
        Plain::ResizeNearest([h.min(12), w.min(12), c.min(16)], [h.min(12) * 2, w.min(12) * 2]),
    ]
}

/// Height, width and channels of a few pixels.
fn few_pixels(random: &mut Random) -> [usize; 3] {
    let [h, w] = [(); 2].map(|()| one(&[1, 2, 3, 4], random));
    [h, w, one(&[4, 6, 8, 12, 16, 24, 32, 48, 64, 96], random)]
}

/// A convolution and a depthwise one on few pixels.
fn small_weighted(random: &mut Random) -> [Weighted; 2] {
    let edge = one(&[[1, 1], [3, 3], [3, 3], [1, 3], [3, 1]], random);
    let filters = one(&[4, 8, 10, 16, 32], random);
    let convolution = Weighted::conv2d(few_pixels(random), filters, edge);
    let x = few_pixels(random);
    let mut depthwise = Weighted::depthwise(x, one(&[[3, 3], [5, 5], [3, 1]], random));
    depthwise.filters = x[2];
    [convolution, depthwise]
}

/// Operators without weights on few pixels.
fn small_plain(random: &mut Random) -> Vec<Plain> {
    let x = few_pixels(random);
    let [h, w, c] = x;
    let pool = [h.max(2), w.max(2), c];
    vec![
        Plain::Add(x, [false; 3]),
        Plain::Mul(x, [true, true, false]),
        Plain::MaxPool(pool, [2, 2], [2, 2], [0; 4]),
        Plain::MaxPool(pool, [3, 3], [2, 2], [1; 4]),
        Plain::AveragePool(pool, [2, 2], [2, 2], [0; 4], false),
        Plain::AveragePool(pool, [pool[0], pool[1]], [1, 1], [0; 4], false),
        Plain::Mean(x, [true, true, false]),
        Plain::Transpose(x, one(&[[2, 0, 1], [1, 0, 2], [0, 2, 1]], random)),
        Plain::Slice(x, [h / 2, 0, 0], [1, 1, 1]),
        Plain::Pad(x, [1, 1, 0], [1, 1, 0]),
        Plain::Requantize(x),
        Plain::Lut(x),
        Plain::ResizeNearest(x, [h * 2, w * 2]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_reproducible_and_some_shapes_are_held_out() {
        let describe = |p: &Planned| match &p.what {
            What::Weighted(layer) => format!("{} {layer:?}", p.held_out),
            What::Plain(layer) => format!("{} {layer:?}", p.held_out),
        };
        let (a, b) = (layers(Size::Quick, 3), layers(Size::Quick, 3));
        assert!(a.iter().map(describe).eq(b.iter().map(describe)));
        let held_out = a.iter().filter(|p| p.held_out).count() as f64 / a.len() as f64;
        assert!((0.1..0.45).contains(&held_out), "{held_out}");
        // A shape's layers are held out together.
        assert!(a.windows(2).all(|p| p[0].shape != p[1].shape || p[0].held_out == p[1].held_out));
        assert!(layers(Size::Full, 3).len() > 2 * a.len());
    }
}
