//! `inspect --boards`: where a model fits.

use std::path::Path;

use dtmm_boards::{BOARDS, Board};
use dtmm_report::{BoardFit, BoardsReport};

use crate::{Error, inspect};

/// Flash for runtime and kernels: what a linked program takes without its package, with room for its `main`.
const CODE_BYTES: usize = 36 * 1024;
/// RAM beside the arena: the runtime's stack and a program's own.
const OTHER_RAM_BYTES: usize = 2 * 1024;

/// Compares the model's bytes and arena with every known board. Of a model they are those of its unpruned int8 package.
///
/// # Errors
/// A file that cannot be read or imported.
pub fn boards(path: &Path) -> Result<BoardsReport, Error> {
    let report = inspect(path)?;
    let (flash, ram) = (report.package_bytes + CODE_BYTES, report.arena_bytes + OTHER_RAM_BYTES);
    let boards = BOARDS.iter().map(|b| fit(b, flash, ram)).collect();
    Ok(BoardsReport { model: report.model, flash_bytes: flash, ram_bytes: ram, boards })
}

fn fit(board: &Board, flash: usize, ram: usize) -> BoardFit {
    let (has_flash, has_ram) = (board.flash_bytes as usize, board.ram_bytes as usize);
    BoardFit {
        name: board.name.into(),
        chip: board.chip.into(),
        core: board.core.name().into(),
        clock_hz: board.clock_hz,
        flash_bytes: has_flash,
        ram_bytes: has_ram,
        flash_missing: flash.saturating_sub(has_flash),
        ram_missing: ram.saturating_sub(has_ram),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_micro_bit_lacks_ram_first() {
        let board = dtmm_boards::find("microbit").unwrap();
        let found = fit(board, 100 * 1024, 20 * 1024);
        assert_eq!((found.flash_missing, found.ram_missing, found.fits()), (0, 4 * 1024, false));
        assert!(fit(board, 256 * 1024, 16 * 1024).fits());
    }
}
