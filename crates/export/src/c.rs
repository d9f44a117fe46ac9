//! Export as C.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use dtmm_emulate::Core;

use crate::ExportError;
use crate::codes::codes;
use crate::files::Folder;
use crate::model::{Facts, Port};

const MAIN: &str = include_str!("templates/main.c");
const HEADER: &str = include_str!("templates/dtmm.h");
const MAKEFILE: &str = include_str!("templates/Makefile");
/// Bytes in a line of the array.
const LINE: usize = 20;

/// Writes `dtmm.h`, `model.h`, `model.c`, `main.c`, a `Makefile` and `lib/CORE/libdtmm.a` for each core into a new folder.
/// Gives the paths written.
///
/// # Errors
/// A damaged package, a folder that is not empty, what is missing to build the library.
pub fn c(package: &[u8], cores: &[Core], folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let facts = Facts::of(package)?;
    let mut out = Folder::create(folder)?;
    out.write("dtmm.h", header())?;
    out.write("model.h", model_header(&facts))?;
    out.write("model.c", array(&package[..facts.package_bytes]))?;
    out.write("main.c", MAIN)?;
    let default =
        cores.iter().copied().find(|c| *c == Core::M4).or(cores.first().copied()).unwrap_or(Core::M4);
    out.write("Makefile", MAKEFILE.replace("@CORE@", default.name()))?;
    for &core in cores {
        let library = dtmm_emulate::static_library(core, &facts.families)?;
        out.copy(&library, &format!("lib/{core}/libdtmm.a"))?;
    }
    Ok(out.written)
}

fn header() -> String {
    let mut statuses = String::new();
    for code in codes() {
        let _ = writeln!(statuses, "    /** {}. */\n    {} = {},", code.meaning, code.name, code.value);
    }
    HEADER.replace("@STATUSES@", statuses.trim_end())
}

fn model_header(facts: &Facts) -> String {
    let mut text = String::from(
        "/* Written by `dtmm export`. */\n#ifndef MODEL_H\n#define MODEL_H\n\n#include <stdint.h>\n\n",
    );
    let _ =
        writeln!(text, "/** Bytes of the package. */\n#define MODEL_PACKAGE_BYTES {}", facts.package_bytes);
    let _ = writeln!(
        text,
        "/** Bytes of RAM that inference needs. */\n#define MODEL_ARENA_BYTES {}",
        facts.arena_bytes
    );
    for (kind, ports) in [("INPUT", &facts.inputs), ("OUTPUT", &facts.outputs)] {
        for (i, port) in ports.iter().enumerate() {
            describe(&mut text, kind, i, port);
        }
    }
    text += "\n/** The package, at a multiple of 16. */\nextern const uint8_t model_package[MODEL_PACKAGE_BYTES];\n\n#endif\n";
    text
}

fn describe(text: &mut String, kind: &str, i: usize, port: &Port) {
    let [h, w, c] = port.shape;
    let name = format!("MODEL_{kind}{i}");
    let words = kind.to_ascii_lowercase();
    let _ = writeln!(
        text,
        "\n/** Model {words} {i}: {h} x {w} x {c} int8 values; real = SCALE * (value - ZERO_POINT). */"
    );
    let _ = writeln!(text, "#define {name}_ELEMENTS {}", port.elements());
    let _ = writeln!(text, "#define {name}_SCALE {:e}f", port.scale);
    let _ = writeln!(text, "#define {name}_ZERO_POINT ({})", port.zero_point);
}

fn array(package: &[u8]) -> String {
    let mut text = String::from(
        "/* Written by `dtmm export`. */\n#include \"model.h\"\n\n__attribute__((aligned(16))) const uint8_t model_package[MODEL_PACKAGE_BYTES] = {\n",
    );
    for line in package.chunks(LINE) {
        for byte in line {
            let _ = write!(text, "{byte},");
        }
        text.push('\n');
    }
    text + "};\n"
}
