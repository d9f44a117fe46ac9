//! Terminal text.

mod bench;
mod boards;
mod calibrate;
mod compare;
mod compress;
mod eval;
mod inspect;
mod train;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::{ExportReport, RunReport};

/// Text for a person at a terminal.
pub trait Human {
    /// The whole result; ends with a line break.
    fn human(&self) -> String;
}

impl Human for RunReport {
    fn human(&self) -> String {
        format!(
            "{} samples -> {} ({} {:?} each)\n",
            self.samples, self.output, self.output_type, self.output_shape
        )
    }
}

impl Human for ExportReport {
    fn human(&self) -> String {
        let list: String = self.files.iter().take(12).map(|f| format!("  {f}\n")).collect();
        let more = self.files.len().saturating_sub(12);
        let rest = if more > 0 { format!("  and {more} more\n") } else { String::new() };
        format!(
            "{} -> {} (package {}, arena {})\n{list}{rest}",
            self.model,
            self.folder,
            bytes(self.package_bytes),
            bytes(self.arena_bytes)
        )
    }
}

/// Bytes with thousands separators: `276,328 B`.
pub fn bytes(n: usize) -> String {
    format!("{} B", thousands(n as u64))
}

/// A fraction as a percentage with two digits: `89.99 %`.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `[1, 8, 8, 64]` as `8x8x64`: the batch is left out.
pub(crate) fn dimensions(shape: &[usize]) -> String {
    shape.iter().skip(1).map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// A table whose first `text_columns` columns are aligned left and whose others right.
pub(crate) fn table(header: &[&str], text_columns: usize, rows: Vec<Vec<String>>) -> String {
    let mut t = Table::new();
    t.load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.iter().map(|h| h.to_string()).collect::<Vec<_>>());
    t.add_rows(rows);
    for (i, column) in t.column_iter_mut().enumerate() {
        column.set_cell_alignment(if i < text_columns { CellAlignment::Left } else { CellAlignment::Right });
    }
    t.trim_fmt() + "\n"
}
