//! Exported folders compile as they stand for Cortex-M4, and what they compute there is right.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dtmm_emulate::{Core, EmulateError};
use dtmm_export::ExportError;
use dtmm_testkit::{Form, Plain, Problem, Random, Weighted};
use rand::SeedableRng;

const LIMIT: Duration = Duration::from_secs(60);
/// Bytes of code and constants that the test program with one convolution may have, without its packages. The aim for
/// runtime and kernels is 12 KiB.
const CODE: usize = 17 * 1024;

fn problem() -> Problem {
    let layer = Weighted::conv2d([9, 8, 16], 12, [3, 3]).sparse(Form::Bitmap(16), 0.5);
    layer.problem(&mut Random::seed_from_u64(3))
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success())
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The exit status under emulation; `None` where the emulator is missing.
fn emulate(image: &Path, folder: &Path) -> Option<i32> {
    match dtmm_emulate::run_image(Core::M4, image, folder, LIMIT) {
        Ok(status) => Some(status),
        Err(error @ EmulateError::Qemu { .. }) => {
            println!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn c_array(name: &str, values: &[i8]) -> String {
    format!("static const int8_t {name}[{}] = {{{}}};\n", values.len(), list(values))
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// Code and constants of the program without the package, and no function that panics.
fn is_lean(image: &Path, package: usize) {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(image).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let symbols = run("arm-none-eabi-nm", &["-C"]);
    let panics: Vec<&str> = symbols
        .lines()
        .filter(|l| ["panicking", "something_went_wrong"].iter().any(|p| l.contains(p)))
        .collect();
    assert!(panics.is_empty(), "{panics:?}");
    let sizes = run("arm-none-eabi-size", &[]);
    let text =
        sizes.lines().nth(1).and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<usize>().ok());
    let code = text.unwrap() - package;
    println!("{code} bytes of code and constants for a convolution");
    assert!(code <= CODE, "{code} bytes");
}

#[test]
fn c_compiles_and_runs_on_m4() {
    if !has("arm-none-eabi-gcc") {
        println!("SKIPPED: arm-none-eabi-gcc missing (Debian: gcc-arm-none-eabi libnewlib-arm-none-eabi)");
        return;
    }
    let (problem, folder) = (problem(), tempfile::tempdir().unwrap());
    let out = folder.path().join("exported");
    match dtmm_export::c(&problem.package, &[Core::M4], &out) {
        Err(ExportError::Build(error @ EmulateError::Target { .. })) => return println!("SKIPPED: {error}"),
        other => drop(other.unwrap()),
    }
    let flags =
        ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-Os", "-Wall", "-Werror"];
    let gcc = || {
        let mut command = Command::new("arm-none-eabi-gcc");
        command.args(flags).args(["-ffunction-sections", "-Wl,--gc-sections"]).current_dir(&out);
        command
    };
    // As it stands.
    succeeds(gcc().args(["main.c", "model.c", "lib/m4/libdtmm.a", "--specs=nosys.specs", "-o", "model.elf"]));
    let other = Plain::Softmax([1, 1, 8]).problem(&mut Random::seed_from_u64(4)).package;
    let expected = c_array("expected_input", &problem.input)
        + &c_array("expected_output", &problem.expected)
        + &format!(
            "static const uint8_t other_package[] __attribute__((aligned(16))) = {{{}}};\n",
            list(&other)
        );
    std::fs::write(out.join("expected.h"), format!("#include <stdint.h>\n{expected}")).unwrap();
    let device = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device");
    let mut test = gcc();
    test.args([device.join("start.c"), device.join("test.c")]).args(["model.c", "lib/m4/libdtmm.a", "-I."]);
    test.args(["-nostartfiles", "--specs=nosys.specs", "-T"])
        .arg(device.join("link.ld"))
        .args(["-o", "test.elf"]);
    succeeds(&mut test);
    is_lean(&out.join("test.elf"), problem.package.len() + other.len());
    if let Some(status) = emulate(&out.join("test.elf"), &out) {
        assert_eq!(status, 0, "the number is that of the failed check in test.c");
    }
}

#[test]
fn rust_compiles_and_runs_on_m4() {
    let (problem, folder) = (problem(), tempfile::tempdir().unwrap());
    let out = folder.path().join("exported");
    dtmm_export::rust(&problem.package, &out).unwrap();
    let app = folder.path().join("app");
    std::fs::create_dir_all(app.join("src")).unwrap();
    let device = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device");
    let main = std::fs::read_to_string(device.join("main.rs.in")).unwrap();
    let list = |values: &[i8]| format!("{values:?}");
    let main = main.replace("@INPUT@", &list(&problem.input)).replace("@OUTPUT@", &list(&problem.expected));
    std::fs::write(app.join("src/main.rs"), main).unwrap();
    let manifest = "[package]\nname = \"app\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nmodel = { path = \"../exported\" }\n[profile.release]\nlto = \"fat\"\npanic = \"abort\"\n";
    std::fs::write(app.join("Cargo.toml"), manifest).unwrap();
    let target = Core::M4.target();
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--quiet", "--target", target]).current_dir(&app);
    build.env(
        "RUSTFLAGS",
        format!("-Ctarget-cpu=cortex-m4 -Clink-arg=-T{}", device.join("link.ld").display()),
    );
    build.env("CARGO_TARGET_DIR", app.join("target")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    let output = build.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("can't find crate for `core`") {
        return println!("SKIPPED: the target {target} is missing");
    }
    assert!(output.status.success(), "{said}");
    if let Some(status) = emulate(&app.join("target").join(target).join("release/app"), &app) {
        assert_eq!(status, 0, "1: another output, 2: refused, 101: a panic");
    }
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let (mut package, folder) = (problem().package, tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("mine"), "x").unwrap();
    let error = dtmm_export::rust(&package, folder.path()).unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    package[40] ^= 1;
    assert!(matches!(dtmm_export::rust(&package, &folder.path().join("new")), Err(ExportError::Package(_))));
}
