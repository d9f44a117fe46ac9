//! The cores that can be emulated, and the machines that have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A core that can be emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Core {
    /// Cortex-M0, Armv6-M. Stands for the M0+ too, which has the same instructions.
    M0,
    /// Cortex-M3, Armv7-M.
    M3,
    /// Cortex-M4, Armv7E-M.
    M4,
    /// Cortex-M7, Armv7E-M.
    M7,
    /// Cortex-M55, Armv8.1-M with vector instructions.
    M55,
}

impl Core {
    /// Every core.
    pub const ALL: [Core; 5] = [Core::M0, Core::M3, Core::M4, Core::M7, Core::M55];

    /// `m0`, `m3`, `m4`, `m7` or `m55`.
    pub const fn name(self) -> &'static str {
        match self {
            Core::M0 => "m0",
            Core::M3 => "m3",
            Core::M4 => "m4",
            Core::M7 => "m7",
            Core::M55 => "m55",
        }
    }

    /// The compiler's target triple.
    pub const fn target(self) -> &'static str {
        match self {
            Core::M0 => "thumbv6m-none-eabi",
            Core::M3 => "thumbv7m-none-eabi",
            Core::M4 | Core::M7 => "thumbv7em-none-eabihf",
            Core::M55 => "thumbv8m.main-none-eabihf",
        }
    }

    /// The compiler's name of the core.
    pub const fn target_cpu(self) -> &'static str {
        match self {
            Core::M0 => "cortex-m0",
            Core::M3 => "cortex-m3",
            Core::M4 => "cortex-m4",
            Core::M7 => "cortex-m7",
            Core::M55 => "cortex-m55",
        }
    }

    /// The machines that run the core's code, smallest first.
    pub const fn machines(self) -> &'static [Machine] {
        match self {
            Core::M0 => &[Machine::MICROBIT, Machine::AN385],
            Core::M3 => &[Machine::AN385],
            Core::M4 => &[Machine { qemu: "mps2-an386", ..Machine::AN385 }],
            Core::M7 => &[Machine { qemu: "mps2-an500", ..Machine::AN385 }],
            Core::M55 => &[Machine::AN547],
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No emulated core has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no emulated core is called '{0}'; there are m0, m3, m4, m7, m55")]
pub struct UnknownCore(pub String);

impl FromStr for Core {
    type Err = UnknownCore;

    fn from_str(text: &str) -> Result<Self, UnknownCore> {
        let lower = text.to_ascii_lowercase();
        let short = lower.strip_prefix("cortex-").unwrap_or(&lower);
        Core::ALL.into_iter().find(|c| c.name() == short).ok_or_else(|| UnknownCore(text.into()))
    }
}

/// A machine of the emulator. Its memory map is `firmware/machines/MAP.x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The emulator's name.
    pub qemu: &'static str,
    /// The memory map's name.
    pub map: &'static str,
    /// Where the file of cases lies.
    pub cases_at: u32,
    /// Bytes for the file of cases.
    pub cases_bytes: usize,
    /// Bytes for an arena, a margin for stack and variables left out.
    pub arena_bytes: usize,
}

const KIB: usize = 1024;

impl Machine {
    const MICROBIT: Machine = Machine {
        qemu: "microbit",
        map: "microbit",
        cases_at: 0x0001_0000,
        cases_bytes: 192 * KIB,
        arena_bytes: 12 * KIB,
    };
    const AN385: Machine = Machine {
        qemu: "mps2-an385",
        map: "mps2",
        cases_at: 0x0010_0000,
        cases_bytes: 3072 * KIB,
        arena_bytes: 4080 * KIB,
    };
    const AN547: Machine = Machine {
        qemu: "mps3-an547",
        map: "mps3",
        cases_at: 0x1100_0000,
        cases_bytes: 2048 * KIB,
        arena_bytes: 500 * KIB,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert!(Core::ALL.into_iter().all(|c| c.name().parse() == Ok(c)));
        assert_eq!("Cortex-M55".parse(), Ok(Core::M55));
        assert!("m33".parse::<Core>().is_err());
    }

    #[test]
    fn machines_match_their_memory_maps() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/machines");
        for machine in Core::ALL.into_iter().flat_map(Core::machines) {
            let text = std::fs::read_to_string(folder.join(format!("{}.x", machine.map))).unwrap();
            let line = text.lines().find(|l| l.trim_start().starts_with("CASES")).unwrap();
            assert!(line.contains(&format!("ORIGIN = {:#010x}", machine.cases_at)), "{line}");
            let kib = machine.cases_bytes / KIB;
            let length = if kib.is_multiple_of(KIB) { format!("{}M", kib / KIB) } else { format!("{kib}K") };
            assert!(line.contains(&format!("LENGTH = {length}")), "{line}");
        }
    }
}
