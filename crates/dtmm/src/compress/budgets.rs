//! What the user allows, and for which device.

use dtmm_boards::Core;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A budget of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SizeBudget {
    /// Bytes.
    Bytes(usize),
    /// Share of what the dense int8 package takes.
    Share(f64),
}

impl SizeBudget {
    /// The budget in bytes for a model whose dense package takes `dense`.
    pub fn bytes(self, dense: usize) -> usize {
        match self {
            SizeBudget::Bytes(n) => n,
            SizeBudget::Share(share) => (dense as f64 * share).floor() as usize,
        }
    }
}

/// What is made as small as the budgets allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objective {
    /// The loss of accuracy.
    #[default]
    Drop,
    /// Package bytes.
    Flash,
    /// Arena bytes.
    Ram,
    /// Time of one inference.
    Latency,
}

/// Any mix of budgets, as the user gives them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budgets {
    /// Package bytes.
    pub flash: Option<SizeBudget>,
    /// Arena bytes, scratch included.
    pub ram: Option<SizeBudget>,
    /// Seconds of one inference.
    pub latency: Option<f64>,
    /// Largest loss of accuracy, a fraction of 1.
    pub max_drop: Option<f64>,
    /// What to minimise; `None`: flash when only `max_drop` is given, else the loss.
    pub minimize: Option<Objective>,
    /// Board or chip that fills in flash, RAM, core and clock.
    pub board: Option<String>,
    /// Core, where no board says it.
    pub core: Option<String>,
    /// Clock in hertz, where no board says it.
    pub clock_hz: Option<f64>,
}

/// The core that latency is estimated for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The core.
    pub core: Core,
    /// Its clock; `None` when only cycles can be told.
    pub clock_hz: Option<f64>,
}

/// Flash of a board that is left to the runtime, its vectors and the caller's code.
pub const CODE_BYTES: u32 = 16 * 1024;
/// RAM of a board that is left to the stack and the caller's data.
pub const STACK_BYTES: u32 = 2 * 1024;

impl Budgets {
    /// Only a flash budget.
    pub fn flash(budget: SizeBudget) -> Self {
        Budgets { flash: Some(budget), ..Budgets::default() }
    }

    /// The budgets with what the board fills in, and the core to estimate for; checked for sense.
    pub(super) fn resolve(&self) -> Result<(Budgets, Target), Error> {
        let mut own = self.clone();
        let mut target = Target { core: Core::M4, clock_hz: None };
        if let Some(name) = &self.board {
            let board = dtmm_boards::find(name).map_err(|e| {
                wrong("--board", "a known board", e, "`dtmm inspect MODEL --boards` lists all")
            })?;
            target = Target { core: board.core, clock_hz: Some(f64::from(board.clock_hz)) };
            let bytes = |all: u32, kept: u32| Some(SizeBudget::Bytes(all.saturating_sub(kept) as usize));
            own.flash = own.flash.or(bytes(board.flash_bytes, CODE_BYTES));
            own.ram = own.ram.or(bytes(board.ram_bytes, STACK_BYTES));
        }
        if let Some(name) = &self.core {
            target.core = name.parse().map_err(|e| wrong("--core", "a known core", e, "name one of them"))?;
        }
        target.clock_hz = self.clock_hz.or(target.clock_hz);
        own.check(&target)?;
        Ok((own, target))
    }

    fn check(&self, target: &Target) -> Result<(), Error> {
        if self.latency.is_some() && target.clock_hz.is_none() {
            return Err(wrong("--latency", "a clock", "none", "give --board, or --core and --clock"));
        }
        let nothing = self.flash.is_none() && self.ram.is_none() && self.latency.is_none();
        if nothing && self.max_drop.is_none() {
            let help = "give --flash, --ram, --latency, --max-drop or --board";
            return Err(wrong("budgets", "at least one", "none", help));
        }
        if self.max_drop.is_none() && self.objective() != Objective::Drop {
            return Err(wrong("--minimize", "a bound on the loss", "none", "give --max-drop as well"));
        }
        Ok(())
    }

    /// What is minimised.
    pub fn objective(&self) -> Objective {
        let only_drop =
            self.flash.is_none() && self.ram.is_none() && self.latency.is_none() && self.max_drop.is_some();
        self.minimize.unwrap_or(if only_drop { Objective::Flash } else { Objective::Drop })
    }

    /// Everything that the result depends on: name and value in words.
    pub(super) fn key(&self) -> [(&'static str, String); 8] {
        let size = |s: &Option<SizeBudget>| match s {
            None => "any".into(),
            Some(SizeBudget::Bytes(n)) => format!("{n}"),
            Some(SizeBudget::Share(s)) => format!("{s}x"),
        };
        let number = |v: Option<f64>| v.map_or_else(|| "any".into(), |v| v.to_string());
        let text = |v: &Option<String>| v.clone().unwrap_or_else(|| "none".into());
        [
            ("flash", size(&self.flash)),
            ("ram", size(&self.ram)),
            ("latency", number(self.latency)),
            ("max-drop", number(self.max_drop)),
            ("minimize", format!("{:?}", self.objective())),
            ("board", text(&self.board)),
            ("core", text(&self.core)),
            ("clock", number(self.clock_hz)),
        ]
    }
}

fn wrong(what: &str, expected: &str, found: impl ToString, help: &str) -> Error {
    Error::Mismatch {
        what: what.into(),
        expected: expected.into(),
        found: found.to_string(),
        help: help.into(),
    }
}

/// What the package may take; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// Package bytes.
    pub flash: Option<usize>,
    /// Arena bytes.
    pub ram: Option<usize>,
    /// Cycles of one inference.
    pub cycles: Option<f64>,
}

impl Ceilings {
    /// The way from what the dense package takes to these ceilings, geometrically; `share` 1 is the ceilings themselves.
    pub fn towards(&self, dense: &Ceilings, share: f64) -> Ceilings {
        if share >= 1.0 {
            return *self;
        }
        // A ceiling above what the model takes anyway is no way to go.
        let between =
            |end: f64, start: f64| if end >= start { end } else { start * (end / start).powf(share) };
        let bytes = |end: Option<usize>, start: Option<usize>| {
            end.map(|end| start.map_or(end, |start| between(end as f64, start as f64).round() as usize))
        };
        let cycles = self.cycles.map(|end| dense.cycles.map_or(end, |start| between(end, start)));
        Ceilings { flash: bytes(self.flash, dense.flash), ram: bytes(self.ram, dense.ram), cycles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_fills_in_what_is_not_given() {
        let budgets = Budgets {
            board: Some("nucleo-f411re".into()),
            ram: Some(SizeBudget::Bytes(9000)),
            ..Budgets::default()
        };
        let (own, target) = budgets.resolve().unwrap();
        assert_eq!(
            (own.flash, own.ram),
            (Some(SizeBudget::Bytes(496 * 1024)), Some(SizeBudget::Bytes(9000)))
        );
        assert_eq!((target.core, target.clock_hz), (Core::M4, Some(100e6)));
    }

    #[test]
    fn only_a_largest_drop_asks_for_the_smallest_package() {
        let budgets = Budgets { max_drop: Some(0.01), ..Budgets::default() };
        assert_eq!(budgets.objective(), Objective::Flash);
        let with_ram = Budgets { ram: Some(SizeBudget::Share(0.5)), ..budgets };
        assert_eq!(with_ram.objective(), Objective::Drop);
    }

    #[test]
    fn senseless_mixes_are_refused() {
        assert!(Budgets::default().resolve().is_err());
        assert!(Budgets { latency: Some(0.1), ..Budgets::default() }.resolve().is_err());
        let aimless = Budgets { minimize: Some(Objective::Ram), ..Budgets::flash(SizeBudget::Share(0.5)) };
        assert!(aimless.resolve().is_err());
        assert!(Budgets { board: Some("toaster".into()), ..Budgets::default() }.resolve().is_err());
    }

    #[test]
    fn ceilings_fall_geometrically_and_only_where_they_bind() {
        let dense = Ceilings { flash: Some(1000), ram: Some(100), cycles: Some(64.0) };
        let end = Ceilings { flash: Some(10), ram: Some(500), cycles: None };
        assert_eq!(end.towards(&dense, 0.5), Ceilings { flash: Some(100), ram: Some(500), cycles: None });
        assert_eq!(end.towards(&dense, 1.0), end);
    }
}
