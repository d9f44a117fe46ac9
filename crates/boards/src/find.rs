//! Boards by name.

use crate::{BOARDS, Board};

/// No board or chip has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no board or chip is called '{name}'; did you mean {}?", close.join(", "))]
pub struct UnknownBoard {
    /// What was asked for.
    pub name: String,
    /// The closest names in the table, best first; never empty.
    pub close: Vec<&'static str>,
}

/// Names in an error's list.
const CLOSE: usize = 4;
/// A shorter beginning of a chip's name says too little.
const SHORTEST_BEGINNING: usize = 6;

/// The board with this name, or the first whose chip has this name or begins with it (`stm32f411`); any case, `_` as `-`.
///
/// # Errors
/// [`UnknownBoard`] lists the closest names.
pub fn find(name: &str) -> Result<&'static Board, UnknownBoard> {
    let wanted = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    let begins = |b: &&Board| wanted.len() >= SHORTEST_BEGINNING && b.chip.starts_with(&wanted);
    let named = BOARDS.iter().find(|b| b.name == wanted);
    let found = named.or_else(|| BOARDS.iter().find(|b| b.chip == wanted));
    found
        .or_else(|| BOARDS.iter().find(begins))
        .ok_or_else(|| UnknownBoard { name: name.into(), close: close(&wanted) })
}

fn close(wanted: &str) -> Vec<&'static str> {
    let names = BOARDS.iter().flat_map(|b| [b.name, b.chip]);
    let mut scored: Vec<(usize, &str)> = names.map(|n| (distance(wanted, n), n)).collect();
    scored.sort();
    scored.dedup();
    scored.into_iter().take(CLOSE).map(|(_, n)| n).collect()
}

/// Edits from one name to the other; a name that contains the other counts as close.
fn distance(a: &str, b: &str) -> usize {
    if !a.is_empty() && (b.contains(a) || a.contains(b)) {
        return 1;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_and_chips_are_found() {
        assert_eq!(find("NUCLEO_F411RE").unwrap().chip, "stm32f411re");
        assert_eq!(find("stm32h743").unwrap().name, "nucleo-h743zi");
        assert_eq!(find("pico").unwrap().chip, "rp2040");
        assert_eq!(find("rp2350").unwrap().name, "pico2");
    }

    #[test]
    fn close_names_are_listed() {
        let error = find("stm32f412").unwrap_err();
        assert!(error.close.iter().any(|n| n.starts_with("stm32f4")), "{error}");
        assert!(find("nucleo").unwrap_err().close.iter().all(|n| n.starts_with("nucleo")));
        assert_eq!(find("").unwrap_err().close.len(), CLOSE);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
