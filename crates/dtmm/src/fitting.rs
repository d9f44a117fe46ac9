//! What every training shares: held-out samples, progress, records.

use std::path::Path;

use dtmm_data::Dataset;
use dtmm_report::EpochRow;
use dtmm_train::{EpochRecord, FitOptions, Observer, TrainError};

use crate::{Error, Progress};

/// Samples held out for validation: a tenth, but not more than this.
const MOST_HELD_OUT: usize = 1000;

/// Splits off samples, balanced over the classes, on which no weight is trained.
pub(crate) fn hold_out(data: &Dataset, seed: u64) -> Result<(Dataset, Dataset), Error> {
    let share = 0.1f32.min(MOST_HELD_OUT as f32 / data.len().max(1) as f32);
    Ok(data.split(share, seed)?)
}

/// Draws the progress of a training.
pub(crate) struct Follow<'a> {
    progress: &'a dyn Progress,
    steps_per_epoch: u64,
}

impl<'a> Follow<'a> {
    pub fn new(progress: &'a dyn Progress, stage: &str, options: &FitOptions, samples: usize) -> Self {
        let steps_per_epoch = (samples / options.batch.min(samples).max(1)) as u64;
        progress.begin(stage, steps_per_epoch * options.epochs as u64);
        Follow { progress, steps_per_epoch }
    }

    pub fn finish(&self, history: &[EpochRecord]) {
        let last = history.last().map_or_else(|| "no epoch".to_owned(), summary);
        self.progress.end(&last);
    }
}

impl Observer for Follow<'_> {
    fn step(&mut self, p: &dtmm_train::Progress) {
        let done = (p.epoch as u64 - 1) * self.steps_per_epoch + p.step as u64;
        let note = format!(
            "epoch {}/{} loss {:.3} train {:.1} % {:.0}/s",
            p.epoch,
            p.epochs,
            p.loss,
            p.accuracy * 100.0,
            p.images_per_second
        );
        self.progress.advance(done, &note);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.progress.note(&summary(record));
    }

    fn interrupted(&mut self) -> bool {
        self.progress.interrupted()
    }
}

fn summary(r: &EpochRecord) -> String {
    let validation =
        r.validation_accuracy.map_or_else(String::new, |a| format!(", validation {:.2} %", a * 100.0));
    format!(
        "epoch {}: loss {:.4}, train {:.2} %{validation}, {:.0} s",
        r.epoch,
        r.loss,
        r.train_accuracy * 100.0,
        r.seconds
    )
}

/// Report rows of a history whose first epoch is number `before + 1` of the run.
pub(crate) fn epoch_rows(history: &[EpochRecord], before: usize) -> Vec<EpochRow> {
    let row = |r: &EpochRecord| EpochRow {
        epoch: before + r.epoch,
        loss: f64::from(r.loss),
        validation_accuracy: r.validation_accuracy.unwrap_or(f64::NAN),
        learning_rate: f64::from(r.lr),
    };
    history.iter().map(row).collect()
}

/// The facade's error for a failed training whose state is kept in `kept`.
pub(crate) fn error(source: TrainError, model: &str, kept: &Path) -> Error {
    match source {
        TrainError::Interrupted { .. } => Error::Interrupted { kept: Some(kept.to_owned()) },
        source => Error::train(model, source),
    }
}
