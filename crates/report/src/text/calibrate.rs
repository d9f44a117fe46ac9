use super::{Human, percent, table};
use crate::{CalibrateReport, CalibratedCore, CalibratedKernel};

impl Human for CalibrateReport {
    fn human(&self) -> String {
        let cores: String = self.cores.iter().map(core).collect();
        let written = self.written.as_ref().map_or_else(String::new, |path| format!("\nwritten to {path}\n"));
        format!("seed {}; errors are those of layers whose shapes were held out\n{cores}{written}", self.seed)
    }
}

fn core(c: &CalibratedCore) -> String {
    let header = ["kernel", "fitted", "held out", "median", "max", "cycles: median", "max"];
    let rows = c.kernels.iter().chain([&c.all]).map(kernel).collect();
    format!(
        "\n{}\n{}dense or sparse: {} layers, {} faster dense, {} chosen wrong, the worst by {}\n",
        c.core,
        table(&header, 1, rows),
        c.choices,
        c.dense_faster,
        c.wrong_choices,
        percent(c.worst_choice)
    )
}

fn kernel(k: &CalibratedKernel) -> Vec<String> {
    let share = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), percent);
    vec![
        k.kernel.clone(),
        k.fitted.to_string(),
        k.held_out.to_string(),
        percent(k.median),
        percent(k.max),
        share(k.cycles_median),
        share(k.cycles_max),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_choices_are_shown() {
        let all = CalibratedKernel { kernel: "all".into(), held_out: 7, max: 0.125, ..Default::default() };
        let core = CalibratedCore {
            core: "m4".into(),
            kernels: vec![],
            all,
            choices: 10,
            dense_faster: 4,
            wrong_choices: 1,
            worst_choice: 0.02,
        };
        let text = CalibrateReport { seed: 1, written: None, cores: vec![core] }.human();
        assert!(text.contains("12.50 %") && text.contains("the worst by 2.00 %"), "{text}");
    }
}
