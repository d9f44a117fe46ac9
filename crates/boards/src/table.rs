//! The table. Figures are the makers' data sheets' and board manuals'.

use crate::Core;

/// A board that can be bought, with its chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// The board's name in kebab case; unique in the table.
    pub name: &'static str,
    /// The chip's name in lower case.
    pub chip: &'static str,
    /// The core that runs the model.
    pub core: Core,
    /// The core's highest clock in hertz.
    pub clock_hz: u32,
    /// Program memory in bytes: in the chip or, for chips without, on the board.
    pub flash_bytes: u32,
    /// The largest RAM with contiguous addresses in bytes: the arena lies in one piece.
    pub ram_bytes: u32,
}

const fn board(
    (name, chip): (&'static str, &'static str),
    core: Core,
    megahertz: u32,
    (flash, ram): (u32, u32),
) -> Board {
    Board {
        name,
        chip,
        core,
        clock_hz: megahertz * 1_000_000,
        flash_bytes: flash * 1024,
        ram_bytes: ram * 1024,
    }
}

/// All known boards by core: name and chip, core, MHz, flash and RAM in KiB.
pub const BOARDS: &[Board] = &[
    board(("microbit", "nrf51822"), Core::M0, 16, (256, 16)),
    board(("nucleo-f072rb", "stm32f072rb"), Core::M0, 48, (128, 16)),
    board(("nucleo-f091rc", "stm32f091rc"), Core::M0, 48, (256, 32)),
    board(("arduino-zero", "atsamd21g18"), Core::M0Plus, 48, (256, 32)),
    board(("nucleo-l073rz", "stm32l073rz"), Core::M0Plus, 32, (192, 20)),
    board(("nucleo-g071rb", "stm32g071rb"), Core::M0Plus, 64, (128, 36)),
    // The RP2040 runs from the board's flash.
    board(("pico", "rp2040"), Core::M0Plus, 133, (2048, 264)),
    board(("blue-pill", "stm32f103c8"), Core::M3, 72, (64, 20)),
    board(("nucleo-f103rb", "stm32f103rb"), Core::M3, 72, (128, 20)),
    board(("nucleo-l152re", "stm32l152re"), Core::M3, 32, (512, 80)),
    // 64 KiB and 32 KiB of RAM, mapped to meet.
    board(("arduino-due", "atsam3x8e"), Core::M3, 84, (512, 96)),
    board(("microbit-v2", "nrf52833"), Core::M4, 64, (512, 128)),
    board(("nrf52-dk", "nrf52832"), Core::M4, 64, (512, 64)),
    board(("nrf52840-dk", "nrf52840"), Core::M4, 64, (1024, 256)),
    board(("arduino-nano-33-ble", "nrf52840"), Core::M4, 64, (1024, 256)),
    board(("nucleo-f303re", "stm32f303re"), Core::M4, 72, (512, 64)),
    board(("nucleo-f401re", "stm32f401re"), Core::M4, 84, (512, 96)),
    board(("nucleo-f411re", "stm32f411re"), Core::M4, 100, (512, 128)),
    board(("black-pill", "stm32f411ce"), Core::M4, 100, (512, 128)),
    // Without the 64 KiB of core-coupled memory.
    board(("stm32f407g-disc1", "stm32f407vg"), Core::M4, 168, (1024, 128)),
    board(("nucleo-f446re", "stm32f446re"), Core::M4, 180, (512, 128)),
    board(("nucleo-g474re", "stm32g474re"), Core::M4, 170, (512, 128)),
    board(("nucleo-l432kc", "stm32l432kc"), Core::M4, 80, (256, 64)),
    // Without the 32 KiB of SRAM2.
    board(("nucleo-l476rg", "stm32l476rg"), Core::M4, 80, (1024, 96)),
    board(("nucleo-l4r5zi", "stm32l4r5zi"), Core::M4, 120, (2048, 640)),
    board(("feather-m4", "atsamd51j19"), Core::M4, 120, (512, 192)),
    board(("sparkfun-edge", "apollo3"), Core::M4, 48, (1024, 384)),
    board(("nucleo-f746zg", "stm32f746zg"), Core::M7, 216, (1024, 320)),
    board(("nucleo-f767zi", "stm32f767zi"), Core::M7, 216, (2048, 512)),
    // The AXI SRAM.
    board(("nucleo-h743zi", "stm32h743zi"), Core::M7, 480, (2048, 512)),
    // RAM2, which no program code takes from; the flash is the board's.
    board(("teensy-4.0", "imxrt1062"), Core::M7, 600, (1984, 512)),
    board(("nucleo-l552ze-q", "stm32l552ze"), Core::M33, 110, (512, 256)),
    board(("nucleo-u575zi-q", "stm32u575zi"), Core::M33, 160, (2048, 768)),
    board(("nrf5340-dk", "nrf5340"), Core::M33, 128, (1024, 512)),
    board(("lpcxpresso55s69", "lpc55s69"), Core::M33, 150, (640, 272)),
    // The RP2350 runs from the board's flash.
    board(("pico2", "rp2350"), Core::M33, 150, (4096, 520)),
    // The FPGA image that the emulator models: tightly coupled memories.
    board(("mps3-an547", "corstone-300"), Core::M55, 32, (512, 512)),
    // The high-performance core with its data memory; the flash is MRAM.
    board(("alif-ensemble-e7", "ae722f80f55d5"), Core::M55, 400, (5632, 1024)),
    board(("ek-ra8m1", "r7fa8m1ahecbd"), Core::M85, 480, (2016, 896)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_figures_plausible() {
        for (i, board) in BOARDS.iter().enumerate() {
            assert!(BOARDS.iter().skip(i + 1).all(|b| b.name != board.name), "{}", board.name);
            assert!((8_000_000..=1_000_000_000).contains(&board.clock_hz), "{}", board.name);
            assert!(board.ram_bytes >= 8 * 1024 && board.flash_bytes >= board.ram_bytes, "{}", board.name);
            assert!(
                board
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
            );
        }
    }

    #[test]
    fn every_core_has_a_board() {
        for core in Core::ALL {
            assert!(BOARDS.iter().any(|b| b.core == core), "{core}");
        }
    }
}
