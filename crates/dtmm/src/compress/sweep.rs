//! A sweep: packages between the loosest and the tightest budget, each fine-tuned from the one before.

use dtmm_report::CompareReport;

use super::rounds::Round;
use super::trials::{Chosen, chosen};
use super::tune::{Step, step, untouched};
use super::{CompressRequest, Shared, finish, prepare};
use crate::compare::row;
use crate::{Error, Progress, files};

/// Compresses to `points` budgets, geometrically from what the unpruned package takes to the request's budgets, the
/// tightest last. Each point is a package with its report in `OUT/point-N`; `OUT/pareto.csv`, `.json` and `.html` hold all.
/// The request's epochs are those of each point; its rounds are not used.
///
/// # Errors
/// As [`super::compress`]. A budget that cannot be met ends the sweep with the error; the points before it stay.
pub fn sweep(
    request: &CompressRequest,
    points: usize,
    progress: &dyn Progress,
) -> Result<CompareReport, Error> {
    let shared = Shared::default();
    let (mut job, mut run) = prepare(request, (points, &shared), progress)?;
    let end = job.ceilings;
    let mut report = CompareReport {
        model: request.model.display().to_string(),
        data: request.data.path.display().to_string(),
        epochs: request.epochs,
        seed: request.seed,
        rows: vec![],
    };
    let mut tuned = untouched(&job, &mut run)?;
    let Chosen { way, .. } = chosen(&job, &mut run, &mut tuned, (&end, false))?;
    for number in 1..=points {
        let target = end.towards(&job.unpruned, number as f64 / points as f64);
        let round = Round { target, epochs: request.epochs };
        progress.note(&format!("point {number} of {points}"));
        let dense_rest = way.cut.dense_rest(&job, &target);
        tuned = step(
            &job,
            &mut run,
            &tuned,
            Step { round: &round, dense_rest, lr: way.lr, begun: None, number, last: true },
        )?;
        job.ceilings = target;
        job.output = request.output.join(format!("point-{number}"));
        let point = run.scoped(&format!("point-{number}-"), |run| finish(&job, run, &tuned))?;
        report.rows.push(row(request.scheduler.name().into(), &point));
        write(request, &report)?;
    }
    Ok(report)
}

fn write(request: &CompressRequest, report: &CompareReport) -> Result<(), Error> {
    let out = &request.output;
    files::write(&out.join("pareto.csv"), report.csv().as_bytes())?;
    files::write(&out.join("pareto.html"), dtmm_report::compare_html(report)?.as_bytes())?;
    let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
    files::write(&out.join("pareto.json"), json.as_bytes())
}
