//! How much of the cut whole channels make, and how much is left to finer units.
//!
//! A network whose layers are wide loses least when few channels leave and units thin out the rest; one whose channels
//! cost as much as their weights (1×1 layers, small layers) when channels make the whole cut. Importance does not tell
//! the two apart, because fine-tuning makes up for a lost channel sooner than for as much importance in units. A short
//! trial does.

use super::Job;
use super::budgets::Ceilings;

/// Who makes the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ChannelCut {
    /// What a short trial finds best.
    #[default]
    Auto,
    /// Channels leave where their importance is less than the price of their bytes and cycles.
    Price,
    /// Channels make this share of the cut, 0..=1, in logarithm: at a budget of 1/4, 0.5 leaves channels of half the bytes.
    Share(f64),
}

impl ChannelCut {
    /// Reads `auto`, `price` or a share; `None` for others.
    pub fn from_name(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(ChannelCut::Auto),
            "price" => Some(ChannelCut::Price),
            _ => text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(ChannelCut::Share),
        }
    }

    /// The name that [`ChannelCut::from_name`] reads.
    pub fn name(self) -> String {
        match self {
            ChannelCut::Auto => "auto".into(),
            ChannelCut::Price => "price".into(),
            ChannelCut::Share(share) => share.to_string(),
        }
    }

    /// Package bytes that the channels which stay may take unpruned on the way to `target`; `None`: as prices say.
    pub(super) fn dense_rest(self, job: &Job, target: &Ceilings) -> Option<usize> {
        match self {
            ChannelCut::Share(share) => target.towards(&job.unpruned, share).flash,
            ChannelCut::Auto | ChannelCut::Price => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["auto", "price", "0.3333", "0.335", "1"] {
            assert_eq!(ChannelCut::from_name(name).unwrap().name(), name);
        }
        for name in ["1.5", "-0.1", "none", "NaN"] {
            assert_eq!(ChannelCut::from_name(name), None, "{name}");
        }
    }
}
