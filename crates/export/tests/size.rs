//! What a program for Cortex-M4 pays for a model of convolutions, pools and dense layers: code, constants, memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use dtmm_emulate::{Core, EmulateError};

/// The operators of the models.
const FAMILIES: [[&str; 3]; 2] =
    [["conv2d", "fully-connected", "max-pool"], ["conv2d", "fully-connected", "average-pool"]];
/// Bytes of code and constants of runtime and kernels, which call neither `memcpy` nor `memset`.
const TEXT: usize = 12 * 1024;
/// Bytes of memory beside the arena.
const RAM: usize = 256;

/// All that a program calls; package and arena lie at addresses that the linker is told.
const MAIN: &str = "
#include \"dtmm.h\"
extern const uint8_t package[];
extern int8_t arena[];
static dtmm_model model;
int Reset(void) {
    size_t elements;
    dtmm_status status = dtmm_create(&model, package, 1000, arena, 1000);
    if (status != DTMM_OK) return status;
    dtmm_input(&model, 0, &elements)[0] = 1;
    status = dtmm_run(&model);
    return status != DTMM_OK ? status : dtmm_output(&model, 0, &elements)[0];
}
";

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A linked program without start-up code and C library.
fn link(library: &Path, folder: &Path) -> PathBuf {
    let problem = dtmm_testkit::Weighted::fully_connected(4, 4).problem(&mut dtmm_testkit::random(1));
    let exported = folder.join("exported");
    dtmm_export::c(&problem.package, &[], &exported).unwrap();
    let (source, image) = (folder.join("main.c"), folder.join("main.elf"));
    std::fs::write(&source, MAIN).unwrap();
    let mut gcc = Command::new("arm-none-eabi-gcc");
    gcc.args(["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-Os", "-I"]);
    gcc.arg(&exported).arg(&source).arg(library).args(["-nostdlib", "-lgcc", "-o"]).arg(&image);
    gcc.arg("-Wl,--gc-sections,-eReset,--defsym=package=0x1000,--defsym=arena=0x20000000");
    output(&mut gcc);
    image
}

#[test]
fn conv_dense_pool_on_m4() {
    if !Command::new("arm-none-eabi-gcc").arg("--version").output().is_ok_and(|o| o.status.success()) {
        println!("SKIPPED: arm-none-eabi-gcc missing (Debian: gcc-arm-none-eabi)");
        return;
    }
    for families in FAMILIES {
        match dtmm_emulate::static_library(Core::M4, &families) {
            Err(error @ EmulateError::Target { .. }) => return println!("SKIPPED: {error}"),
            library => check(&families, &library.unwrap()),
        }
    }
}

fn check(families: &[&str], library: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let image = link(library, folder.path());
    let sizes = output(Command::new("arm-none-eabi-size").arg(&image));
    let numbers: Vec<usize> =
        sizes.lines().nth(1).unwrap().split_whitespace().map_while(|n| n.parse().ok()).collect();
    let (text, ram) = (numbers[0], numbers[1] + numbers[2]);
    println!("{}: {text} bytes of code and constants, {ram} of memory beside the arena", families.join(", "));
    assert!(text <= TEXT && ram <= RAM, "{text} bytes of text, {ram} bytes of memory");
    let symbols = output(Command::new("arm-none-eabi-nm").arg("-C").arg(&image));
    let panics: Vec<&str> =
        symbols.lines().filter(|l| l.contains("panicking") || l.contains("something_went_wrong")).collect();
    assert!(panics.is_empty(), "{panics:?}");
}
