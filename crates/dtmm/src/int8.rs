//! Packages on data sets: the device runtime on the host, one session for each thread.

use std::sync::atomic::{AtomicU64, Ordering};

use dtmm_data::Dataset;
use dtmm_graph::Preprocessing;
use dtmm_pack::{HostModel, PackError, Session};
use rayon::prelude::*;

use crate::{Error, Progress, float};

/// Samples that one task runs with one session.
const TASK: usize = 16;

/// The class that the package answers for each sample; [`Error::Interrupted`] when the progress says so.
pub(crate) fn answers(
    model: &HostModel,
    data: &Dataset,
    input: &Preprocessing,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Vec<usize>, Error> {
    let done = AtomicU64::new(0);
    let task = |start: usize| -> Result<Vec<usize>, Error> {
        if progress.interrupted() {
            return Err(Error::Interrupted { kept: None });
        }
        let end = (start + TASK).min(data.len());
        let answers = model.session().and_then(|mut session| {
            (start..end).map(|i| answer(&mut session, data, i, input)).collect::<Result<_, _>>()
        });
        let before = done.fetch_add((end - start) as u64, Ordering::Relaxed);
        progress.advance(before + (end - start) as u64, "");
        answers.map_err(|source| Error::Pack { model: "package".into(), source })
    };
    let starts: Vec<usize> = (0..data.len()).step_by(TASK).collect();
    let parts: Result<Vec<Vec<usize>>, Error> =
        pool(threads)?.install(|| starts.into_par_iter().map(task).collect());
    Ok(parts?.concat())
}

/// Share of right answers, with a progress bar.
pub(crate) fn measured(
    stage: &str,
    model: &HostModel,
    data: &Dataset,
    input: &Preprocessing,
    threads: usize,
    progress: &dyn Progress,
) -> Result<f64, Error> {
    float::followed(stage, data, progress, || answers(model, data, input, threads, progress))
}

/// A pool of `threads` threads; 0 means one for each core.
pub(crate) fn pool(threads: usize) -> Result<rayon::ThreadPool, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|source| Error::Threads { threads, source })
}

fn answer(
    session: &mut Session<'_>,
    data: &Dataset,
    index: usize,
    input: &Preprocessing,
) -> Result<usize, PackError> {
    let mut x = vec![0.0; data.sample_len()];
    data.write_input(index, input, &mut x);
    let outputs = session.run_f32(&[&x])?;
    Ok(outputs.first().map_or(0, |y| float::argmax(y)))
}
