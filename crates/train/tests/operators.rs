//! Each operator against the naive evaluator, and each gradient against the slope of the loss.

mod numbers;
mod zoo;

use dtmm_graph::{Graph, TensorId, reference};
use dtmm_train::{ExecOptions, Executor, Mode};

const BATCH: usize = 5;

fn executor(graph: &Graph, keep_all: bool) -> Executor {
    Executor::new(graph, ExecOptions { threads: 2, keep_all }).unwrap()
}

fn input(graph: &Graph) -> Vec<f32> {
    numbers::values(BATCH * graph.tensor(graph.inputs[0].tensor).len(), 7)
}

#[test]
fn forward_agrees_with_the_naive_evaluator() {
    for graph in zoo::all() {
        let x = input(&graph);
        let mut executor = executor(&graph, true);
        executor.forward(BATCH, &[&x], Mode::Inference).unwrap();
        for (n, sample) in x.chunks(x.len() / BATCH).enumerate() {
            let want = reference::evaluate(&graph, &[sample]).unwrap();
            for node in &graph.nodes {
                let (want, all) = (&want[node.output.index()], executor.value(node.output).unwrap());
                let found = &all[n * want.len()..(n + 1) * want.len()];
                for (w, f) in want.iter().zip(found) {
                    assert!((w - f).abs() <= 1e-5, "{}, node {}: {f} for {w}", graph.name, node.name);
                }
            }
        }
    }
}

/// A loss without symmetry: the outputs weighted with fixed numbers.
fn loss(graph: &Graph, x: &[f32], mode: Mode) -> f64 {
    let mut executor = executor(graph, false);
    let y = executor.forward(BATCH, &[x], mode).unwrap();
    y.iter().zip(numbers::values(y.len(), 99)).map(|(y, r)| f64::from(*y) * f64::from(r)).sum()
}

fn gradients(graph: &Graph, x: &[f32], mode: Mode) -> Vec<(TensorId, Vec<f32>)> {
    let mut executor = executor(graph, false);
    let len = executor.forward(BATCH, &[x], mode).unwrap().len();
    executor.backward(graph.outputs[0].tensor, &numbers::values(len, 99)).unwrap();
    executor.parameters().into_iter().map(|t| (t, executor.gradient(t).unwrap())).collect()
}

/// Parameters on both sides of which the loss bends (a ReLU or maximum switches) are no test of a slope.
fn slope(graph: &Graph, x: &[f32], mode: Mode, (t, i): (TensorId, usize)) -> Option<f64> {
    let at = |d: f32| {
        let mut moved = graph.clone();
        moved.tensor_mut(t).f32_data_mut().unwrap()[i] += d;
        loss(&moved, x, mode)
    };
    let h = 2e-3;
    let (low, middle, high) = (at(-h), at(0.0), at(h));
    let (left, right) = ((middle - low) / f64::from(h), (high - middle) / f64::from(h));
    let smooth = (left - right).abs() < 6e-3 * (1.0 + left.abs());
    smooth.then_some((left + right) / 2.0)
}

fn check_slopes(graph: &Graph, mode: Mode) {
    let x = input(graph);
    let (mut checked, mut all) = (0, 0);
    for (t, gradient) in gradients(graph, &x, mode) {
        let step = gradient.len().div_ceil(12);
        for i in (0..gradient.len()).step_by(step) {
            all += 1;
            let Some(want) = slope(graph, &x, mode, (t, i)) else { continue };
            checked += 1;
            let found = f64::from(gradient[i]);
            let name = &graph.tensor(t).name;
            assert!(
                (want - found).abs() < 4e-3 * (1.0 + want.abs()),
                "{}, {mode:?}, {name}[{i}]: gradient {found}, slope {want}",
                graph.name
            );
        }
    }
    assert!(checked * 3 >= all, "{}: only {checked} of {all} slopes could be measured", graph.name);
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    zoo::all().iter().for_each(|graph| check_slopes(graph, Mode::Inference));
}

#[test]
fn batch_statistics_are_differentiated() {
    check_slopes(&zoo::batch_norm(false), Mode::Training);
    check_slopes(&zoo::batch_norm(true), Mode::Training);
}

#[test]
fn bits_do_not_depend_on_threads() {
    for graph in zoo::all() {
        let x = input(&graph);
        let run = |threads: usize| {
            let mut e = Executor::new(&graph, ExecOptions { threads, keep_all: false }).unwrap();
            let y = e.forward(BATCH, &[&x], Mode::Training).unwrap().to_vec();
            e.backward(graph.outputs[0].tensor, &numbers::values(y.len(), 99)).unwrap();
            let g: Vec<Vec<f32>> = e.parameters().into_iter().map(|t| e.gradient(t).unwrap()).collect();
            (y, g)
        };
        let one = run(1);
        assert_eq!(one, run(2), "{}", graph.name);
        assert_eq!(one, run(3), "{}", graph.name);
    }
}

#[test]
fn a_smaller_batch_after_a_larger_one_gives_the_same_values() {
    for graph in zoo::all() {
        let x = input(&graph);
        let mut e = executor(&graph, false);
        let all = e.forward(BATCH, &[&x], Mode::Inference).unwrap().to_vec();
        let one = e.forward(1, &[&x[..x.len() / BATCH]], Mode::Inference).unwrap();
        for (a, b) in one.iter().zip(&all) {
            assert!((a - b).abs() < 1e-6, "{}", graph.name);
        }
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let graph = &zoo::all()[0];
    let mut e = executor(graph, false);
    assert!(e.forward(2, &[&[0.0; 3]], Mode::Inference).is_err());
    assert!(e.forward(0, &[&[]], Mode::Inference).is_err());
    assert!(e.forward(1, &[], Mode::Inference).is_err());
    e.forward(BATCH, &[&input(graph)], Mode::Inference).unwrap();
    assert!(e.backward(graph.outputs[0].tensor, &[1.0]).is_err());
}
