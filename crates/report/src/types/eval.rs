//! The report of `dtmm eval`.

use serde::{Deserialize, Serialize};

/// Results on the samples of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Class name.
    pub class: String,
    /// Samples of the class.
    pub samples: usize,
    /// Samples of the class that were recognised, as a share.
    pub recall: f64,
    /// Share of the predictions of this class that were right.
    pub precision: f64,
}

/// Accuracy of a model on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Model or package path.
    pub model: String,
    /// Data set path.
    pub dataset: String,
    /// `train` or `test`.
    pub split: String,
    /// Samples evaluated.
    pub samples: usize,
    /// How raw samples became inputs, in words.
    pub preprocessing: String,
    /// Share of right answers.
    pub accuracy: f64,
    /// One row for each class.
    pub classes: Vec<ClassRow>,
    /// `confusion[t][p]`: samples of class `t` answered as `p`.
    pub confusion: Vec<Vec<u32>>,
    /// Samples per second.
    pub samples_per_second: f64,
}

impl EvalReport {
    /// Accuracy and class rows of a confusion matrix.
    pub fn summarize(confusion: &[Vec<u32>], names: &[String]) -> (f64, Vec<ClassRow>) {
        let total: u32 = confusion.iter().flatten().sum();
        let right: u32 = (0..confusion.len()).map(|c| confusion[c][c]).sum();
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
        let row = |c: usize| {
            let answered = confusion.iter().map(|r| r[c]).sum();
            let samples = confusion[c].iter().sum();
            ClassRow {
                class: names.get(c).cloned().unwrap_or_else(|| c.to_string()),
                samples: samples as usize,
                recall: share(confusion[c][c], samples),
                precision: share(confusion[c][c], answered),
            }
        };
        (share(right, total), (0..confusion.len()).map(row).collect())
    }
}
