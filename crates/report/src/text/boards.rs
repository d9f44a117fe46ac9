use super::{Human, bytes, table, thousands};
use crate::{BoardFit, BoardsReport};

impl Human for BoardsReport {
    fn human(&self) -> String {
        let header = ["board", "chip", "core", "fits", "MHz", "flash", "RAM"];
        let boards = table(&header, 4, self.boards.iter().map(row).collect());
        let fitting = self.boards.iter().filter(|b| b.fits()).count();
        format!(
            "{} needs {} of flash and {} of RAM, runtime and stack included\n\n{boards}\nfits {fitting} of {} boards\n",
            self.model,
            bytes(self.flash_bytes),
            bytes(self.ram_bytes),
            self.boards.len()
        )
    }
}

fn row(b: &BoardFit) -> Vec<String> {
    vec![
        b.name.clone(),
        b.chip.clone(),
        b.core.clone(),
        verdict(b),
        format!("{}", f64::from(b.clock_hz) / 1e6),
        thousands(b.flash_bytes as u64),
        thousands(b.ram_bytes as u64),
    ]
}

fn verdict(b: &BoardFit) -> String {
    let missing = |n: usize, what: &str| (n > 0).then(|| format!("{} of {what}", bytes(n)));
    let parts: Vec<String> =
        [missing(b.flash_missing, "flash"), missing(b.ram_missing, "RAM")].into_iter().flatten().collect();
    if parts.is_empty() { "yes".into() } else { format!("no: lacks {}", parts.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let board = BoardFit {
            name: "microbit".into(),
            chip: "nrf51822".into(),
            core: "m0".into(),
            clock_hz: 16_000_000,
            flash_bytes: 262_144,
            ram_bytes: 16_384,
            flash_missing: 0,
            ram_missing: 38_400,
        };
        assert_eq!(verdict(&board), "no: lacks 38,400 B of RAM");
        let both = BoardFit { flash_missing: 1, ..board.clone() };
        assert_eq!(verdict(&both), "no: lacks 1 B of flash and 38,400 B of RAM");
        let report =
            BoardsReport { model: "m".into(), flash_bytes: 9, ram_bytes: 8, boards: vec![board, both] };
        assert!(report.human().contains("fits 0 of 2 boards"));
    }
}
