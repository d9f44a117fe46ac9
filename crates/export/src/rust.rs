//! Export as a Rust crate.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ExportError;
use crate::files::{Folder, failed};
use crate::model::{Facts, Port};

const MANIFEST: &str = include_str!("templates/Cargo.toml.in");
const LIBRARY: &str = include_str!("templates/lib.rs.in");
/// The runtime's crates, which the folder holds.
const CRATES: [&str; 3] = ["format", "kernels", "runtime"];

/// Writes a `no_std` crate `model` with the package, a typed `run`, and the runtime's sources into a new folder. Gives the
/// paths written.
///
/// # Errors
/// A damaged package, a folder that is not empty, missing sources of the runtime.
pub fn rust(package: &[u8], folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let facts = Facts::of(package)?;
    let root = dtmm_emulate::root()?;
    let mut out = Folder::create(folder)?;
    let features: Vec<String> = facts.families.iter().map(|f| format!("{f:?}")).collect();
    out.write("Cargo.toml", MANIFEST.replace("@FEATURES@", &features.join(", ")))?;
    out.write("src/lib.rs", library(&facts))?;
    out.write("src/model.dtmm", &package[..facts.package_bytes])?;
    for name in CRATES {
        vendor(&mut out, &root.join("crates").join(name), name)?;
    }
    Ok(out.written)
}

/// Copies a crate without its tests.
fn vendor(out: &mut Folder, from: &Path, name: &str) -> Result<(), ExportError> {
    let manifest = from.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(failed(&manifest))?;
    out.write(&format!("runtime/{name}/Cargo.toml"), without_tests(&text))?;
    let build = from.join("build.rs");
    if build.is_file() {
        out.copy(&build, &format!("runtime/{name}/build.rs"))?;
    }
    copy_sources(out, &from.join("src"), &format!("runtime/{name}/src"))
}

/// The manifest up to what only tests need.
fn without_tests(manifest: &str) -> &str {
    manifest.find("[dev-dependencies]").map_or(manifest, |at| &manifest[..at])
}

fn copy_sources(out: &mut Folder, from: &Path, to: &str) -> Result<(), ExportError> {
    let entries = fs::read_dir(from).map_err(failed(from))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let target = format!("{to}/{name}");
        if path.is_dir() {
            copy_sources(out, &path, &target)?;
        } else {
            out.copy(&path, &target)?;
        }
    }
    Ok(())
}

fn library(facts: &Facts) -> String {
    let mut types = String::new();
    let mut parameters = vec![];
    let (mut fill, mut read) = (String::new(), String::new());
    for (i, port) in facts.inputs.iter().enumerate() {
        let (name, suffix) = named("Input", facts.inputs.len(), i);
        describe(&mut types, &name, port, "input");
        parameters.push(format!("input{suffix}: &{name}"));
        let _ = writeln!(fill, "    runtime.input_mut({i}).copy_from_slice(input{suffix});");
    }
    for (i, port) in facts.outputs.iter().enumerate() {
        let (name, suffix) = named("Output", facts.outputs.len(), i);
        describe(&mut types, &name, port, "output");
        parameters.push(format!("output{suffix}: &mut {name}"));
        let _ = writeln!(read, "    output{suffix}.copy_from_slice(runtime.output({i}));");
    }
    LIBRARY
        .replace("@PACKAGE_BYTES@", &facts.package_bytes.to_string())
        .replace("@ARENA_BYTES@", &facts.arena_bytes.to_string())
        .replace("@TYPES@", types.trim_end())
        .replace("@PARAMETERS@", &parameters.join(", "))
        .replace("@FILL@", fill.trim_end())
        .replace("@READ@", read.trim_end())
}

/// `Input`, or `Input2` and `_2` where there are several.
fn named(kind: &str, count: usize, i: usize) -> (String, String) {
    if count == 1 { (kind.into(), String::new()) } else { (format!("{kind}{i}"), format!("_{i}")) }
}

fn describe(text: &mut String, name: &str, port: &Port, words: &str) {
    let [h, w, c] = port.shape;
    let constant = name.to_ascii_uppercase();
    let _ = writeln!(text, "/// Model {words}: {h} x {w} x {c} values, channels innermost.");
    let _ = writeln!(text, "pub type {name} = [i8; {}];", port.elements());
    let _ = writeln!(text, "/// Scale of the {words}: `real = SCALE * (value - ZERO_POINT)`.");
    let _ = writeln!(text, "pub const {constant}_SCALE: f32 = {:?};", port.scale);
    let _ = writeln!(text, "/// Zero point of the {words}.");
    let _ = writeln!(text, "pub const {constant}_ZERO_POINT: i8 = {};\n", port.zero_point);
}
