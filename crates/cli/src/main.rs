//! The `dtmm` command.
fn main() {}
