//! Real boards: core, clock, flash and RAM.
//!
//! ```
//! let board = dtmm_boards::find("stm32f411")?;
//! assert_eq!((board.name, board.core.name()), ("nucleo-f411re", "m4"));
//! assert_eq!(board.flash_bytes, 512 * 1024);
//! # Ok::<(), dtmm_boards::UnknownBoard>(())
//! ```
#![forbid(unsafe_code)]

mod core;
mod find;
mod table;

pub use crate::core::{Core, UnknownCore};
pub use find::{UnknownBoard, find};
pub use table::{BOARDS, Board};
