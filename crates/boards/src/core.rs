//! The processor cores that boards have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Cortex-M core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Core {
    /// Cortex-M0: Armv6-M, no DSP, no hardware divide.
    M0,
    /// Cortex-M0+: Armv6-M with shorter branches.
    M0Plus,
    /// Cortex-M3: Armv7-M.
    M3,
    /// Cortex-M4: Armv7E-M, DSP instructions.
    M4,
    /// Cortex-M7: Armv7E-M, two instructions in a cycle.
    M7,
    /// Cortex-M33: Armv8-M mainline with DSP instructions.
    M33,
    /// Cortex-M55: Armv8.1-M with vector instructions (MVE).
    M55,
    /// Cortex-M85: as the M55, faster.
    M85,
}

impl Core {
    /// Every core.
    pub const ALL: [Core; 8] =
        [Core::M0, Core::M0Plus, Core::M3, Core::M4, Core::M7, Core::M33, Core::M55, Core::M85];

    /// The short name: `m0`, `m0plus`, `m3` …
    pub const fn name(self) -> &'static str {
        match self {
            Core::M0 => "m0",
            Core::M0Plus => "m0plus",
            Core::M3 => "m3",
            Core::M4 => "m4",
            Core::M7 => "m7",
            Core::M33 => "m33",
            Core::M55 => "m55",
            Core::M85 => "m85",
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No core has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no core is called '{0}'; known: m0, m0plus, m3, m4, m7, m33, m55, m85")]
pub struct UnknownCore(pub String);

impl FromStr for Core {
    type Err = UnknownCore;

    /// `m4`, `cortex-m4`, `m0+` …, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownCore> {
        let lower = text.to_ascii_lowercase().replace('+', "plus");
        let short = lower.strip_prefix("cortex-").unwrap_or(&lower);
        Core::ALL.into_iter().find(|c| c.name() == short).ok_or_else(|| UnknownCore(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for core in Core::ALL {
            assert_eq!(core.to_string().parse(), Ok(core));
        }
        assert_eq!("Cortex-M0+".parse(), Ok(Core::M0Plus));
        assert_eq!("m5".parse::<Core>(), Err(UnknownCore("m5".into())));
    }
}
