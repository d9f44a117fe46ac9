//! No panicking code in the device crates' release objects.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use object::read::archive::ArchiveFile;
use object::{File, Object, ObjectSection, ObjectSymbol, RelocationTarget, Section, SectionKind};
use rustc_demangle::demangle;

use crate::process::{self, End};
use crate::setup::{self, DEVICE};
use crate::step::Outcome;
use crate::workspace::Workspace;

const CRATES: [&str; 3] = ["dtmm_format", "dtmm_kernels", "dtmm_runtime"];

/// Parts of the names of functions that panic, as they stand in mangled symbols.
const PANICKING: [&str; 7] = [
    "something_went_wrong",
    "panicking",
    "unwrap_failed",
    "expect_failed",
    "slice_index_fail",
    "len_mismatch_fail",
    "panic_fmt",
];

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Err(error) = setup::target(&workspace.root, DEVICE) {
        return Ok(Outcome::skipped(format!("{error:#}")));
    }
    let folder = build(workspace)?;
    let mut complaints = vec![];
    let mut functions = 0;
    for name in CRATES {
        let library = folder.join(format!("lib{name}.rlib"));
        let (count, found) = panicking(&library)?;
        functions += count;
        complaints.extend(found.into_iter().map(|f| format!("{name}: {f}")));
    }
    Ok(Outcome::from_complaints(&complaints, format!("{functions} functions")))
}

/// Release objects of the device target. Without link-time optimisation, which would leave bitcode in their place.
fn build(workspace: &Workspace) -> Result<std::path::PathBuf> {
    let target = workspace.target.join("panics");
    let mut args = vec!["build", "--release", "--target", DEVICE];
    let packages = CRATES.map(|c| c.replace('_', "-"));
    args.extend(packages.iter().flat_map(|p| ["--package", p]));
    let mut command = workspace.cargo(&args);
    command.env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_RELEASE_LTO", "off");
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1").env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    let finished = process::run(command, &workspace.log("panics"), Duration::from_secs(600))?;
    if finished.end != End::Ok {
        bail!("the device crates do not build for {DEVICE}");
    }
    Ok(target.join(DEVICE).join("release"))
}

/// Number of functions in the library's objects, and those of them that use something that panics.
fn panicking(library: &Path) -> Result<(usize, Vec<String>)> {
    let bytes = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    let archive = ArchiveFile::parse(&*bytes)?;
    let (mut functions, mut objects, mut found) = (0, 0, vec![]);
    for member in archive.members() {
        let member = member?;
        if !member.name().ends_with(b".o") {
            continue;
        }
        objects += 1;
        let object = File::parse(member.data(&*bytes)?)?;
        for section in object.sections().filter(|s| s.kind() == SectionKind::Text) {
            functions += 1;
            found.extend(panicking_uses(&object, &section));
        }
    }
    ensure!(objects > 0, "{} holds no object", library.display());
    Ok((functions, found))
}

/// Each function lies in a section of its own, named after it.
fn panicking_uses(object: &File, section: &Section) -> BTreeSet<String> {
    let targets = section.relocations().filter_map(|(_, relocation)| match relocation.target() {
        RelocationTarget::Symbol(index) => object.symbol_by_index(index).ok()?.name().ok(),
        _ => None,
    });
    let function = section.name().unwrap_or_default().trim_start_matches(".text.");
    targets
        .filter(|name| PANICKING.iter().any(|p| name.contains(p)))
        .map(|name| format!("{:#} uses {:#}", demangle(function), demangle(name)))
        .collect()
}
