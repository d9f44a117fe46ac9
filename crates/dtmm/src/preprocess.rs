//! From raw samples to the model's input.

use dtmm_data::{Dataset, Samples};
use dtmm_graph::{Graph, Preprocessing};

use crate::eval::Predictor;
use crate::{Error, Progress, Silent, float};

/// Which preprocessing to use.
#[derive(Clone, Debug, PartialEq)]
pub enum PreprocessChoice {
    /// What the model says; a model that says nothing is tried with each of the [`presets`] on some samples.
    Auto,
    /// Just this.
    Fixed(Preprocessing),
}

/// Preprocessing that models commonly expect; raw values are bytes 0..=255.
pub mod presets {
    use dtmm_graph::Preprocessing;

    fn normalized(scale: f32, mean: &[f32], std: &[f32]) -> Preprocessing {
        Preprocessing { scale, mean: mean.to_vec(), std: std.to_vec(), resize: None }
    }

    /// The raw value.
    pub fn raw() -> Preprocessing {
        Preprocessing::identity()
    }

    /// `x / 255`.
    pub fn unit() -> Preprocessing {
        normalized(1.0 / 255.0, &[], &[])
    }

    /// `x / 127.5 - 1`.
    pub fn signed() -> Preprocessing {
        normalized(1.0 / 127.5, &[1.0], &[])
    }

    /// `(x / 255 - mean) / std` with the published ImageNet statistics.
    pub fn imagenet() -> Preprocessing {
        normalized(1.0 / 255.0, &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
    }

    /// `(x / 255 - mean) / std` with the published CIFAR-10 statistics.
    pub fn cifar() -> Preprocessing {
        normalized(1.0 / 255.0, &[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616])
    }

    /// What [`super::PreprocessChoice::Auto`] tries on a model that does not say what it expects.
    pub fn candidates(channels: usize) -> Vec<Preprocessing> {
        let mut all = vec![raw(), unit(), signed()];
        if channels == 3 {
            all.extend([imagenet(), cifar()]);
        }
        all
    }
}

/// Preprocessing in words.
pub fn describe(p: &Preprocessing) -> String {
    let list = |v: &[f32]| v.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(", ");
    let mut text = if p.scale == 1.0 { "raw value".to_owned() } else { format!("x * {:.6}", p.scale) };
    if !p.mean.is_empty() {
        text += &format!(" - [{}]", list(&p.mean));
    }
    if !p.std.is_empty() {
        text = format!("({text}) / [{}]", list(&p.std));
    }
    if let Some([h, w]) = p.resize {
        text += &format!(", resized to {h}x{w}");
    }
    text
}

/// What the user or the model says, else the candidate that classifies best.
pub(crate) fn chosen(
    choice: &PreprocessChoice,
    graph: &Graph,
    train: &Dataset,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Preprocessing, Error> {
    match (choice, &graph.preprocessing) {
        (PreprocessChoice::Fixed(p), _) | (PreprocessChoice::Auto, Some(p)) => Ok(p.clone()),
        (PreprocessChoice::Auto, None) => {
            best(&Predictor::Float(Box::new(graph.clone())), train, threads, progress)
        }
    }
}

/// Samples on which candidates are compared.
const TRIAL: usize = 200;

/// The candidate with which the model classifies most training samples right; features are taken as they are.
pub(crate) fn best(
    predictor: &Predictor,
    train: &Dataset,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Preprocessing, Error> {
    if matches!(train.samples, Samples::F32(_)) {
        return Ok(Preprocessing::identity());
    }
    let data = train.take(TRIAL, 0);
    let candidates = presets::candidates(train.shape[2]);
    progress.begin("trying preprocessing", candidates.len() as u64);
    let mut best: Option<(usize, Preprocessing)> = None;
    for (i, candidate) in candidates.into_iter().enumerate() {
        let answers = predictor.answers(&data, &candidate, threads, &Silent)?;
        let right = float::right(&answers, &data);
        if best.as_ref().is_none_or(|(most, _)| right > *most) {
            best = Some((right, candidate));
        }
        progress.advance(i as u64 + 1, "");
    }
    let (right, chosen) = best.unwrap_or((0, Preprocessing::identity()));
    progress.end(&format!("{} ({right} of {} training samples right)", describe(&chosen), data.len()));
    Ok(chosen)
}
