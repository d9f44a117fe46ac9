//! The problems that every core must solve.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::{Form, Plain, Problem, Random, Scales, Weighted, WeightedOp};

/// Channel counts with all tails of groups of 4, 8 and 16.
const CHANNELS: [usize; 15] = [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 32, 33];

/// `weighted` random problems with weights and as many as there are other operators, several of each. The same seed gives
/// the same problems.
pub fn tests(seed: u64, weighted: usize) -> Vec<Problem> {
    let mut random = Random::seed_from_u64(seed);
    let mut problems: Vec<Problem> = (0..weighted)
        .map(|i| {
            let layer = random_weighted(i, &mut random);
            layer.problem(&mut random)
        })
        .collect();
    for layer in edge_cases() {
        problems.push(layer.problem(&mut random));
    }
    for _ in 0..2 {
        for plain in random_plain(&mut random) {
            problems.push(plain.problem(&mut random));
        }
    }
    problems
}

/// Any layer with weights; operators take turns.
fn random_weighted(i: usize, random: &mut Random) -> Weighted {
    let channels = *CHANNELS.choose(random).expect("not empty");
    let kernel = *[[1, 1], [3, 3], [3, 3], [5, 5], [2, 3], [1, 7], [4, 1]].choose(random).expect("not empty");
    let mut layer = match i % 8 {
        0 => Weighted::fully_connected(random.random_range(1..200), random.random_range(1..40)),
        1 => {
            let multiplier = random.random_range(1..=3);
            let layer = Weighted::depthwise([random_size(random), random_size(random), channels], kernel);
            Weighted { filters: channels * multiplier, ..layer }
        }
        _ => {
            let input = [random_size(random), random_size(random), channels];
            Weighted::conv2d(input, random.random_range(1..24), kernel)
        }
    };
    if layer.op == WeightedOp::FullyConnected {
        layer.input[1] = random.random_range(1..4);
    } else {
        random_window(&mut layer, random);
    }
    if layer.op != WeightedOp::DepthwiseConv2d {
        layer.form = random_form(layer.input[2], random);
        layer.kept = *[0.0, 0.05, 0.2, 0.5, 0.5, 0.9, 1.0].choose(random).expect("not empty");
    }
    random_numbers(&mut layer, random);
    layer
}

fn random_size(random: &mut Random) -> usize {
    random.random_range(1..=9)
}

/// Stride, dilation and padding under which the kernel fits.
fn random_window(layer: &mut Weighted, random: &mut Random) {
    layer.stride = if random.random_bool(0.6) { [1, 1] } else { [0; 2].map(|_| random.random_range(1..=3)) };
    layer.dilation =
        if random.random_bool(0.8) { [1, 1] } else { [0; 2].map(|_| random.random_range(1..=2)) };
    for axis in 0..2 {
        let reach = (layer.kernel[axis] - 1) * layer.dilation[axis] + 1;
        let least = reach.saturating_sub(layer.input[axis]);
        let total = least + random.random_range(0..=reach);
        let before = random.random_range(0..=total);
        (layer.padding[2 * axis], layer.padding[2 * axis + 1]) = (before, total - before);
    }
}

fn random_form(channels: usize, random: &mut Random) -> Form {
    let group = (*[channels, channels, 4, 8, 16, 3].choose(random).expect("not empty")).min(channels);
    match random.random_range(0..5) {
        0 | 1 => Form::Dense,
        2 | 3 => Form::Bitmap(group),
        _ => Form::Gaps(group),
    }
}

fn random_numbers(layer: &mut Weighted, random: &mut Random) {
    let zero_points: [i8; 5] = [i8::MIN, i8::MAX, 0, -1, random.random()];
    layer.zero_points = [0; 2].map(|_: i32| *zero_points.choose(random).expect("not empty"));
    let (a, b): (i8, i8) = (random.random(), random.random());
    layer.clamp = if random.random_bool(0.6) { [i8::MIN, i8::MAX] } else { [a.min(b), a.max(b)] };
    layer.scales =
        *[Scales::Filter, Scales::Filter, Scales::Layer, Scales::Extreme].choose(random).expect("not empty");
}

/// What random choice meets too seldom.
fn edge_cases() -> Vec<Weighted> {
    let conv = |c, o, k| Weighted::conv2d([6, 7, c], o, [k, k]);
    let mut cases = vec![
        conv(1, 1, 3),
        conv(1, 5, 1),
        conv(64, 9, 3),
        conv(3, 16, 3),
        conv(16, 6, 5).sparse(Form::Bitmap(16), 0.0),
        conv(16, 6, 3).sparse(Form::Gaps(4), 0.0),
        conv(40, 8, 1).sparse(Form::Bitmap(16), 0.5),
        conv(37, 8, 1).sparse(Form::Gaps(8), 0.3),
        conv(300, 3, 1).sparse(Form::Gaps(4), 0.01),
        Weighted::depthwise([8, 8, 64], [3, 3]),
        Weighted { stride: [2, 2], ..Weighted::depthwise([9, 8, 24], [3, 3]) },
        Weighted::fully_connected(256, 64),
        Weighted::fully_connected(640, 10).sparse(Form::Bitmap(8), 0.5),
        Weighted::fully_connected(1, 1),
        // A kernel wider than the image, and one pixel.
        Weighted::conv2d([1, 1, 8], 4, [3, 3]),
        Weighted::conv2d([2, 2, 8], 4, [5, 5]),
    ];
    for zero_point in [i8::MIN, i8::MAX] {
        let padded =
            Weighted { zero_points: [zero_point, zero_point], padding: [2, 2, 2, 2], ..conv(16, 8, 3) };
        cases.push(Weighted { scales: Scales::Extreme, ..padded.clone() }.sparse(Form::Bitmap(16), 0.5));
        cases.push(padded);
    }
    let lowest = [conv(16, 5, 3), Weighted::depthwise([6, 7, 9], [3, 3]), Weighted::fully_connected(64, 5)];
    for layer in lowest {
        let form = if layer.op == WeightedOp::DepthwiseConv2d { Form::Dense } else { Form::Bitmap(4) };
        cases.push(Weighted { lowest: true, ..layer }.sparse(form, 0.9));
    }
    cases
}

/// One of each operator without weights.
fn random_plain(random: &mut Random) -> Vec<Plain> {
    let shape = |random: &mut Random| {
        [random_size(random), random_size(random), *CHANNELS.choose(random).expect("not empty")]
    };
    let (x, mut flags) = (shape(random), [false; 3]);
    flags[random.random_range(0..3)] = true;
    let pool: [usize; 3] = [random.random_range(3..9), random.random_range(3..9), x[2]];
    let stride = [random.random_range(1..=3), random.random_range(1..=3)];
    let padding = [0; 4].map(|_| random.random_range(0..=1));
    vec![
        Plain::Add(x, [false; 3]),
        Plain::Add(x, flags),
        Plain::Sub(shape(random), [false; 3]),
        Plain::Mul(x, [true, true, false]),
        Plain::Mul(shape(random), [false; 3]),
        Plain::Concat(x, random.random_range(0..3), vec![3, 1, 5]),
        Plain::MaxPool(pool, [2, 2], [2, 2], [0; 4]),
        Plain::MaxPool(pool, [3, 3], stride, padding),
        Plain::AveragePool(pool, [3, 2], stride, padding, false),
        Plain::AveragePool(pool, [2, 3], stride, padding, true),
        Plain::AveragePool(pool, [pool[0], pool[1]], [1, 1], [0; 4], false),
        Plain::Mean(x, [true, true, false]),
        Plain::Mean(shape(random), flags),
        Plain::Transpose(x, [2, 0, 1]),
        Plain::Slice(x, [x[0] / 2, 0, x[2] / 3], [1, 2, 1]),
        Plain::Pad(x, [1, 2, 0], [2, 0, 3]),
        Plain::Requantize(x),
        Plain::Lut(shape(random)),
        Plain::Softmax(shape(random)),
        Plain::LogSoftmax(shape(random)),
        Plain::ResizeNearest(x, [5, 11]),
    ]
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn problems_are_reproducible_and_their_outputs_vary() {
        let (a, b) = (tests(7, 60), tests(7, 60));
        assert!(a.iter().zip(&b).all(|(a, b)| a.package == b.package && a.expected == b.expected));
        assert_ne!(tests(8, 5)[0].package, a[0].package);
        let varied = |p: &&Problem| p.expected.iter().any(|v| *v != p.expected[0]);
        assert!(a.iter().filter(varied).count() * 2 > a.len(), "most outputs are constant");
    }
}
