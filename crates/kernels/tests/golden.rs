//! The reference kernels give the same bytes as the TFLite reference kernels.
//!
//! `golden/golden.txt` is written by `golden/make_golden.py`, which runs single-operator models in TFLite.

use std::collections::HashMap;

use dtmm_kernels::table::{self, HardSwish, LeakyRelu, Q4Input};
use dtmm_kernels::{
    Axes, Clamp, Conv2d, Elementwise, KernelError, Linear, LogSoftmax, Mean, Operand, Pool, Rescale, Shape,
    Softmax, Weights, Window, reference as kernel,
};

/// Written around every output; a kernel must not touch it.
const GUARD: [i8; 16] = [0x5A; 16];

struct Case {
    name: String,
    fields: HashMap<String, String>,
}

impl Case {
    fn text(&self, key: &str) -> &str {
        self.fields.get(key).unwrap_or_else(|| panic!("case {} has no '{key}'", self.name))
    }

    fn numbers<T: TryFrom<i64>>(&self, key: &str) -> Vec<T> {
        let numbers = self.text(key).split_whitespace().map(|n| n.parse::<i64>().expect("a number"));
        numbers.map(|n| T::try_from(n).unwrap_or_else(|_| panic!("{key}: {n} is out of range"))).collect()
    }

    fn array<T: TryFrom<i64>, const N: usize>(&self, key: &str) -> [T; N] {
        self.numbers(key).try_into().unwrap_or_else(|_| panic!("{key} needs {N} numbers"))
    }

    fn number<T: TryFrom<i64>>(&self, key: &str) -> T {
        let [number] = self.array(key);
        number
    }

    fn bytes(&self, key: &str) -> Vec<i8> {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap() as i8;
        self.text(key).as_bytes().chunks(2).map(byte).collect()
    }

    fn shape(&self, key: &str) -> Shape {
        let [h, w, c] = self.array(key);
        Shape { h, w, c }
    }

    fn clamp(&self) -> Clamp {
        let [min, max] = self.array("clamp");
        Clamp { min, max }
    }

    fn window(&self) -> Window {
        let [kh, kw, sh, sw, dh, dw, top, left] = self.array("window");
        Window { kernel: [kh, kw], stride: [sh, sw], dilation: [dh, dw], padding: [top, left] }
    }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("golden/golden.txt").lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match (key, cases.last_mut()) {
            ("case", _) => cases.push(Case { name: value.to_owned(), fields: HashMap::new() }),
            (_, Some(case)) => drop(case.fields.insert(key.to_owned(), value.to_owned())),
            _ => panic!("a field before the first case"),
        }
    }
    cases
}

/// Runs `kernel` on an output of the expected length between guard bytes.
fn guarded(expected: &[i8], kernel: impl FnOnce(&mut [i8]) -> Result<(), KernelError>) -> Vec<i8> {
    let mut memory = [&GUARD[..], &vec![99; expected.len()], &GUARD].concat();
    let end = memory.len() - GUARD.len();
    kernel(&mut memory[GUARD.len()..end]).expect("the kernel accepts the case");
    assert_eq!(memory[..GUARD.len()], GUARD, "bytes before the output were written");
    assert_eq!(memory[end..], GUARD, "bytes behind the output were written");
    memory[GUARD.len()..end].to_vec()
}

fn le(numbers: Vec<i32>) -> Vec<[u8; 4]> {
    numbers.into_iter().map(i32::to_le_bytes).collect()
}

/// Conv2d, depthwise and fully connected, with the weights as `weights` stores them.
fn linear(case: &Case, weights: Weights<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    let (bias, multiplier) = (le(case.numbers("bias")), le(case.numbers("multiplier")));
    let shift: Vec<i8> = case.numbers("shift");
    let [input_zero_point, output_zero_point] = case.array("zero_points");
    let linear = Linear {
        clamp: case.clamp(),
        bias: &bias,
        multiplier: &multiplier,
        shift: &shift,
        weights,
        input_zero_point,
        output_zero_point,
    };
    let (input, output, x) = (case.shape("input"), case.shape("output"), case.bytes("x"));
    let conv = Conv2d { input, output, window: case.window(), linear };
    match case.name.as_str() {
        "conv2d" => kernel::conv2d_s8(&conv, &x, y),
        "depthwise" => kernel::depthwise_conv2d_s8(&conv, &x, y),
        _ => kernel::fully_connected_s8(&conv, &x, y),
    }
}

fn elementwise(case: &Case, y: &mut [i8]) -> Result<(), KernelError> {
    let [a, b, output_zero_point] = case.array("zero_points");
    let p = Elementwise {
        inputs: [case.shape("a_shape"), case.shape("b_shape")],
        output: case.shape("output"),
        input_zero_points: [a, b],
        output_zero_point,
        multiplier: case.array("multiplier"),
        shift: case.array("shift"),
        left_shift: 20,
        clamp: case.clamp(),
    };
    let kernel = match case.name.as_str() {
        "add" => kernel::add_s8,
        "sub" => kernel::sub_s8,
        _ => kernel::mul_s8,
    };
    let (x, b) = (case.bytes("x"), case.bytes("b"));
    if p.inputs[1] == p.output {
        // In place over the second input.
        let mut in_place = b.clone();
        kernel(&p, Operand::Slice(&x), Operand::Output, &mut in_place)?;
        assert_eq!(in_place, case.bytes("y"), "{} in place", case.name);
    }
    kernel(&p, Operand::Slice(&x), Operand::Slice(&b), y)
}

fn mean(case: &Case, y: &mut [i8]) -> Result<(), KernelError> {
    let [h, w, c] = case.array::<u8, 3>("axes").map(|a| a != 0);
    let [input_zero_point, output_zero_point] = case.array("zero_points");
    let p = Mean {
        input: case.shape("input"),
        axes: Axes { h, w, c },
        input_zero_point,
        output_zero_point,
        multiplier: case.number("multiplier"),
        shift: case.number("shift"),
    };
    kernel::mean_s8(&p, &case.bytes("x"), y)
}

fn log_softmax(case: &Case, y: &mut [i8]) -> Result<(), KernelError> {
    let [reverse_multiplier, reverse_shift] = case.array::<i32, 2>("reverse");
    let p = LogSoftmax {
        channels: case.number("channels"),
        multiplier: case.number("multiplier"),
        shift: case.number("shift"),
        reverse_multiplier,
        reverse_shift: i8::try_from(reverse_shift).expect("a shift"),
        diff_min: case.number("diff_min"),
    };
    kernel::log_softmax_s8(&p, &case.bytes("x"), y)
}

fn softmax(case: &Case, y: &mut [i8]) -> Result<(), KernelError> {
    let p = Softmax {
        channels: case.number("channels"),
        multiplier: case.number("multiplier"),
        shift: case.number("shift"),
        diff_min: case.number("diff_min"),
    };
    kernel::softmax_s8(&p, &case.bytes("x"), y)
}

fn activation_table(case: &Case) -> [i8; 256] {
    let scale = |key| {
        let [m, s] = case.array::<i32, 2>(key);
        (m, i8::try_from(s).expect("a shift"))
    };
    match case.name.as_str() {
        "leaky_relu" => {
            let [input_zero_point, output_zero_point] = case.array("zero_points");
            let (identity, alpha) = (scale("identity"), scale("alpha"));
            let p = LeakyRelu { input_zero_point, output_zero_point, identity, alpha };
            table::build(|x| table::leaky_relu(&p, x))
        }
        "hard_swish" => {
            let [input_zero_point, output_zero_point] = case.array("zero_points");
            let q15 = |key| {
                let [m, e] = case.array::<i32, 2>(key);
                (i16::try_from(m).expect("a Q15 number"), e)
            };
            let (output, reluish) = (q15("out"), q15("reluish"));
            let p = HardSwish { input_zero_point, output_zero_point, output, reluish };
            table::build(|x| table::hard_swish(&p, x))
        }
        name => {
            let [zero_point, range_radius, multiplier, shift] = case.array::<i32, 4>("input");
            let (zero_point, shift) = (zero_point as i8, shift as i8);
            let input = Q4Input { zero_point, range_radius, multiplier, shift };
            let f = if name == "tanh" { table::tanh } else { table::logistic };
            table::build(|x| f(&input, x))
        }
    }
}

fn run(case: &Case, y: &mut [i8]) -> Result<(), KernelError> {
    let x = || case.bytes("x");
    let pool = || {
        let (input, output) = (case.shape("input"), case.shape("output"));
        Pool { input, output, window: case.window(), clamp: case.clamp() }
    };
    match case.name.as_str() {
        "conv2d" | "depthwise" | "fully_connected" => linear(case, Weights::Dense(&case.bytes("w")), y),
        "add" | "sub" | "mul" => elementwise(case, y),
        "max_pool" => kernel::max_pool_s8(&pool(), &x(), y),
        "average_pool" => kernel::average_pool_s8(&pool(), None, &x(), y),
        "mean" => mean(case, y),
        "softmax" => softmax(case, y),
        "log_softmax" => log_softmax(case, y),
        "requantize" => {
            let (multiplier, shift) = (case.number("multiplier"), case.number("shift"));
            let p = Rescale { multiplier, shift, clamp: case.clamp() };
            kernel::requantize_s8(&p, case.array("zero_points"), Operand::Slice(&x()), y)
        }
        _ => kernel::lut_s8(&activation_table(case), Operand::Slice(&x()), y),
    }
}

#[test]
fn every_case_equals_tflite_bit_for_bit() {
    let mut wrong = Vec::new();
    let cases = cases();
    for (i, case) in cases.iter().enumerate() {
        let expected = case.bytes("y");
        let found = guarded(&expected, |y| run(case, y));
        let differ = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        if differ > 0 {
            wrong.push(format!("case {i} ({}): {differ} of {} differ", case.name, expected.len()));
        }
    }
    assert!(cases.len() > 80, "the golden file is incomplete");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every weight kept: all storage forms must give what dense weights give.
#[test]
fn fwcs_with_every_run_stored_equals_tflite() {
    for case in cases().iter().filter(|c| ["conv2d", "fully_connected"].contains(&c.name.as_str())) {
        let (w, expected) = (case.bytes("w"), case.bytes("y"));
        let channels = case.shape("input").c;
        for group in [1, 3, 4, channels] {
            let runs = w.len() / channels * channels.div_ceil(group.min(channels));
            let (bitmap, gaps) = (vec![255; runs.div_ceil(8)], vec![0; runs]);
            let group = group.min(channels);
            let forms = [
                Weights::Bitmap { group, bitmap: &bitmap, runs: &w },
                Weights::Gaps { group, gaps: &gaps, runs: &w },
            ];
            for weights in forms {
                let found = guarded(&expected, |y| linear(case, weights, y));
                assert_eq!(found, expected, "{} with {weights:?}", case.name);
            }
        }
    }
}
