//! The table at the end.

use crate::step::{Outcome, StepResult};

/// Prints a row for each step, and the counts alone on the last line.
pub fn print(results: &[StepResult]) {
    println!(
        "\n{:<12} {:<8} {:>7} {:>7} {:>7} {:>8}  note",
        "step", "result", "passed", "failed", "skipped", "seconds"
    );
    for result in results {
        let Outcome { passed, failed, skipped, note } = &result.outcome;
        let (name, word, time) = (result.name, verdict(&result.outcome), result.time.as_secs_f64());
        println!("{name:<12} {word:<8} {passed:>7} {failed:>7} {skipped:>7} {time:>8.1}  {note}");
    }
    println!("\n{}", counts(results));
}

fn verdict(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome { failed: 1.., .. } => "FAILED",
        Outcome { passed: 0, skipped: 1.., .. } => "skipped",
        _ => "ok",
    }
}

fn counts(results: &[StepResult]) -> String {
    let sum = |count: fn(&Outcome) -> usize| results.iter().map(|r| count(&r.outcome)).sum::<usize>();
    let (passed, failed, skipped) = (sum(|o| o.passed), sum(|o| o.failed), sum(|o| o.skipped));
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counts_add_up() {
        let result = |outcome| StepResult { name: "x", outcome, time: Duration::ZERO };
        let results = [
            result(Outcome { passed: 7, failed: 1, skipped: 2, note: String::new() }),
            result(Outcome::passed("")),
            result(Outcome::skipped("no compiler")),
        ];
        assert_eq!(counts(&results), "8 passed, 1 failed, 3 skipped");
        assert_eq!(results.each_ref().map(|r| verdict(&r.outcome)), ["FAILED", "ok", "skipped"]);
    }
}
