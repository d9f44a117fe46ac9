//! What the user asks for, and the key by which a later start recognises the same request.

use std::path::PathBuf;

use dtmm_data::{Dataset, Samples, Splits};
use dtmm_graph::Preprocessing;
use dtmm_prune::{Method, UnitKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::budgets::Budgets;
use super::channel_cut::ChannelCut;
use super::units::Units;
use crate::{DataSource, Error, PreprocessChoice};

/// How the importance of a weight is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportanceKind {
    /// First order: |w · g| with the mean gradient (the paper's choice).
    Taylor,
    /// Second order: w² · g² with the mean squared gradient.
    Fisher,
    /// Fisher with the squared gradients averaged over filters and input channels.
    FactoredFisher,
    /// Layer-adaptive magnitude of the smallest units that may be pruned; needs no data.
    Lamp,
    /// Magnitude relative to the layer's mean magnitude; needs no data.
    L1,
    /// How far each channel is from what the others of its layer say (after CHIP); meant for whole filters.
    Chip,
}

const IMPORTANCE_NAMES: [(&str, ImportanceKind); 6] = [
    ("taylor", ImportanceKind::Taylor),
    ("fisher", ImportanceKind::Fisher),
    ("factored-fisher", ImportanceKind::FactoredFisher),
    ("lamp", ImportanceKind::Lamp),
    ("l1", ImportanceKind::L1),
    ("chip", ImportanceKind::Chip),
];

impl ImportanceKind {
    /// The names of all kinds.
    pub fn names() -> impl Iterator<Item = &'static str> {
        IMPORTANCE_NAMES.iter().map(|(name, _)| *name)
    }

    /// The kind with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        IMPORTANCE_NAMES.iter().find(|(n, _)| *n == name).map(|(_, kind)| *kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        IMPORTANCE_NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// A compression.
#[derive(Clone, Debug, PartialEq)]
pub struct CompressRequest {
    /// The model file.
    pub model: PathBuf,
    /// Training and test samples.
    pub data: DataSource,
    /// From raw sample to model input.
    pub preprocess: PreprocessChoice,
    /// What the package may take.
    pub budgets: Budgets,
    /// Fine-tuning epochs over all rounds; 0 prunes without training.
    pub epochs: usize,
    /// Quantisation-aware epochs after the last round; `None` runs a quarter of `epochs` where int8 loses more than
    /// 0.5 points of validation accuracy, and none elsewhere.
    pub qat_epochs: Option<usize>,
    /// Highest learning rate; `None` lets the model decide.
    pub lr: Option<f32>,
    /// Rounds of gradual pruning.
    pub rounds: usize,
    /// What decides which weights go.
    pub importance: ImportanceKind,
    /// How the masks are chosen.
    pub scheduler: Method,
    /// Units that [`Method::Lagrangian`] and [`Method::Uniform`] may choose from; [`Method::Anneal`] takes filters and
    /// filterlets among them.
    pub units: Units,
    /// For [`Method::Lagrangian`]: how much of a cut in flash whole channels make.
    pub channel_cut: ChannelCut,
    /// Reorders channels before sub-filterlets are chosen, so that those that matter to the same filters are neighbours.
    pub permute: bool,
    /// For [`Method::Anneal`]: the largest share of the importance that may go, over all rounds; `None`: the least with
    /// which the budgets can be kept.
    pub importance_threshold: Option<f64>,
    /// The float model whose answers fine-tuning follows besides the labels; `None`: the model itself as it came in.
    pub teacher: Option<PathBuf>,
    /// Samples in one step.
    pub batch: usize,
    /// Output folder.
    pub output: PathBuf,
    /// Random seed.
    pub seed: u64,
    /// Threads; 0 means one for each core. No result depends on it.
    pub threads: usize,
}

impl CompressRequest {
    /// The smallest unit that the scheduler may prune.
    pub(crate) fn grain(&self) -> UnitKind {
        match (self.scheduler, self.units.groups.first()) {
            (Method::Lagrangian | Method::Uniform, Some(&group)) => UnitKind::SubFilterlet(group),
            (Method::Lagrangian | Method::Uniform | Method::Anneal { .. }, _) if self.units.filterlets => {
                UnitKind::Filterlet
            }
            (Method::Lagrangian | Method::Uniform | Method::Anneal { .. } | Method::FilterOnly, _) => {
                UnitKind::Filter
            }
            _ => UnitKind::Weight,
        }
    }

    /// True when channels and finer units compete.
    pub(crate) fn chooses_channels(&self) -> bool {
        let finer = self.units.filterlets || !self.units.groups.is_empty();
        self.scheduler == Method::Lagrangian && self.units.filters && finer
    }

    /// Refuses flags that contradict each other.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str, expected: &str, found: String, help: &str| {
            Err(Error::Mismatch { what: what.into(), expected: expected.into(), found, help: help.into() })
        };
        let scheduler = self.scheduler.name();
        if self.importance_threshold.is_some() && !matches!(self.scheduler, Method::Anneal { .. }) {
            let help = "the other schedulers lose the least that the budgets allow";
            return wrong("scheduler with an importance threshold", "anneal", scheduler.into(), help);
        }
        if self.units != Units::default() && !self.scheduler.has_units() {
            let help = "the other methods have units of their own";
            return wrong("scheduler with --units", "lagrangian, uniform or anneal", scheduler.into(), help);
        }
        if self.channel_cut != ChannelCut::Auto && !self.chooses_channels() {
            let help = "leave the flag out: nothing else chooses between channels and finer units";
            return wrong(
                "--channel-cut",
                "lagrangian, with filters and finer units",
                scheduler.into(),
                help,
            );
        }
        if self.permute && !matches!(self.grain(), UnitKind::SubFilterlet(_)) {
            let help = "leave the flag out: the order of channels matters to no other unit";
            return wrong("--permute", "sub-filterlets among the units", scheduler.into(), help);
        }
        if self.units == Units::from_names([]).unwrap_or_default() {
            return wrong("--units", "at least one", "none".into(), "leave the flag out for all");
        }
        Ok(())
    }
}

/// Everything that the result depends on.
pub(super) fn key(
    request: &CompressRequest,
    points: usize,
    (model, teacher): (&[u8], Option<&[u8]>),
    (data, input): (&Splits, &Preprocessing),
) -> Value {
    let mut key = json!({
        "dtmm": env!("CARGO_PKG_VERSION"),
        "model": hex(&Sha256::digest(model)),
        "train_data": digest(&data.train),
        "test_data": digest(&data.test),
        "preprocessing": format!("{input:?}"),
        "points": points,
        "epochs": request.epochs,
        "qat_epochs": request.qat_epochs,
        "lr": request.lr,
        "rounds": request.rounds,
        "importance": request.importance.name(),
        "scheduler": request.scheduler.name(),
        "channel_cut": request.channel_cut.name(),
        "batch": request.batch,
        "seed": request.seed,
    });
    if request.units != Units::default() {
        key["units"] = json!(request.units.names());
    }
    if request.permute {
        key["permute"] = json!(true);
    }
    if let Some(threshold) = request.importance_threshold {
        key["importance_threshold"] = json!(threshold);
    }
    if let Some(teacher) = teacher {
        key["teacher"] = json!(hex(&Sha256::digest(teacher)));
    }
    for (name, value) in request.budgets.key() {
        key[name] = json!(value);
    }
    key
}

fn digest(data: &Dataset) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", data.shape));
    match &data.samples {
        Samples::U8(v) => hash.update(v),
        Samples::F32(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
    }
    data.labels.iter().for_each(|l| hash.update(l.to_le_bytes()));
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|b| format!("{b:02x}")).collect()
}
