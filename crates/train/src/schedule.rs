//! The learning rate at each step.

use std::f32::consts::PI;

use crate::Schedule;

/// Where one-cycle starts and ends, relative to its highest rate.
const ONE_CYCLE_ENDS: (f32, f32) = (1.0 / 25.0, 1e-4);

impl Schedule {
    /// The factor on the highest rate at `step` of `total`.
    pub fn factor(&self, step: usize, total: usize) -> f32 {
        let (warmup, start, end) = match *self {
            Schedule::Constant => return 1.0,
            Schedule::Cosine { warmup, final_fraction } => (warmup, None, final_fraction),
            Schedule::OneCycle { warmup } => (warmup, Some(ONE_CYCLE_ENDS.0), ONE_CYCLE_ENDS.1),
        };
        let rising = warmup.clamp(0.0, 1.0) * total as f32;
        let at = step as f32;
        if at < rising {
            return start.map_or((at + 1.0) / (rising + 1.0), |s| half_cosine(s, 1.0, at / rising));
        }
        let falling = (total as f32 - rising).max(1.0);
        half_cosine(1.0, end, (at - rising) / falling)
    }
}

/// From `a` at 0 to `b` at 1.
fn half_cosine(a: f32, b: f32, at: f32) -> f32 {
    b + (a - b) * 0.5 * (1.0 + (PI * at.clamp(0.0, 1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_one_and_falls_to_the_end() {
        for (s, first, last) in [
            (Schedule::OneCycle { warmup: 0.25 }, 0.04, 1e-4),
            (Schedule::Cosine { warmup: 0.1, final_fraction: 0.01 }, 1.0 / 101.0, 0.01),
        ] {
            let all: Vec<f32> = (0..1000).map(|i| s.factor(i, 1000)).collect();
            assert!((all[0] - first).abs() < 2e-3, "{s:?} starts at {}", all[0]);
            assert!((all[999] - last).abs() < 1e-3, "{s:?} ends at {}", all[999]);
            let top = all.iter().copied().fold(0.0, f32::max);
            assert!((top - 1.0).abs() < 0.02, "{s:?} reaches {top}");
        }
        assert_eq!(Schedule::Constant.factor(7, 10), 1.0);
    }
}
