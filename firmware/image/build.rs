//! Gives the linker the machine's memory map.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let set = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let here = PathBuf::from(set("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-env-changed=DTMM_MACHINE");
    let machine = env::var("DTMM_MACHINE").unwrap_or_else(|_| "mps2".into());
    let map = here.join("../machines").join(format!("{machine}.x"));
    let script = here.join("../link.x");
    println!("cargo::rerun-if-changed={}", map.display());
    println!("cargo::rerun-if-changed={}", script.display());
    let text = fs::read_to_string(&map).unwrap_or_else(|e| panic!("{}: {e}", map.display()));
    let out = PathBuf::from(set("OUT_DIR"));
    fs::write(out.join("memory.x"), text).expect("memory.x is written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg=-T{}", script.display());
}
