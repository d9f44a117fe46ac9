//! Flags that say what a package may take.

use clap::{Args, ValueEnum};
use dtmm::{Budgets, Objective, SizeBudget};

use crate::args;

/// Any mix of budgets.
#[derive(Args)]
#[command(next_help_heading = "Budgets")]
pub struct BudgetArgs {
    /// Flash of the package: 128K, 1M, bytes, or 0.5x or 1/2 (share of the dense int8 package)
    #[arg(long, value_parser = args::budget, value_name = "SIZE")]
    flash: Option<SizeBudget>,
    /// RAM of the arena, scratch included: 32K, bytes, or 0.5x (share of the dense model's)
    #[arg(long, value_parser = args::budget, value_name = "SIZE")]
    ram: Option<SizeBudget>,
    /// Estimated time of one inference: 50ms, 0.05s; needs --board, or --core and --clock
    #[arg(long, value_parser = args::time, value_name = "TIME")]
    latency: Option<f64>,
    /// Largest loss of accuracy in percentage points
    #[arg(long, value_parser = args::points, value_name = "PP")]
    max_drop: Option<f64>,
    /// What is made as small as the budgets allow; flash when only --max-drop is given, else drop
    #[arg(long, value_enum, value_name = "WHAT")]
    minimize: Option<Minimize>,
    /// Board or chip that fills in flash, RAM, core and clock: nucleo-f411re, stm32f411, pico ...
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// Core to estimate time for: m0, m0plus, m3, m4, m7, m33, m55, m85
    #[arg(long, value_name = "NAME")]
    core: Option<String>,
    /// Clock of the core: 100M
    #[arg(long, value_parser = args::clock, value_name = "HZ")]
    clock: Option<f64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Minimize {
    /// Package bytes
    Flash,
    /// Arena bytes
    Ram,
    /// Time of one inference
    Latency,
    /// Loss of accuracy
    Drop,
}

impl BudgetArgs {
    /// The budgets for the facade.
    pub fn budgets(&self) -> Budgets {
        Budgets {
            flash: self.flash,
            ram: self.ram,
            latency: self.latency,
            max_drop: self.max_drop,
            minimize: self.minimize.map(|m| match m {
                Minimize::Flash => Objective::Flash,
                Minimize::Ram => Objective::Ram,
                Minimize::Latency => Objective::Latency,
                Minimize::Drop => Objective::Drop,
            }),
            board: self.board.clone(),
            core: self.core.clone(),
            clock_hz: self.clock,
        }
    }
}
