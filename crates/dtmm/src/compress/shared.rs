//! What several compressions of one model have in common, worked out once.

use std::cell::{OnceCell, RefCell};

use dtmm_data::Splits;
use dtmm_graph::{Graph, Preprocessing};
use dtmm_prune::{Importance, UnitKind};

use super::request::ImportanceKind;
use crate::Error;

/// Results that do not depend on budgets and scheduler, for requests that differ in nothing else (and in importance).
#[derive(Default)]
pub struct Shared {
    /// The data in the shape of the model's input.
    pub data: OnceCell<Splits>,
    pub input: OnceCell<Preprocessing>,
    /// Accuracy of the model as it came in.
    pub float: OnceCell<f64>,
    /// The model with batch norms.
    pub trainable: OnceCell<Graph>,
    /// Scores of the unpruned model.
    importances: RefCell<Vec<(Scored, Importance)>>,
}

/// What scores are of, the smallest unit that may be pruned, and whether channels were reordered for it.
type Scored = (ImportanceKind, UnitKind, bool);

impl Shared {
    /// The scores of the unpruned model, computed by the first who asks.
    pub fn importance(
        &self,
        kind: Scored,
        compute: impl FnOnce() -> Result<Importance, Error>,
    ) -> Result<Importance, Error> {
        if let Some((_, known)) = self.importances.borrow().iter().find(|k| k.0 == kind) {
            return Ok(known.clone());
        }
        let scores = compute()?;
        self.importances.borrow_mut().push((kind, scores.clone()));
        Ok(scores)
    }
}

/// The value in the cell, put there by the first who asks.
pub fn once<T: Clone>(cell: &OnceCell<T>, compute: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    if let Some(value) = cell.get() {
        return Ok(value.clone());
    }
    let value = compute()?;
    Ok(cell.get_or_init(|| value).clone())
}
