use super::{Human, percent, table, thousands};
use crate::TrainReport;

impl Human for TrainReport {
    fn human(&self) -> String {
        let rows = self
            .epochs
            .iter()
            .map(|e| {
                vec![
                    e.epoch.to_string(),
                    format!("{:.4}", e.loss),
                    percent(e.validation_accuracy),
                    format!("{:.5}", e.learning_rate),
                ]
            })
            .collect();
        format!(
            "{}\n{} ({} parameters): test accuracy {} -> {}\n",
            table(&["epoch", "loss", "validation", "rate"], 0, rows),
            self.arch,
            thousands(self.parameters as u64),
            percent(self.accuracy),
            self.output
        )
    }
}
