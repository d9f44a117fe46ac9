//! Scores of the weights of a model on its way.

use dtmm_prune::{Importance, Normalisation, PrunePlan};
use dtmm_train::GradientOptions;

use super::request::ImportanceKind;
use super::tune::Tuned;
use super::{Job, chip};
use crate::Error;

/// Batches whose gradients are averaged for importance.
const GRADIENT_BATCHES: usize = 32;
const GRADIENT_BATCH: usize = 64;
/// Fisher information squares the gradient of each batch, so small batches tell more.
const FISHER_BATCH: usize = 4;
const FISHER_BATCHES: usize = 256;

/// Importance for round `k`, each round on other samples.
pub fn importance(job: &Job, before: &Tuned, k: usize) -> Result<Importance, Error> {
    if k > 0 || before.plan != PrunePlan::default() {
        return scores(job, before, k);
    }
    let kind = (job.request.importance, job.request.grain(), job.request.permute);
    job.shared.importance(kind, || scores(job, before, k))
}

fn scores(job: &Job, before: &Tuned, k: usize) -> Result<Importance, Error> {
    let graph = &before.graph;
    let (batch, batches) = match job.request.importance {
        ImportanceKind::Taylor => (GRADIENT_BATCH, GRADIENT_BATCHES),
        _ => (FISHER_BATCH, FISHER_BATCHES),
    };
    let options = GradientOptions {
        batches,
        batch,
        seed: job.request.seed.wrapping_add(k as u64),
        threads: job.request.threads,
        masks: before.masks.clone(),
    };
    let train = |source| Error::train(&job.graph.name, source);
    let squares = || dtmm_train::mean_squared_gradients(graph, &job.train, &options).map_err(train);
    let scores = match job.request.importance {
        ImportanceKind::Chip => {
            return chip::importance(graph, (&job.train, &job.input), (options.seed, options.threads));
        }
        ImportanceKind::Taylor => {
            let gradients = dtmm_train::mean_gradients(graph, &job.train, &options).map_err(train)?;
            Importance::taylor(graph, &gradients)
        }
        ImportanceKind::Fisher => Importance::fisher(graph, &squares()?),
        ImportanceKind::FactoredFisher => Importance::fisher_factored(graph, &squares()?),
        ImportanceKind::Lamp => Importance::lamp(graph, job.request.grain()),
        ImportanceKind::L1 => Importance::magnitude_l1(graph).map(|i| i.normalised(Normalisation::LayerMean)),
    };
    scores.map_err(|source| Error::Importance { model: job.graph.name.clone(), source })
}
