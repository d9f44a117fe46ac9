//! One file for each subcommand: a `Cmd` with its flags and a `run`.

pub mod bench;
pub mod calibrate;
pub mod compare;
pub mod compress;
pub mod demo;
pub mod eval;
pub mod export;
pub mod inspect;
pub mod run;
pub mod train;
pub mod verify;
