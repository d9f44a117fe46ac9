//! The report of `dtmm inspect --boards`.

use serde::{Deserialize, Serialize};

/// Where a model fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardsReport {
    /// Model or package path.
    pub model: String,
    /// Flash that the model needs: package, runtime and kernels.
    pub flash_bytes: usize,
    /// RAM that the model needs: arena, stack and variables.
    pub ram_bytes: usize,
    /// Every known board.
    pub boards: Vec<BoardFit>,
}

/// A model on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardFit {
    /// The board's name.
    pub name: String,
    /// Its chip.
    pub chip: String,
    /// Its core.
    pub core: String,
    /// Its clock in hertz.
    pub clock_hz: u32,
    /// Its flash in bytes.
    pub flash_bytes: usize,
    /// Its largest contiguous RAM in bytes.
    pub ram_bytes: usize,
    /// Bytes of flash that are missing; 0 where it fits.
    pub flash_missing: usize,
    /// Bytes of RAM that are missing; 0 where it fits.
    pub ram_missing: usize,
}

impl BoardFit {
    /// True when flash and RAM suffice.
    pub fn fits(&self) -> bool {
        self.flash_missing == 0 && self.ram_missing == 0
    }
}
