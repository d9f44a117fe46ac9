//! Gradual pruning: how far each round prunes and how long it is fine-tuned.

use super::budgets::Ceilings;

/// One round of prune and fine-tune.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// What to prune down to.
    pub target: Ceilings,
    /// Fine-tuning epochs afterwards.
    pub epochs: usize,
}

/// Share of the epochs that the last round gets: the network recovers at its final size.
const LAST_SHARE: f64 = 0.6;

/// Targets fall geometrically from what the dense package takes to the ceilings; never more rounds than epochs, since a round without training
/// learns nothing about the next one.
pub fn rounds(dense: &Ceilings, end: &Ceilings, count: usize, epochs: usize) -> Vec<Round> {
    let count = count.min(epochs).max(1);
    let last = if count == 1 {
        epochs
    } else {
        ((epochs as f64 * LAST_SHARE).ceil() as usize).min(epochs - (count - 1))
    };
    let early = epochs - last;
    (1..=count)
        .map(|k| {
            let target = end.towards(dense, k as f64 / count as f64);
            // The early epochs go to the rounds in turn, later rounds first: they cut deeper into what matters.
            let epochs =
                if k == count { last } else { early * k / (count - 1) - early * (k - 1) / (count - 1) };
            Round { target, epochs }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_used_and_the_last_target_is_the_budget() {
        for (count, epochs) in [(1, 0), (1, 5), (4, 12), (4, 2), (5, 17), (3, 3)] {
            let flash = |n| Ceilings { flash: Some(n), ..Ceilings::default() };
            let all = rounds(&flash(80_000), &flash(10_000), count, epochs);
            assert_eq!(all.iter().map(|r| r.epochs).sum::<usize>(), epochs, "{count} {epochs}");
            assert_eq!(all.last().unwrap().target, flash(10_000));
            assert!(all.windows(2).all(|w| w[0].target.flash > w[1].target.flash));
            assert!(epochs == 0 || all.iter().all(|r| r.epochs > 0), "{all:?}");
        }
    }
}
