use super::{Human, percent, table};
use crate::EvalReport;

/// A confusion matrix wider than this does not fit a terminal; the worst confusions are listed instead.
const WIDEST_MATRIX: usize = 12;

impl Human for EvalReport {
    fn human(&self) -> String {
        let rows = self
            .classes
            .iter()
            .map(|c| vec![c.class.clone(), c.samples.to_string(), percent(c.recall), percent(c.precision)])
            .collect();
        let classes = table(&["class", "samples", "recall", "precision"], 1, rows);
        let confusion = if self.classes.len() <= WIDEST_MATRIX { self.matrix() } else { self.worst() };
        format!(
            "{classes}\n{confusion}\naccuracy {} on {} {} samples ({:.0} samples/s, input {})\n",
            percent(self.accuracy),
            self.samples,
            self.split,
            self.samples_per_second,
            self.preprocessing
        )
    }
}

impl EvalReport {
    fn matrix(&self) -> String {
        let names: Vec<&str> = self.classes.iter().map(|c| c.class.as_str()).collect();
        let header: Vec<&str> = ["true \\ answered"].into_iter().chain(names.iter().copied()).collect();
        let row = |(t, counts): (usize, &Vec<u32>)| {
            [names[t].to_owned()].into_iter().chain(counts.iter().map(u32::to_string)).collect()
        };
        table(&header, 1, self.confusion.iter().enumerate().map(row).collect())
    }

    fn worst(&self) -> String {
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for (t, row) in self.confusion.iter().enumerate() {
            pairs.extend(row.iter().enumerate().filter(|&(p, &n)| p != t && n > 0).map(|(p, &n)| (n, t, p)));
        }
        pairs.sort_by_key(|&(n, t, p)| (std::cmp::Reverse(n), t, p));
        let name = |c: usize| self.classes[c].class.clone();
        let rows = pairs.iter().take(15).map(|&(n, t, p)| vec![name(t), name(p), n.to_string()]).collect();
        table(&["true", "answered", "samples"], 2, rows)
    }
}
