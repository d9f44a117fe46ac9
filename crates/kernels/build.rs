//! Names the instruction set that the kernels are compiled for: the cfg `dtmm_isa` is `v6m`, `v7m`, `dsp`, `mve` or
//! `portable`. On stable Rust the target features of Cortex-M are not visible to `cfg`, so the target's name and the
//! `-Ctarget-cpu` that the build was called with decide.

use std::env;

fn main() {
    println!(
        "cargo::rustc-check-cfg=cfg(dtmm_isa, values(\"v6m\", \"v7m\", \"dsp\", \"mve\", \"portable\"))"
    );
    println!("cargo::rustc-cfg=dtmm_isa=\"{}\"", isa());
    println!("cargo::rerun-if-changed=build.rs");
}

fn isa() -> &'static str {
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let asks_for = |names: &[&str]| names.iter().any(|n| flags.contains(n));
    match target.split('-').next().unwrap_or_default() {
        "thumbv6m" | "thumbv8m.base" => "v6m",
        "thumbv7m" => "v7m",
        "thumbv7em" => "dsp",
        "thumbv8m.main" if asks_for(&["cortex-m55", "cortex-m85", "cortex-m52", "+mve"]) => "mve",
        // The DSP extension is optional in Armv8-M.
        "thumbv8m.main" if asks_for(&["cortex-m33", "cortex-m35p", "+dsp"]) => "dsp",
        "thumbv8m.main" => "v7m",
        _ => "portable",
    }
}
