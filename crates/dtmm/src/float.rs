//! Float models on data sets: answers, accuracy, calibration.

use dtmm_data::Dataset;
use dtmm_graph::{Graph, Preprocessing};
use dtmm_quant::{Clipping, Observer, Ranges};
use dtmm_train::{ExecOptions, Executor, Mode};
use rayon::prelude::*;

use crate::{Error, Progress};

/// Samples in one forward pass.
const BATCH: usize = 64;
/// Samples in one forward pass that keeps every activation.
const CALIBRATION_BATCH: usize = 16;

/// The class that `graph` answers for each sample; [`Error::Interrupted`] when the progress says so.
pub(crate) fn answers(
    graph: &Graph,
    data: &Dataset,
    input: &Preprocessing,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Vec<usize>, Error> {
    let fail = |source| Error::train(&graph.name, source);
    let mut executor = Executor::new(graph, ExecOptions { threads, keep_all: false }).map_err(fail)?;
    let mut answers = Vec::with_capacity(data.len());
    for start in (0..data.len()).step_by(BATCH) {
        if progress.interrupted() {
            return Err(Error::Interrupted { kept: None });
        }
        let count = BATCH.min(data.len() - start);
        let x = inputs(data, start, count, input);
        let y = executor.forward(count, &[&x], Mode::Inference).map_err(fail)?;
        answers.extend(y.chunks_exact(y.len() / count).map(argmax));
        progress.advance(answers.len() as u64, "");
    }
    Ok(answers)
}

/// Share of right answers.
pub(crate) fn accuracy(
    graph: &Graph,
    data: &Dataset,
    input: &Preprocessing,
    threads: usize,
    progress: &dyn Progress,
) -> Result<f64, Error> {
    Ok(share_right(&answers(graph, data, input, threads, progress)?, data))
}

/// Share of right answers; 0 without samples.
pub(crate) fn share_right(answers: &[usize], data: &Dataset) -> f64 {
    right(answers, data) as f64 / data.len().max(1) as f64
}

/// Number of right answers.
pub(crate) fn right(answers: &[usize], data: &Dataset) -> usize {
    answers.iter().zip(&data.labels).filter(|&(&a, &l)| a == l as usize).count()
}

/// Ranges of all activations over the samples of `data`.
pub(crate) fn calibrate(
    graph: &Graph,
    data: &Dataset,
    input: &Preprocessing,
    threads: usize,
    clipping: Clipping,
) -> Result<Ranges, Error> {
    let fail = |source| Error::train(&graph.name, source);
    let mut executor = Executor::new(graph, ExecOptions { threads, keep_all: true }).map_err(fail)?;
    let mut observer = Observer::new();
    for start in (0..data.len()).step_by(CALIBRATION_BATCH) {
        let count = CALIBRATION_BATCH.min(data.len() - start);
        let x = inputs(data, start, count, input);
        executor.forward(count, &[&x], Mode::Inference).map_err(fail)?;
        for tensor in Observer::tensors(graph) {
            if let Some(values) = executor.value(tensor) {
                observer.observe(tensor, values);
            }
        }
    }
    observer.ranges(graph, clipping).map_err(|source| Error::Quant { model: graph.name.clone(), source })
}

/// Index of the largest value; the first of equals.
pub(crate) fn argmax<T: PartialOrd + Copy>(values: &[T]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (1..values.len()).fold(0, better)
}

/// Samples `start..start + count` as one batch, NHWC.
pub(crate) fn inputs(data: &Dataset, start: usize, count: usize, input: &Preprocessing) -> Vec<f32> {
    let len = data.sample_len();
    let mut x = vec![0.0; count * len];
    x.par_chunks_mut(len).enumerate().for_each(|(i, out)| data.write_input(start + i, input, out));
    x
}

/// [`accuracy`] with a progress bar.
pub(crate) fn measured(
    stage: &str,
    graph: &Graph,
    data: &Dataset,
    input: &Preprocessing,
    threads: usize,
    progress: &dyn Progress,
) -> Result<f64, Error> {
    followed(stage, data, progress, || answers(graph, data, input, threads, progress))
}

/// Share of right answers among those that `answers` works out, with a progress bar.
pub(crate) fn followed(
    stage: &str,
    data: &Dataset,
    progress: &dyn Progress,
    answers: impl FnOnce() -> Result<Vec<usize>, Error>,
) -> Result<f64, Error> {
    progress.begin(stage, data.len() as u64);
    let accuracy = share_right(&answers()?, data);
    progress.end(&dtmm_report::percent(accuracy));
    Ok(accuracy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks to stop from the first step on.
    struct Stop;

    impl Progress for Stop {
        fn interrupted(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_measurement_stops_when_it_is_told_to() {
        let data = dtmm_data::demo::glyphs(0, 20, 10).test;
        let graph = dtmm_train::arch::build("demo-cnn", data.shape, data.classes.len(), 1).unwrap();
        let input = Preprocessing::identity();
        assert_eq!(answers(&graph, &data, &input, 1, &crate::Silent).unwrap().len(), data.len());
        let stopped = answers(&graph, &data, &input, 1, &Stop);
        assert!(matches!(stopped, Err(Error::Interrupted { kept: None })), "{stopped:?}");
    }
}
